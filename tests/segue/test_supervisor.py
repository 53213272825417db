"""A worker that fails is started again, whatever the failure was, and its log stays small."""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

import psutil
import pytest

import segue.forked
import segue.supervisor
from segue.forked import ForkedProcess, ForkServerError, can_fork, fork_server, prepare, start_forked
from segue.supervisor import REFUSED_PAUSE_S, STEADY_S, Pauses, Worker, segue_argv
from streams.runtime.exits import REFUSED
from streams.runtime.settings import Settings
from tests.integration.ledger import until


def worker(folder: Path, said: list[str], *argv: str) -> Worker:
    return Worker("dreamer", argv, {}, folder / "dreamer.log", said.append)


def test_each_worker_has_a_name_of_its_own_in_its_group_whatever_its_surroundings_say(tmp_path: Path) -> None:
    first, second = (
        Worker("learner", (), {"SEGUE_MEMBER": "pod-0"}, tmp_path / "learner.log", print).env["SEGUE_MEMBER"]
        for _ in "ab"
    )

    assert len({first, second, "pod-0"}) == 3
    assert Settings.from_env({"KAFKA_BOOTSTRAP_SERVERS": "here:9", "SEGUE_MEMBER": first}).member == first


def python(code: str) -> tuple[str, ...]:
    return sys.executable, "-c", code


async def test_a_worker_gives_way_as_it_is_told_among_processes_and_among_sessions(tmp_path: Path) -> None:
    asleep = python("import time; print('asleep and ready', flush=True); time.sleep(60)")
    gives, takes = (
        Worker(f"dreamer-{niceness}", asleep, {}, tmp_path / f"{niceness}.log", print, niceness=niceness)
        for niceness in (7, 0)
    )
    async with contextlib.AsyncExitStack() as stack:
        for each in (gives, takes):
            each.start()
            stack.push_async_callback(each.stop)
            await asyncio.wait_for(each.ready.wait(), 20.0)
        assert gives.process is not None
        assert takes.process is not None
        niceness = psutil.Process(gives.process.pid).nice()
        assert niceness == min(19, psutil.Process(takes.process.pid).nice() + 7)
        group = Path(f"/proc/{gives.process.pid}/autogroup")
        if group.exists():
            assert group.read_text().split()[-2:] == ["nice", str(niceness)]


async def test_who_could_not_be_made_to_give_way_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segue.supervisor.give_way", lambda pid, niceness: False)
    monkeypatch.setattr("segue.supervisor.GIVE_WAY_AGAIN_S", 0.0)
    said, ready = list[str](), python("import time; print('awake and ready', flush=True); time.sleep(60)")
    dreamer = Worker("dreamer", ready, {}, tmp_path / "dreamer.log", said.append, niceness=7)
    dreamer.start()
    await asyncio.wait_for(dreamer.ready.wait(), 20.0)
    await dreamer.stop()

    assert said == ["dreamer has as much of the processor as all others: the system did not let it have less"]


async def failures(folder: Path, *argv: str, count: int = 2) -> list[str]:
    """What is said of the first failures; the pauses between them are left out."""
    said = list[str]()
    watched = worker(folder, said, *argv)
    watched.pauses_s = (0.0,)
    watched.start()
    async with asyncio.timeout(20.0):
        while len(said) < count:
            await asyncio.sleep(0.01)
    await watched.stop()

    assert watched.process is None or watched.process.returncode is not None
    return said[:count]


async def test_last_line_says_why_it_ended(tmp_path: Path) -> None:
    said = await failures(tmp_path, *python("import sys; sys.exit('x' * 9000 + '\\nno luck')"))

    assert said == ["dreamer ended with 1 (no luck); starting it again in 0 s"] * 2


async def test_program_that_is_not_there_is_said_and_tried_again(tmp_path: Path) -> None:
    said = await failures(tmp_path, str(tmp_path / "nothing"))

    assert all(line.startswith("dreamer failed: ") and "No such file" in line for line in said)


