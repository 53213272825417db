"""`segue up` as a user runs it: a broker of its own, all workers, and what was learnt is kept."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from segue.embedded.running import running_broker
from segue.supervisor import segue_argv
from tests.integration.ledger import until
from tests.segue.test_cli import log


def environ(home: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "SEGUE_"))}
    return {**clean, "SEGUE_HOME": str(home)}


class Up:
    """A running `segue up`; `said` is what it printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process, self.said = process, ""

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said += line.decode()

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@contextlib.asynccontextmanager
async def up(home: Path, *arguments: str) -> AsyncIterator[Up]:
    """Start it; SIGINT ends it, and nothing may be left."""
    process = await asyncio.create_subprocess_exec(
        *segue_argv("up", *arguments), env=environ(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    running = Up(process)
    reading = asyncio.create_task(running.read())
    try:
        yield running
        children = running.children()
        process.send_signal(signal.SIGINT)
        code = await asyncio.wait_for(process.wait(), 60.0)
        await reading

        assert code == 0, running.said
        assert not [child for child in children if child.is_running()]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ask(home: Path, *arguments: str) -> Any:
    """The JSON that another command prints."""
    code, out, err = await told(home, *arguments)

    assert code == 0, err.decode()
    return orjson.loads(out)


async def told(home: Path, *arguments: str) -> tuple[int | None, bytes, bytes]:
    """Exit code, standard output and errors of another command."""
    process = await asyncio.create_subprocess_exec(
        *segue_argv(*arguments), env=environ(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60.0)
    return process.returncode, out, err


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_log_is_learnt_once_whatever_ends_and_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker, then all of it, then its broker."""
    path, home = log(tmp_path), tmp_path / "home"
    async with up(home, "--events", str(path), "--json", str(tmp_path / "up.json")) as first:
        await until("the log is learnt", lambda: "learnt all 60 events" in first.said, 120.0)
        known = await ask(home, "listener", "ann", "--json")

        assert (known["plays"], known["skips"], known["events"]) == (40, 20, 60)
        assert known["recent_tracks"][0] == "Song 3 – Ann"
        code, _, err = await told(home, "up")

        assert (code, b"already up" in err) == (2, True)
        learner = next(child for child in first.children() if child.cmdline()[-1] == "learner")
        learner.send_signal(signal.SIGKILL)
        await until("the supervisor says why it starts the learner again", lambda: "ended with -9" in first.said, 30.0)
    figures = orjson.loads((tmp_path / "up.json").read_bytes())

    assert (figures["events_in"], figures["events_learnt"], figures["dead_letters"]) == (60, 60, 0)
    assert figures["restarts"] >= 1
    async with up(home, "--events", str(path)) as again:
        await until("it says that all was played", lambda: "60 of them before" in again.said, 120.0)
        broker = next(child for child in again.children() if child.name() == "java")
        broker.send_signal(signal.SIGKILL)
        await until("it is said", lambda: "the broker's process has ended" in again.said, 30.0)
        monkeypatch.setenv("SEGUE_HOME", str(home))
        await until("a broker answers again", lambda: running_broker() is not None, 60.0)
        async with asyncio.timeout(90.0):
            while (await told(home, "playlist", "ann"))[0] == 1:  # its workers are not up yet
                pass

        assert (await ask(home, "listener", "ann", "--json"))["events"] == 60


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_simulated_listeners_are_answered_and_it_ends_by_itself(tmp_path: Path) -> None:
    """However slow the machine is: they are answered sooner or later; then the same home again, for a second."""
    home, simulated = tmp_path / "home", ("--listeners", "5", "--json")
    async with up(home, *simulated, str(tmp_path / "up.json")) as running:
        fresh = re.compile(r"learnt [1-9][0-9,]* events .*, ([6-9]|[1-9][0-9]+) playlists .*freshness p50 [0-9]")
        await until("playlists reflect what was played", lambda: bool(fresh.search(running.said)), 120.0)
    figures = orjson.loads((tmp_path / "up.json").read_bytes())

    assert (figures["errors"], figures["dead_letters"], figures["restarts"]) == (0, 0, 0)
    assert figures["playlists"] > 5
    assert figures["events_learnt"] > 0
    assert figures["freshness_p50_ms"] > 0

    code, out, _ = await told(home, "up", "--seconds", "1", *simulated, str(tmp_path / "again.json"))

    assert code == 0, out.decode()
    assert orjson.loads((tmp_path / "again.json").read_bytes())["restarts"] == 0
