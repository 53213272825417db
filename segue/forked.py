"""Workers that a fork server starts: to their supervisor what a process of asyncio is, without the seconds of imports.

Not for other programs than `segue worker`, nor where its environment is not ours: libraries read theirs when they are imported.
"""

import asyncio
import atexit
import contextlib
import functools
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
ANSWER_S, ENDS_S = 10.0, 1.0
LOOK_S = 0.02
WORKER = [sys.executable, "-m", "segue.cli.main", "worker"]
_LATE = ("KAFKA_", "SEGUE_")  # what no library reads when it is imported


class ForkServerError(OSError):
    """The fork server has ended, or does not answer; who asks next gets a new one, unless it was never ready."""


class ForkedProcess:
    """A worker that was forked: of `asyncio.subprocess.Process` it has `pid`, `stdout`, `returncode`, `wait`, `send_signal` and `kill`.

    Raises
    ------
    OSError
        where its end cannot be watched; the worker runs on
    """

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

    failed : why it is of no use any more; environ : that it was started with

    This process adopts whatever is left alone below it. What the fork server had not handed over is waited for in `close`; another orphan (a
    child that a worker started, a worker that ends between its own session and its answer) is a zombie until this process ends: to wait for
    children that nobody here knows would take the ends of those that asyncio and subprocess wait for.

    Raises
    ------
    OSError
        where it cannot be started
    """

    def __init__(self) -> None:
        if not adopt_orphans():
            raise ForkServerError("this system lets no process adopt orphans (prctl), expected Linux")
        self.failed: str | None = None
        self.environ = dict(os.environ)
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
                env=self.environ,
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

    @property
    def hopeless(self) -> bool:
        """Whether it failed before it was ready, as another would."""
        return self.failed is not None and not self._ready

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
                    raise self._fail(f"was not ready within {READY_S:g} s") from None
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
        """End it, and what it has not handed over."""
        atexit.unregister(self.close)
        self._end_late_worker()
        self._control.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # a worker has left its group before it answers
        self._process.wait()
        with contextlib.suppress(ChildProcessError):  # no more of them
            while True:
                os.waitpid(-self.pid, 0)
        self._said.close()

    def _end_late_worker(self) -> None:
        """End the worker whose answer came too late; one that has not answered yet cannot any more, and ends by that."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RD)
            self._control.setblocking(False)
            answer = self._control.recv(ANSWER_BYTES_MAX)
            if answer and answer != READY:
                end_child(int(answer))

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
_told: str | None = None  # the last reason why one was executed


@functools.cache
def can_watch() -> bool:
    """Whether this system tells when a process ends by a file of it (pidfd_open): Linux 5.3, where nothing forbids it."""
    if not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # policy: workers are executed
        return False
    return True


def end_child(pid: int) -> None:
    """SIGKILL to a child that nobody waits for, and wait for it."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def fork_server(say: Callable[[str], None]) -> ForkServer:
    """This process's fork server; started, where there is none, and not waited for. say : is told where one has ended

    Raises
    ------
    OSError
        where none can be started, or the last one was never ready
    """
    global _server
    if _server is not None and _server.hopeless:
        raise ForkServerError(_server.failed)
    if _server is not None and _server.failed is None and _server.ended():
        say(f"{_server.failed}; its workers go on, starting another")
    if _server is None or _server.ended():
        _server = ForkServer()
    return _server


def prepare(say: Callable[[str], None]) -> None:
    """Start the fork server where there can be one, so that it imports while something else is waited for."""
    if can_watch():
        try:
            fork_server(say)
        except OSError as error:  # policy: said, and workers are executed
            say_executed(error, say)


def say_executed(error: OSError, say: Callable[[str], None]) -> None:
    """Say why a worker is executed and not forked, where that is not what was said last."""
    global _told
    if str(error) != _told:
        _told = str(error)
        say(f"{error}; workers are executed instead, which takes seconds longer")


def can_fork(argv: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether it is a worker of ours that finds in a fork server what it would find when it is executed."""
    theirs = os.environ if _server is None or _server.failed is not None else _server.environ
    different = {name for name, _ in environ.items() ^ theirs.items()}
    return can_watch() and list(argv[:4]) == WORKER and all(name.startswith(_LATE) for name in different)


async def start_forked(
    argv: Sequence[str], environ: Mapping[str, str], errors: IO[bytes], *, limit: int, say: Callable[[str], None]
) -> ForkedProcess:
    """Start a worker; where that fails, none is left.

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
            pid = server.fork(argv[3:], environ, writing, errors.fileno())
            try:
                return ForkedProcess(pid, stdout, pipe)
            except BaseException:
                end_child(pid)
                raise
        except BaseException:
            pipe.close()
            raise
    finally:
        os.close(writing)
