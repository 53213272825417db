"""Workers that a fork server starts: to their supervisor what a process of asyncio is, without the seconds of imports.

Not for other programs than `segue worker`, nor where its environment is not ours: libraries read theirs when they are imported.
"""

import asyncio
import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from segue.embedded.processes import adopt_orphans, die_with_parent
from segue.forkserver import ANSWER_BYTES_MAX, READY

READY_S = 60.0  # the imports take 2 s, on a busy machine many times that
ANSWER_S = 10.0
ENDS_S = 1.0
LOOK_S = 0.02
WORKER = [sys.executable, "-m", "segue.cli.main", "worker"]
_CAN = sys.platform == "linux"
_LATE = ("KAFKA_", "SEGUE_")  # what no library reads when it is imported


class ForkServerError(OSError):
    """The fork server has ended, or does not answer; who asks next gets a new one."""


class ForkedProcess:
    """A worker that was forked; its fields and methods are those of `asyncio.subprocess.Process`."""

    def __init__(self, pid: int, stdout: asyncio.StreamReader, pipe: asyncio.BaseTransport) -> None:
        self.pid, self.stdout, self._pipe = pid, stdout, pipe
        self.returncode: int | None = None
        self._ended = asyncio.Event()
        self._handle = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._handle, self._reap)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._handle)
        os.close(self._handle)
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self._ended.set()

    async def wait(self) -> int:
        """Wait until it has ended; the exit code, negative for a signal."""
        await self._ended.wait()
        assert self.returncode is not None, "who has ended has an exit code"
        self._pipe.close()
        return self.returncode

    def send_signal(self, signum: int) -> None:
        """Nothing where it has ended."""
        if self.returncode is None:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """A fork server of this process, and ends with it. The workers that it forked are this process's children, and need it no more.

    failed : why it is of no use any more
    """

    def __init__(self) -> None:
        if not adopt_orphans():
            raise ForkServerError("this system lets no process adopt orphans (prctl), expected Linux")
        self.failed: str | None = None
        self._ready = False
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as it runs
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "segue.forkserver", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.pid = self._process.pid
        atexit.register(self.close)

    def ended(self) -> bool:
        """Whether it is of no use any more; looks whether it has ended by itself."""
        if self.failed is None and self._process.poll() is not None:
            self._fail()
        return self.failed is not None

    async def ready(self) -> None:
        """Wait until it has imported everything.

        Raises
        ------
        ForkServerError
            where it ends instead, or takes too long
        """
        deadline = time.monotonic() + READY_S
        while not self._ready:
            if self.ended():
                raise ForkServerError(self.failed)
            try:
                self._ready = self._control.recv(ANSWER_BYTES_MAX) == READY
            except OSError:  # not yet, or it has ended
                if time.monotonic() > deadline:
                    raise self._fail(f"was not ready within {READY_S:.0f} s") from None
            await asyncio.sleep(LOOK_S)

    def fork(self, arguments: Sequence[str], environ: Mapping[str, str], output: int, errors: int) -> int:
        """Start a worker that writes to these files; answers its process id.

        Waits for the answer without the event loop: it takes milliseconds, in which a start that is cancelled would leave a worker alone.

        Raises
        ------
        ForkServerError
            where it does not answer
        """
        if self.ended():
            raise ForkServerError(self.failed)
        request = {"arguments": list(arguments), "environ": dict(environ), "folder": os.getcwd()}
        with open(os.memfd_create("segue-worker"), "w") as file:
            json.dump(request, file)
            file.flush()
            self._control.settimeout(ANSWER_S)
            try:
                socket.send_fds(self._control, [b"f"], [file.fileno(), output, errors])
                answer = self._control.recv(ANSWER_BYTES_MAX)
            except TimeoutError as error:
                raise self._fail(f"did not answer within {ANSWER_S:.0f} s") from error
            except OSError as error:
                raise self._fail() from error
        if not answer:
            raise self._fail()
        return int(answer)

    def close(self) -> None:
        """End it."""
        atexit.unregister(self.close)
        self._control.close()
        self._process.kill()
        self._process.wait()
        self._said.close()

    def _fail(self, why: str | None = None) -> ForkServerError:
        """End it, and note why: what it did, or that it has ended."""
        if why is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDS_S)
            self._said.seek(0)
            lines = self._said.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
            why = f"ended with {self._process.returncode} ({lines[-1]})"
        self.failed = f"the fork server {why}"
        self.close()
        return ForkServerError(self.failed)


_server: ForkServer | None = None  # of this process, for all workers that it starts


def fork_server(say: Callable[[str], None]) -> ForkServer:
    """This process's fork server; started, where there is none, and not waited for. say : is told where one has ended"""
    global _server
    if _server is not None and _server.failed is None and _server.ended():
        say(f"{_server.failed}; its workers go on, starting another")
    if _server is None or _server.ended():
        _server = ForkServer()
    return _server


def prepare(say: Callable[[str], None]) -> None:
    """Start the fork server where there can be one, so that it imports while something else is waited for."""
    if _CAN:
        fork_server(say)


def can_fork(argv: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether it is a worker of ours that finds in a fork server what it would find when it is executed."""
    different = {name for name, _ in environ.items() ^ os.environ.items()}
    return _CAN and list(argv[:4]) == WORKER and all(name.startswith(_LATE) for name in different)


async def start_forked(
    argv: Sequence[str], environ: Mapping[str, str], errors: IO[bytes], *, limit: int, say: Callable[[str], None]
) -> ForkedProcess:
    """Start a worker.

    errors : a file for what it writes on standard error
    limit : of a line of its output, in bytes

    Raises
    ------
    OSError
        where it cannot be started
    """
    server = fork_server(say)
    await server.ready()
    stdout, (reading, writing) = asyncio.StreamReader(limit), os.pipe()
    try:
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stdout), os.fdopen(reading, "rb", 0)
        )
        try:
            return ForkedProcess(server.fork(argv[3:], environ, writing, errors.fileno()), stdout, pipe)
        except OSError:
            pipe.close()
            raise
    finally:
        os.close(writing)
