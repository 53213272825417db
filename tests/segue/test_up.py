"""`segue up` without a broker: what is refused before anything starts, and an end that comes while it starts."""

import asyncio
import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segue.cli.show import Show
from segue.cli.up import until_ended
from segue.cli.view import View
from segue.cluster import RunningCluster
from segue.embedded.running import claim
from segue.errors import InputError
from segue.monitor import Monitor
from segue.simulation.traffic import Figures
from streams.processor import LearnerMeta
from streams.runtime.settings import Settings
from tests.segue.test_cli import segue_here


async def test_the_end_cancels_a_start_and_leaves_nothing_entered() -> None:
    ended, left = asyncio.Event(), list[str]()

    @contextlib.asynccontextmanager
    async def slow() -> Any:
        try:
            ended.set()
            await asyncio.sleep(60)
            yield
        finally:
            left.append("cleaned up")

    async def start() -> None:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(slow())

    await asyncio.wait_for(until_ended(start(), ended), 5.0)

    assert left == ["cleaned up"]


async def test_what_comes_after_the_end_is_not_begun() -> None:
    ended, begun = asyncio.Event(), list[str]()

    async def work() -> None:
        begun.append("work")

    await until_ended(work(), ended)
    ended.set()
    await until_ended(work(), ended)

    assert begun == ["work"]


async def test_an_error_ends_it() -> None:
    async def work() -> None:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        await until_ended(work(), asyncio.Event())


def test_fresh_is_refused_on_a_kafka_that_keeps_what_was_learnt(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "played-x.json").write_text("{}")
    done = segue_here("up", "--fresh", home=tmp_path, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9")

    assert done.returncode == 2
    assert "KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:9" in done.stderr
    assert "SEGUE_TOPIC_PREFIX" in done.stderr
    assert (tmp_path / "data" / "played-x.json").exists()


def test_a_setting_that_cannot_be_used_ends_up_with_2(tmp_path: Path) -> None:
    done = segue_here("up", home=tmp_path, SEGUE_PARTITIONS="lots")

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "SEGUE_PARTITIONS='lots', expected a whole number" in done.stderr


def test_a_folder_is_held_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path))
    with claim() as folder, pytest.raises(InputError, match="already up"), claim():
        raise AssertionError("not reached")
    with claim() as again:
        assert again == folder == tmp_path


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = segue_here("up", home=tmp_path, SEGUE_HOME=str(tmp_path / "file" / "home"))

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "expected a folder that can be written: set SEGUE_HOME" in done.stderr


def test_a_broken_log_is_said_before_anything_starts_or_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "played-x.json").write_text("{}")
    (tmp_path / "log.jsonl").write_text('{"event_id": \n')
    done = segue_here("up", "--fresh", "--events", "log.jsonl", home=tmp_path)

    assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (2, 1, "")
    assert "log.jsonl, line 1" in done.stderr
    assert (tmp_path / "data" / "played-x.json").exists()


def test_what_is_neither_file_nor_folder_is_no_log(tmp_path: Path) -> None:
    done = segue_here("up", "--events", "/dev/null", home=tmp_path)

    assert (done.returncode, done.stderr) == (2, "segue: /dev/null: neither file nor folder\n")


def test_there_are_figures_even_where_nothing_came_up() -> None:
    cluster = SimpleNamespace(settings=Settings(bootstrap="nowhere:1"), workers=[])
    figures = Show(cluster, lambda _: None).summary()  # type: ignore[arg-type]

    assert (figures["events_in"], figures["playlists"], figures["restarts"]) == (Figures().events, 0, 0)


@pytest.mark.parametrize(
    ("at_first", "earlier", "now", "said"),
    [
        (0, 0, 7932, "7,932 of 73,789 events"),
        (0, 0, 73_789, "73,789 events"),
        (2900, 3000, 7932, "7,932 of 73,789 events"),  # what was played earlier is not learnt yet
        (8000, 3000, 9000, "9,000 of 78,789 events"),  # five thousand of others
    ],
)
def test_it_is_said_of_how_many_events_of_a_log_so_many_are_learnt(
    at_first: int, earlier: int, now: int, said: str
) -> None:
    monitor = Monitor(Settings(bootstrap="nowhere:1"))
    view = View(monitor, Figures())
    monitor._metas[0] = LearnerMeta(events=at_first)
    view.expect(73_789, earlier)
    monitor._metas[0] = LearnerMeta(events=now)

    assert view.line().startswith(f"learnt {said} (")


@pytest.mark.parametrize(
    ("env", "known_as"),
    [
        ({}, "here"),
        ({"SEGUE_TOPIC_PREFIX": "p-"}, "here-p"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "k:9092", "SEGUE_TOPIC_PREFIX": "p-"}, "k-9092-p"),
    ],
)
def test_files_of_two_sets_of_topics_have_two_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], known_as: str
) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "SEGUE_TOPIC_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    assert RunningCluster(tmp_path, print).kafka_id == known_as


def test_a_given_kafka_is_named_and_not_the_one_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "other:1")

    assert RunningCluster(tmp_path, print, settings=Settings(bootstrap="k:9092")).kafka_id == "k-9092"