async def test_line_without_an_end_is_a_failure_like_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segue.supervisor, "_LINE_BYTES_MAX", 1000)
    said = await failures(tmp_path, *python("import time; print('x' * 10000, flush=True); time.sleep(60)"))

    assert all(line.startswith("dreamer failed: ") for line in said)


async def test_great_log_is_set_aside_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segue.supervisor, "LOG_BYTES_MAX", 100)
    (tmp_path / "dreamer.log").write_text("old\n" * 100)
    await failures(tmp_path, *python("print('new')"), count=1)

    assert (tmp_path / "dreamer.log.1").read_text() == "old\n" * 100
    assert "old" not in (tmp_path / "dreamer.log").read_text()


async def pauses_of(folder: Path, monkeypatch: pytest.MonkeyPatch, *argv: str, count: int) -> list[str]:
    """What is said of the first failures; no pause takes any time."""
    said, slept = list[str](), asyncio.sleep
    monkeypatch.setattr(segue.supervisor.asyncio, "sleep", lambda _seconds: slept(0))
    watched = worker(folder, said, *argv)
    watched.start()
    async with asyncio.timeout(20.0):
        while len(said) < count:
            await slept(0.01)
    await watched.stop()
    return [line.rsplit("; ", 1)[1] for line in said[:count]]


async def test_pauses_grow_where_it_fails_at_once_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = await pauses_of(tmp_path, monkeypatch, *python("import sys; sys.exit('segue: SEGUE_PARTITIONS=x')"), count=7)

    assert said == [f"starting it again in {pause} s" for pause in ("0.5", "1", "2", "5", "10", "10", "10")]


async def test_what_refuses_rests_longer_than_what_crashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = await pauses_of(tmp_path, monkeypatch, *python(f"import sys; sys.exit({REFUSED})"), count=2)

    assert said == [f"starting it again in {REFUSED_PAUSE_S:g} s"] * 2


def test_after_it_ran_steadily_the_next_failure_is_the_first() -> None:
    pauses = Pauses()

    assert [pauses.after(ran_s) for ran_s in (1.0, 1.0, 1.0, STEADY_S + 1.0, 1.0)] == [0.5, 1.0, 2.0, 0.5, 1.0]


BARE = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "SEGUE_PARTITIONS": "many"}


@pytest.mark.slow
@pytest.mark.parametrize("forks", [False, True])
async def test_worker_with_settings_that_cannot_be_used_says_which(tmp_path: Path, forks: bool) -> None:
    said, env = list[str](), {**(os.environ if forks else {}), **BARE}
    argv, log = segue_argv("worker", "learner"), tmp_path / "learner.log"
    watched = Worker("learner", argv, env, log, said.append, pauses_s=(0.0,))
    watched.start()
    await until("it is said", lambda: bool(said), 60.0)
    await watched.stop()

    assert isinstance(watched.process, ForkedProcess) == forks
    assert said[0].startswith("learner ended with 2 (segue: SEGUE_PARTITIONS")
    assert "Traceback" not in (tmp_path / "learner.log").read_text()


# --- workers that are forked


@pytest.mark.parametrize(
    ("argv", "more"),
    [
        (segue_argv("topics", "create"), {}),
        (python("import segue.cli.main"), {}),
        (segue_argv("worker", "learner"), {"OPENBLAS_NUM_THREADS": "7"}),
    ],
)
def test_other_programs_and_other_environments_are_not_forked(argv: Sequence[str], more: Mapping[str, str]) -> None:
    assert can_fork(segue_argv("worker", "learner"), os.environ | BARE)
    assert not can_fork(argv, os.environ | more)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a Kafka that never answers: who connects waits."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextlib.asynccontextmanager
async def waiting(folder: Path, kafka: str, said: list[str], *kinds: str) -> AsyncIterator[list[Worker]]:
    """Workers that have tried to reach a Kafka."""
    env = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": kafka}
    workers = [
        Worker(kind, segue_argv("worker", kind), env, folder / f"{kind}.log", said.append, pauses_s=(0.0,))
        for kind in kinds
    ]
    for each in workers:
        each.start()
    try:
        await until("all are connected", lambda: all(connects(each) for each in workers), 60.0)
        yield workers
    finally:
        await asyncio.gather(*(each.stop() for each in workers))


