"""Keeps worker processes running: one that fails is started again, after a pause that grows, with a line about why."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from segue.embedded.processes import die_with_parent, give_way
from segue.forked import ForkedProcess, can_fork, say_executed, start_forked
from streams.runtime.exits import REFUSED

PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0)
STOP_S = 15.0
REFUSED_PAUSE_S = 60.0  # somebody must decide first: what is there is looked at again now and then
GIVE_WAY_TRIES, GIVE_WAY_AGAIN_S = 10, 0.15  # others on this machine may do so in the same tenth of a second
STEADY_S = 60.0  # after so long the next failure counts as the first
# When the process is started, a greater log is set aside, in place of the one that was before.
LOG_BYTES_MAX = 10_000_000
LINE_SAID_MAX = 600  # of a last line, characters: what to do stands at its end
_LINE_BYTES_MAX = 1_000_000


class Pauses:
    """How long to wait before what has ended is started again: longer each time, from the first on after it ran steadily."""

    def __init__(self, pauses_s: Sequence[float] = PAUSES_S) -> None:
        self._pauses_s, self._failures = pauses_s, 0

    def after(self, ran_s: float) -> float:
        """The pause, in seconds, after it ran for so long."""
        self._failures = 1 if ran_s > STEADY_S else self._failures + 1
        return self._pauses_s[min(self._failures, len(self._pauses_s)) - 1]


class Worker:
    """One process under supervision.

    log : takes what it writes; say : is told when and why it is started again
    pauses_s : before it is started again, by how often it has failed
    niceness : 0 to 19, how far it gives way to others on this machine that want the processor
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        say: Callable[[str], None],
        *,
        pauses_s: Sequence[float] = PAUSES_S,
        niceness: int = 0,
    ) -> None:
        self.name, self.argv, self.log, self.say = name, list(argv), log, say
        # its name in its group, which it keeps when it is started again; none but this one is so called
        self.env = {**env, "SEGUE_MEMBER": f"{name}-{uuid.uuid4().hex}"}
        self.pauses_s, self.niceness = pauses_s, niceness
        self.restarts = 0
        self.ready = asyncio.Event()
        self.process: asyncio.subprocess.Process | ForkedProcess | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start it, and again whenever it ends by itself."""
        self._task = asyncio.create_task(self._keep_running())

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL where it does not end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._end()

    async def _end(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.process.wait(), STOP_S)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()

    async def _keep_running(self) -> None:
        pauses = Pauses(self.pauses_s)
        while True:  # until `stop` cancels
            began, code = time.monotonic(), None
            try:
                code = await self._run_once()
                why = f"ended with {code} ({self._last_line(killed=code < 0)})"
            except (
                OSError,
                ValueError,
                subprocess.SubprocessError,
            ) as error:  # policy: said, and tried again as any failure
                why = f"failed: {error}"
                await self._end()
            pause_s = pauses.after(time.monotonic() - began)
            if code == REFUSED:
                pause_s = max(pause_s, REFUSED_PAUSE_S)
            self.restarts += 1
            self.say(f"{self.name} {why}; starting it again in {pause_s:g} s")
            await asyncio.sleep(pause_s)

    async def _run_once(self) -> int:
        """Answers the exit code.

        Raises
        ------
        OSError, SubprocessError
            where the process cannot be started, or its log cannot be written
        ValueError
            where it writes a line that is too long
        """
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_MAX:
            self.log.replace(self.log.with_name(f"{self.log.name}.1"))
        self.ready.clear()
        with self.log.open("ab") as log:
            self.process = await self._start(log)
            assert self.process.stdout is not None
            await self._give_way(self.process)
            async for line in self.process.stdout:
                if line.strip().endswith(b"ready"):
                    self.ready.set()
                log.write(line)
                log.flush()
            return await self.process.wait()

    async def _give_way(self, process: asyncio.subprocess.Process | ForkedProcess) -> None:
        for _ in range(GIVE_WAY_TRIES if self.niceness else 0):
            if process.returncode is not None or give_way(process.pid, self.niceness):
                return
            await asyncio.sleep(GIVE_WAY_AGAIN_S)
        if self.niceness:
            self.say(f"{self.name} has as much of the processor as all others: the system did not let it have less")

    async def _start(self, log: IO[bytes]) -> asyncio.subprocess.Process | ForkedProcess:
        if can_fork(self.argv, self.env):
            try:
                return await start_forked(self.argv, self.env, log, limit=_LINE_BYTES_MAX, say=self.say)
            except OSError as error:  # policy: said, and executed like another program
                say_executed(error, self.say)
        return await asyncio.create_subprocess_exec(
            *self.argv,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            limit=_LINE_BYTES_MAX,
            preexec_fn=die_with_parent,
        )

    def _last_line(self, *, killed: bool) -> str:
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4 * LINE_SAID_MAX))
            lines = log.read().decode(errors="replace").strip().splitlines()
        if not lines:
            return "it said nothing"
        return ("before that: " if killed else "") + lines[-1][:LINE_SAID_MAX]  # a signal is no reason that it gives


def segue_argv(*arguments: str) -> list[str]:
    """The command line of one of our own commands, in this Python."""
    return [sys.executable, "-m", "segue.cli.main", *arguments]
