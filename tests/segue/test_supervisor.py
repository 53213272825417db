"""A worker that fails is started again, whatever the failure was, and its log stays small."""

import asyncio
import sys
from pathlib import Path

import pytest

import segue.supervisor
from segue.supervisor import REFUSED_PAUSE_S, STEADY_S, Pauses, Worker, segue_argv
from streams.runtime.exits import REFUSED
from streams.runtime.settings import Settings


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


async def test_worker_with_settings_that_cannot_be_used_says_which(tmp_path: Path) -> None:
    said, env = list[str](), {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "SEGUE_PARTITIONS": "many"}
    argv, log = segue_argv("worker", "learner"), tmp_path / "learner.log"
    watched = Worker("learner", argv, env, log, said.append, pauses_s=(0.0,))
    watched.start()
    async with asyncio.timeout(60.0):
        while not said:
            await asyncio.sleep(0.01)
    await watched.stop()

    assert said[0].startswith("learner ended with 2 (segue: SEGUE_PARTITIONS")
    assert "Traceback" not in (tmp_path / "learner.log").read_text()
