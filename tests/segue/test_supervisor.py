"""A worker that fails is started again, whatever the failure was, and its log stays small."""

import asyncio
import sys
from pathlib import Path

import pytest

import segue.supervisor
from segue.supervisor import Worker


def worker(folder: Path, said: list[str], *argv: str) -> Worker:
    return Worker("dreamer", argv, {}, folder / "dreamer.log", said.append)


def python(code: str) -> tuple[str, ...]:
    return sys.executable, "-c", code


async def failures(folder: Path, monkeypatch: pytest.MonkeyPatch, *argv: str, count: int = 2) -> list[str]:
    """What is said of the first failures; the pauses between them are left out."""
    monkeypatch.setattr(segue.supervisor, "PAUSES_S", (0.0,))
    said = list[str]()
    watched = worker(folder, said, *argv)
    watched.start()
    async with asyncio.timeout(20.0):
        while len(said) < count:
            await asyncio.sleep(0.01)
    await watched.stop()

    assert watched.process is None or watched.process.returncode is not None
    return said[:count]


async def test_last_line_says_why_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = await failures(tmp_path, monkeypatch, *python("import sys; sys.exit('x' * 9000 + '\\nno luck')"))

    assert said == ["dreamer ended with 1 (no luck); starting it again in 0 s"] * 2


async def test_program_that_is_not_there_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = await failures(tmp_path, monkeypatch, str(tmp_path / "nothing"))

    assert all(line.startswith("dreamer failed: ") and "No such file" in line for line in said)


async def test_line_without_an_end_is_a_failure_like_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segue.supervisor, "_LINE_BYTES_MAX", 1000)
    said = await failures(tmp_path, monkeypatch, *python("import time; print('x' * 10000, flush=True); time.sleep(60)"))

    assert all(line.startswith("dreamer failed: ") for line in said)


async def test_great_log_is_set_aside_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segue.supervisor, "LOG_BYTES_MAX", 100)
    (tmp_path / "dreamer.log").write_text("old\n" * 100)
    await failures(tmp_path, monkeypatch, *python("print('new')"), count=1)

    assert (tmp_path / "dreamer.log.1").read_text() == "old\n" * 100
    assert "old" not in (tmp_path / "dreamer.log").read_text()