def connects(watched: Worker) -> bool:
    return watched.process is not None and any(link.startswith("socket:") for link in open_files(watched.process.pid))


def open_files(pid: int) -> list[str]:
    """What a process holds open, nothing where it has ended; a file may be gone before it is looked at."""
    found = list[str]()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found.append(str(path.readlink()))
    return found


def catches(pid: int, signum: int) -> bool:
    """Whether a process has a handler for a signal (proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signum - 1) & 1)


@pytest.mark.slow
async def test_a_forked_worker_is_a_process_of_its_own_and_our_child(tmp_path: Path, silent: str) -> None:
    async with waiting(tmp_path, silent, [], "keeper", "learner") as workers:
        pids = [each.process.pid for each in workers if each.process is not None]
        shown = [psutil.Process(pid) for pid in pids]
        logs = [[link for link in open_files(pid) if link.startswith(str(tmp_path))] for pid in pids]

        await until(
            "they have their names", lambda: [each.name() for each in shown] == ["segue-keeper", "segue-learner"], 10.0
        )
        assert [each.cmdline() for each in shown] == [each.argv for each in workers]
        assert [each.ppid() for each in shown] == [os.getpid()] * 2
        assert [os.getsid(pid) for pid in pids] == pids
        assert logs == [[str(each.log)] for each in workers]

        await until("it listens to signals", lambda: catches(pids[1], signal.SIGTERM), 10.0)
        await workers[1].stop()

        assert workers[1].process is not None
        assert workers[1].process.returncode == 0, "SIGTERM ends it in order"


@pytest.mark.slow
async def test_a_forked_worker_that_is_killed_is_started_again_while_another_runs(tmp_path: Path, silent: str) -> None:
    said = list[str]()
    async with waiting(tmp_path, silent, said, "keeper", "learner") as workers:
        first = workers[0].process
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        await until("it runs again", lambda: workers[0].process is not first and connects(workers[0]), 30.0)

        assert said == ["keeper ended with -9 (it said nothing); starting it again in 0 s"]
        assert not Path(f"/proc/{first.pid}").exists()


@pytest.mark.slow
async def test_workers_outlive_their_fork_server_and_the_next_one_gets_another(tmp_path: Path, silent: str) -> None:
    said = list[str]()
    async with waiting(tmp_path, silent, said, "keeper") as (keeper,):
        server, first = fork_server(said.append), keeper.process
        assert first is not None
        os.kill(server.pid, signal.SIGKILL)
        await until("it has ended", lambda: psutil.Process(server.pid).status() == psutil.STATUS_ZOMBIE, 10.0)

        assert first.returncode is None

        first.kill()
        await until("it runs again", lambda: keeper.process is not first and connects(keeper), 60.0)

        assert said == [
            "keeper ended with -9 (it said nothing); starting it again in 0 s",
            "the fork server ended with -9 (it said nothing); its workers go on, starting another",
        ]


WITHOUT = "; workers are executed instead, which takes seconds longer"


@contextlib.asynccontextmanager
async def executed(folder: Path, kafka: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """What is said where a keeper, with a fork server of its own, is executed; it has connected, been killed, and connected again."""
    said = list[str]()
    monkeypatch.setattr(segue.forked, "_server", None)
    monkeypatch.setattr(segue.forked, "_told", None)
    prepare(said.append)
    async with waiting(folder, kafka, said, "keeper") as (keeper,):
        first = keeper.process
        assert first is not None
        first.kill()
        await until("it runs again", lambda: keeper.process is not first and connects(keeper), 60.0)

        assert not isinstance(first, ForkedProcess)
        assert not isinstance(keeper.process, ForkedProcess)
        yield said


@pytest.mark.slow
async def test_workers_are_executed_where_no_orphan_is_adopted(
    tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segue.forked, "adopt_orphans", lambda: False)
    async with executed(tmp_path, silent, monkeypatch) as said:
        assert said == [
            f"this system lets no process adopt orphans (prctl), expected Linux{WITHOUT}",
            "keeper ended with -9 (it said nothing); starting it again in 0 s",
        ]


@pytest.mark.slow
async def test_workers_are_executed_where_the_fork_server_ends_before_it_is_ready(
    tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'segue.forkserver' in sys.orig_argv:\n    os.write(2, b'no luck')\n    os._exit(1)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    async with executed(tmp_path, silent, monkeypatch) as said:
        assert said == [
            f"the fork server ended with 1 (no luck){WITHOUT}",
            "keeper ended with -9 (it said nothing); starting it again in 0 s",
        ]


@pytest.mark.slow
async def test_workers_wait_once_for_a_fork_server_that_is_never_ready(
    tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segue.forked, "READY_S", 0.5)
    (tmp_path / "sitecustomize.py").write_text(
        "import signal, sys\nif 'segue.forkserver' in sys.orig_argv:\n    signal.pause()\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    async with executed(tmp_path, silent, monkeypatch) as said:
        with pytest.raises(ForkServerError, match="was not ready"):
            fork_server(said.append)

        assert said == [
            f"the fork server was not ready within 0.5 s{WITHOUT}",
            "keeper ended with -9 (it said nothing); starting it again in 0 s",
        ]


@pytest.mark.slow
async def test_workers_are_not_forked_off_a_server_with_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    argv, before = segue_argv("worker", "learner"), dict(os.environ)
    fork_server(print)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")

    assert can_fork(argv, before)
    assert not can_fork(argv, os.environ)


def children() -> set[int]:
    return {each.pid for each in psutil.Process().children()}


@pytest.mark.slow
async def test_a_worker_whose_end_cannot_be_watched_does_not_stay(
    tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_pid: int) -> int:
        raise OSError(errno.EMFILE, "too many files")

    await fork_server(print).ready()
    env, before = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": silent}, children()
    monkeypatch.setattr(os, "pidfd_open", refuse)
    with (tmp_path / "log").open("wb") as log, pytest.raises(OSError, match="too many files"):
        await start_forked(segue_argv("worker", "keeper"), env, log, limit=1000, say=print)

    assert children() == before


@pytest.mark.slow
async def test_a_worker_that_answers_too_late_does_not_stay(
    tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segue.forked, "_server", None)
    env, before = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": silent}, children()
    await fork_server(print).ready()
    monkeypatch.setattr(segue.forked, "ANSWER_S", 0.0)  # it answers while its own end is waited for
    with (tmp_path / "log").open("wb") as log, pytest.raises(ForkServerError):
        await start_forked(segue_argv("worker", "keeper"), env, log, limit=1000, say=print)

    assert children() == before


@pytest.mark.slow
async def test_nothing_is_left_where_the_supervisor_is_killed(tmp_path: Path, silent: str) -> None:
    code = (
        "import asyncio, functools, os, sys\n"
        "from pathlib import Path\n"
        "from segue.forked import fork_server\n"
        "from segue.supervisor import Worker, segue_argv\n"
        "say = functools.partial(print, file=sys.stderr)\n"
        "async def main():\n"
        f"    worker = Worker('keeper', segue_argv('worker', 'keeper'), os.environ, Path({str(tmp_path / 'log')!r}), say)\n"
        "    worker.start()\n"
        "    while worker.process is None:\n"
        "        await asyncio.sleep(0.01)\n"
        "    print(worker.process.pid, fork_server(say).pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    env = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": silent}
    process = await asyncio.create_subprocess_exec(*python(code), env=env, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60.0):
            worker_pid, server_pid = map(int, (await process.stdout.readline()).split())

        assert runs(worker_pid)
        assert runs(server_pid)
    finally:
        process.kill()
        await process.wait()
    await until("both have ended", lambda: not runs(worker_pid) and not runs(server_pid), 20.0)


def runs(pid: int) -> bool:
    """Whether a process has not ended; one that nobody has waited for yet has."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
