"""Listeners' rows that were moved out of memory: nobody can tell, but by the memory that they take."""

import logging
import os
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models.checks.made_up import listen
from online_models.checks.models.listener import known_of
from online_models.listener_rows import user_of
from online_models.listeners import Audience, Listeners
from serving.replica import Replica
from serving.runtime.worker import ServingWorker
from streams.messages import PlaylistRequest, encode
from streams.processor import LearnerProcessor
from streams.runtime import cold_rows
from streams.runtime.cold_rows import ROW_BYTES, ColdRowsError, RowSpace
from streams.runtime.engine import Engine
from streams.runtime.exits import FAILED
from streams.runtime.partition import Partition
from streams.runtime.store import Store
from streams.steps import WATERMARK
from streams.topics import LISTENERS, LISTENERS_CHANGELOG
from tests.builders import NOW_MS, event, learner, raw, record
from tests.runtime.fakes import SETTINGS, Counting, Group, MemoryStore, Rec
from tests.runtime.test_partition import EVENTS, chunk, end_of

KEYS = [b"key-%d" % n for n in range(12)]
moves = st.lists(
    st.tuples(st.sampled_from(["get", "put", "put", "pop", "has", "out"]), st.sampled_from(KEYS), st.integers(0, 400)),
    max_size=60,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files; rows are moved there a few at a time."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(cold_rows, "MOVED_BYTES", 600)
    return tmp_path


def files_open() -> list[Path]:
    """The rows' files of this test that are open: they have no name but this."""
    descriptors = [Path(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    return [
        each
        for each in descriptors
        if each.is_symlink() and os.readlink(each).startswith(f"{tempfile.gettempdir()}/segue-rows-")
    ]


def content() -> bytes:
    """What stands in those files."""
    return b"".join(each.read_bytes() for each in files_open())


def turn(seed: int, n: int) -> tuple[str, str]:
    """What happens next to whom: some are heard often, most seldom, and now and then somebody is erased."""
    rng = np.random.default_rng([seed, n])
    return f"user-{int(rng.zipf(1.3)) % 120}", "erase" if rng.random() < 0.03 else "play"


def hear(listeners: Listeners, user_id: str, n: int) -> None:
    """Five events of a listener, from the n-th on."""
    listener = listeners.get(user_id)
    for each in range(n, n + 5):
        listener.learn_one(listen(each))
    listeners.keep(listener, listener.changed_rows())


@settings(max_examples=200, deadline=None, derandomize=True)
@given(made=moves)
def test_rows_are_those_of_a_dict(made: list[tuple[str, bytes, int]]) -> None:
    space, expected = RowSpace(1500), dict[bytes, bytes]()
    rows, other = space.open(0), space.open(1)
    for what, key, size in made:
        if what == "get":
            assert rows.get(key) == expected.get(key)
        elif what == "put":
            rows[key] = expected[key] = bytes([size % 256]) * size
            other[key] = b"of another partition"
        elif what == "pop":
            assert rows.pop(key, None) == expected.pop(key, None)
        elif what == "has":
            assert (key in rows) == (key in expected)
        else:
            rows.move_out(1)

        assert space.bytes <= space.bytes_max
        assert space.bytes == rows.bytes + other.bytes
        assert len(rows) == len(expected)
        assert sorted(rows) == sorted(expected)
    assert dict(rows.items()) == expected
    space.close(0)
    space.close(1)
    assert space.bytes == 0


def test_a_key_that_is_nowhere_is_an_error() -> None:
    rows = RowSpace(1).open(0)
    rows[b"cold"] = b"value"

    with pytest.raises(KeyError):
        rows[b"other"]
    with pytest.raises(KeyError):
        del rows[b"other"]
    del rows[b"cold"]
    with pytest.raises(KeyError):
        del rows[b"cold"]


def test_those_used_longest_ago_go_first() -> None:
    space = RowSpace(3 * (ROW_BYTES + 10))
    rows = space.open(0)
    cold_rows.MOVED_BYTES = 1
    for key in (b"a", b"b", b"c"):
        rows[key] = b"x"
    rows.get(b"a")
    rows[b"d"] = b"x"

    assert (list(rows), rows.cold) == ([b"c", b"a", b"d", b"b"], 1)


def test_the_partition_that_has_most_gives_and_a_closed_one_gives_all_back() -> None:
    space = RowSpace(40 * ROW_BYTES)
    small, great = space.open(0), space.open(1)
    for key in KEYS[:5]:
        small[key] = b"x"
    for n in range(400):
        great[b"%d" % n] = b"x"

    assert (small.cold, len(great)) == (0, 400)
    assert great.cold > 300
    space.close(1)
    assert space.bytes == small.bytes


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_listeners_within_a_tenth_of_their_memory_are_the_same(seed: int) -> None:
    space = RowSpace(6000)
    bounded, unbounded = Listeners(events_max=20, rows=space.open(0)), Listeners()
    for n in range(600):
        user_id, what = turn(seed, n)
        for listeners in (bounded, unbounded):
            if what == "erase":
                listeners.erase(user_id)
            else:
                hear(listeners, user_id, n)
        assert space.bytes <= space.bytes_max
    weight = sum(ROW_BYTES + len(key) + len(value) for key, value in unbounded.rows.items())

    assert weight > 10 * space.bytes_max
    assert dict(bounded.rows.items()) == unbounded.rows
    assert (len(bounded), sorted(bounded.users())) == (len(unbounded), sorted(unbounded.users()))
    for user_id in unbounded.users():
        assert known_of(bounded.get(user_id)) == known_of(unbounded.get(user_id))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_learner_over_cold_rows_writes_what_one_in_memory_does(seed: int) -> None:
    space = RowSpace(6000)
    bounded, unbounded = learner(), learner()
    bounded.listeners, unbounded.listeners = Listeners(events_max=20, rows=space.open(0)), Listeners(events_max=20)
    written = list[dict[bytes, bytes | None]]()
    for n in range(150):
        records = []
        for each in range(4):
            user_id, what = turn(seed, 4 * n + each)
            message = event(user_id, f"t{n % 7}", at_ms=NOW_MS + n, event_id=f"e{n}-{each}")
            records.append(record(message) if what == "play" else raw(LISTENERS.name, None, user_id.encode()))
        one, other = bounded.step(records, NOW_MS), unbounded.step(records, NOW_MS)

        assert list(one.rows.items()) == list(other.rows.items())
        written.append(one.rows)
    again = learner()
    again.listeners = Listeners(events_max=20, rows=space.open(1))
    restore(again, written)

    assert dict(again.listeners.rows.items()) == unbounded.listeners.rows == dict(bounded.listeners.rows.items())
    assert bounded.listeners.rows.cold > 50  # type: ignore[attr-defined]


def restore(processor: LearnerProcessor, written: list[dict[bytes, bytes | None]]) -> None:
    for rows in written:
        processor.restore(LISTENERS_CHANGELOG.name, list(rows.items()))


def test_an_audience_over_cold_rows_knows_everybody_and_lets_partitions_go() -> None:
    space = RowSpace(3000)
    source, plain, cold = Listeners(), Audience(events_max=20), Audience(events_max=20, shelves=space)
    for n in range(60):
        listener = source.get(f"user-{n}")
        hear(source, listener.user_id, n)
    for number in (0, 1):
        rows = [(key, value) for key, value in source.rows.items() if int(user_of(key)[5:]) % 2 == number]
        cold.apply_rows(number, [*rows[:10], (b"w", b"no row of a listener")])
        for key, value in rows:
            plain.apply_row(number, key, value)
            cold.apply_row(number, key, value)

    assert len(cold) == len(plain) == 60
    assert sum(cast(Any, listeners.rows).cold for listeners in cold.partitions.values()) > 30
    for n in range(60):
        assert known_of(cold.get(f"user-{n}")) == known_of(plain.get(f"user-{n}"))
    cold.keep_only([1])
    assert len(cold) == 30
    assert space.bytes == cast(Any, cold.partitions[1].rows).bytes
    cold.keep_only([])
    assert (space.bytes, files_open()) == (0, [])


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the file has no name: only /proc finds it")
def test_who_is_erased_leaves_the_file_too() -> None:
    listeners = Listeners(events_max=0, rows=RowSpace(1).open(0))
    for user_id in ("ann", "bob"):
        hear(listeners, f"somebody-called-{user_id}", 0)
    assert b"somebody-called-ann" in content()
    listeners.erase("somebody-called-ann")

    assert b"somebody-called-ann" not in content()
    assert b"somebody-called-bob" in content()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the file has no name: only /proc finds it")
def test_the_file_has_no_name_and_goes_with_its_rows(folder: Path) -> None:
    space = RowSpace(1)
    space.open(0)[b"key"] = b"value"
    assert (len(files_open()), list(folder.iterdir())) == (1, [])
    space.open(0)  # in place of those

    assert files_open() == []


@pytest.mark.slow
def test_memory_is_within_the_bound_as_python_counts_it() -> None:
    cold_rows.MOVED_BYTES = 1 << 16
    space = RowSpace(4 << 20)
    rows = space.open(0)
    tracemalloc.start()
    try:
        for n in range(40_000):
            rows[b"%012d" % n] = b"%012d of a short row" % n
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert rows.cold > 10_000
    assert held < 1.25 * space.bytes_max + cold_rows._FILTER_BITS / 8


def test_a_folder_that_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere/at/all")

    with pytest.raises(ColdRowsError, match=r"in /nowhere/at/all cannot be used.*TMPDIR.*SEGUE_LISTENER_ROWS_MB"):
        RowSpace(1).open(0)[b"key"] = b"value"


def test_a_full_disk_is_said() -> None:
    rows = RowSpace(1).open(0)
    rows[b"key"] = b"value"
    assert rows._file is not None
    rows._file.execute("PRAGMA max_page_count=5")

    with pytest.raises(ColdRowsError, match=r"disk is full\. Make room there"):
        rows.update({b"%d" % n: bytes(1000) for n in range(100)})


async def test_a_learner_that_cannot_move_rows_out_ends_and_says_why(
    exits: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere/at/all")
    store, rows = MemoryStore(), RowSpace(1).open(0)
    monkeypatch.setattr(store.processor, "step", lambda records, now_ms: rows.update({b"key": b"value"}))
    partition = Partition(cast(Any, store), cast(Any, Group()))
    with caplog.at_level(logging.CRITICAL):
        await partition.put(EVENTS, chunk([0]))
        await end_of(partition)

    assert exits == [FAILED]
    assert "let TMPDIR name a folder that has it" in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_serving_worker_that_cannot_read_rows_ends_rather_than_answer_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker: Any = ServingWorker(SETTINGS, clock_ms=lambda: 1000.0)

    def fail(*_: object) -> None:
        raise ColdRowsError("no room")

    monkeypatch.setattr(worker._radio, "recommend", fail)
    request = PlaylistRequest(request_id="r1", user_id="ann")

    with pytest.raises(ColdRowsError):
        worker._answer(Rec(0, b"ann", encode(request)), request)


def test_a_serving_worker_bounds_its_listeners() -> None:
    worker: Any = ServingWorker(SETTINGS)
    replica: Replica = worker._replica
    replica.listeners.apply_row(0, b"hann", b"value")

    space = worker._replica.listeners._shelves
    assert space.bytes_max == SETTINGS.listener_rows_mb << 20
    assert space.bytes == ROW_BYTES + 9


async def test_a_partition_that_is_given_back_gives_its_rows_back() -> None:
    space = RowSpace(1 << 20)
    engine = Engine(SETTINGS, "learner", lambda number: cast(Any, None), ("events",), closed=space.close)
    partition = Partition(cast(Any, MemoryStore()), cast(Any, Group()))
    engine.partitions[3] = partition
    space.open(3)[b"key"] = b"value"
    space.open(4)[b"key"] = b"value"
    await engine._close([3, 5])

    assert space.bytes == ROW_BYTES + 8


def test_a_restore_takes_the_last_watermarks_and_gives_the_processor_the_rest() -> None:
    counting = Counting()
    store = Store(SETTINGS, "test", 3, counting)
    store._take("rows", [(b"a", b"1"), (WATERMARK, msgspec.msgpack.encode({"events": 1})), (b"b", None)])
    store._take(
        "rows", [(WATERMARK, msgspec.msgpack.encode({"events": 2})), (WATERMARK, msgspec.msgpack.encode({"events": 3}))]
    )
    store._take("more", [(WATERMARK, b"no watermark of ours")])

    assert store.watermarks == {"events": 3}
    assert counting.restored == [
        ("rows", b"a", b"1"),
        ("rows", b"b", None),
        ("more", WATERMARK, b"no watermark of ours"),
    ]
    assert store.restored_rows == 6
