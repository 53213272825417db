"""The track keeper: it lists, it adds, it drops what it has seen, and it never stops at what is broken."""

import msgspec
import numpy as np
import pytest

from online_models.track import COLUMN, COLUMNS, TrackTable
from streams.deltas import KeeperMeta, TrackDelta, encode_delta
from streams.keeper import KeeperProcessor
from streams.steps import Record, Step
from streams.topics import TRACK_DELTAS, TRACKS
from tests.builders import DIMS, NOW_MS, counter, dead_letters, keeper, raw, record, records, track

WIDTH = 2 * DIMS + 4


def delta(seq: int = 1, source: int = 0, plays: float = 1.0, key: str = "t:t1") -> TrackDelta:
    counts = np.zeros(len(COLUMNS))
    counts[COLUMN["plays"]] = plays
    return TrackDelta(source, seq, [key], counts_at=np.zeros(1, np.int32).tobytes(), counts=counts.tobytes())


def sent(*values: TrackDelta | bytes | None) -> list[Record]:
    encoded = [encode_delta(value) if isinstance(value, TrackDelta) else value for value in values]
    return [raw(TRACK_DELTAS.name, value, b"\0\0\0\0", offset) for offset, value in enumerate(encoded)]


def restored(*steps: Step) -> KeeperProcessor:
    again = KeeperProcessor(0, TrackTable(dims=DIMS))
    for step in steps:
        again.restore(again.changelog, list(step.rows.items()))
    return again


def test_plays_of_a_track_add_up() -> None:
    one = keeper()

    one.step(sent(delta(1, plays=2.0), delta(2, plays=3.0)), NOW_MS)

    assert counter(one.table, "t:t1", "plays") == 5.0


def test_a_delta_that_was_seen_is_dropped() -> None:
    one = keeper()

    one.step(sent(delta(1), delta(1), delta(2), delta(1)), NOW_MS)
    one.step(sent(delta(2)), NOW_MS)

    assert counter(one.table, "t:t1", "plays") == 2.0


def test_two_learners_number_their_deltas_by_themselves() -> None:
    one = keeper()

    one.step(sent(delta(1, source=0), delta(1, source=1)), NOW_MS)

    assert counter(one.table, "t:t1", "plays") == 2.0


def test_what_was_seen_is_written_before_the_rows_that_hold_it() -> None:
    step = keeper().step(sent(delta(7, source=3)), NOW_MS)

    first = next(iter(step.rows.items()))

    assert first == (b"m", msgspec.msgpack.encode(KeeperMeta({3: 7})))


def test_a_keeper_that_restarts_drops_what_the_one_before_has_seen() -> None:
    again = restored(keeper().step(sent(delta(1), delta(2)), NOW_MS))

    again.step(sent(delta(1), delta(2), delta(3)), NOW_MS)

    assert counter(again.table, "t:t1", "plays") == 3.0


def test_a_step_writes_the_rows_that_changed_and_no_others() -> None:
    one = keeper(track("t1"), track("t2"))

    step = one.step(sent(delta(1)), NOW_MS)

    assert set(step.rows) == {b"m", b"ct:t1"}


def test_nothing_waits_for_a_flush() -> None:
    one = keeper()
    one.step(sent(delta(1)), NOW_MS)

    assert not one.flush(NOW_MS)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (None, "version None"),
        (b"", "version None"),
        (b"\x02", "version 2"),
        (b"\x01", "truncated"),
        (b"\x01\xff\xff", "track delta"),
        (b"\x01" + b"\x9c\x01\x01\x90" + b"\xc4\x00" * 7 + b"\x91" * 100_000 + b"\x90", "recursion"),
        (b"\x01\x93\x01\x01\x91\xa1\xff", "utf-8"),
        (
            encode_delta(TrackDelta(0, 1, ["t:t1"], counts_at=b"\0\0\0\0", counts=b"\0" * 8 * (len(COLUMNS) + 1))),
            "at most",
        ),
        (encode_delta(TrackDelta(0, 1, ["t:t1"], counts_at=b"\0\0\0\0", counts=b"\0" * 7)), "multiple"),
        (encode_delta(TrackDelta(0, 1, ["t:t1"], counts_at=b"\0\0")), "multiple"),
        (encode_delta(TrackDelta(0, 1, ["t:t1"], counts_at=b"\1\0\0\0", counts=b"\0" * 8 * len(COLUMNS))), "place"),
        (encode_delta(TrackDelta(0, 1, ["t:t1"], vectors_at=b"\xff" * 4, vectors=b"\0" * 4 * WIDTH)), "place"),
        (encode_delta(TrackDelta(0, 1, ["t:t1"], vectors_at=b"\0" * 4, vectors=b"\0" * 4 * 200)), "reshape"),
        (encode_delta(TrackDelta(0, 1, ["t:t1"], pairs_from=b"\0" * 4, pair_weights=b"\0" * 8)), "pairs"),
        (encode_delta(delta(plays=float("nan"))), "not finite"),
        (encode_delta(delta(plays=float("inf"))), "not finite"),
        (
            encode_delta(
                TrackDelta(0, 1, ["t:t1"], vectors_at=b"\0" * 4, vectors=np.full(WIDTH, np.nan, np.float32).tobytes())
            ),
            "not finite",
        ),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_broken_delta_goes_to_the_dead_letters_and_nothing_of_it_is_added(broken: bytes | None, says: str) -> None:
    one = keeper(track("t1"))
    counts, vectors, known = one.table.counts.copy(), one.table.vectors.copy(), len(one.table)

    step = one.step(sent(broken), NOW_MS)

    letter = dead_letters(step)[0]
    assert says in letter.reason
    assert (letter.topic, letter.offset, letter.value) == (TRACK_DELTAS.name, 0, broken)
    assert len(one.table) == known
    assert np.array_equal(one.table.counts, counts)
    assert np.array_equal(one.table.vectors, vectors)
    assert one.seen == {}


def test_a_broken_delta_makes_no_row_for_the_keys_that_it_names() -> None:
    one = keeper()

    broken = TrackDelta(0, 1, ["t:new"], counts_at=b"\0\0\0\0", counts=b"\0" * 8 * (len(COLUMNS) + 1))
    one.step(sent(encode_delta(broken)), NOW_MS)

    assert one.table.index("t:new") == 0


def test_what_comes_after_a_broken_delta_still_counts() -> None:
    one = keeper()

    one.step(sent(delta(1), b"junk", delta(2)), NOW_MS)

    assert counter(one.table, "t:t1", "plays") == 2.0


def test_a_track_is_listed_with_its_artist_and_tags() -> None:
    one = keeper(track("t1", "a1", ["folk", "jazz"]))
    row = one.table.index("t:t1")

    parts = [one.table.keys[part] for part in one.table.parts[row] if part]

    assert one.table.listed[row]
    assert parts == ["t:t1", "a:a1", "g:folk", "g:jazz"]


def test_a_tombstone_takes_a_track_out_of_the_catalogue_and_keeps_what_was_learnt() -> None:
    one = keeper(track("t1"))
    one.step(sent(delta(1, plays=4.0)), NOW_MS)

    step = one.step([raw(TRACKS.name, None, b"t1")], NOW_MS)

    assert step.rows[b"it:t1"] is None
    assert not one.table.listed[one.table.index("t:t1")]
    assert counter(one.table, "t:t1", "plays") == 4.0


def test_a_track_that_comes_back_has_its_counts_back() -> None:
    one = keeper(track("t1"))
    first = one.step(sent(delta(1, plays=4.0)), NOW_MS)
    gone = one.step([raw(TRACKS.name, None, b"t1")], NOW_MS)

    back = one.step([record(track("t1", title="Again"))], NOW_MS)

    again = restored(first, gone, back)
    assert again.table.meta[again.table.index("t:t1")].title == "Again"
    assert counter(again.table, "t:t1", "plays") == 4.0


def test_a_tombstone_of_what_nobody_knows_changes_nothing() -> None:
    one = keeper(track("t1"))

    step = one.step([raw(TRACKS.name, None, b"unknown")], NOW_MS)

    assert set(step.rows) == {b"m"}
    assert dead_letters(step) == []
    assert len(one.table.listed_rows()) == 1


@pytest.mark.parametrize(
    ("value", "key", "says"),
    [
        (None, None, "tombstone without a key"),
        (b"{}", b"t1", "missing required field"),
        (b'{"track_id":"t1","title":"x"}', b"t2", "expected the message's track_id"),
        (b'{"track_id":"t1","title":"x"}', None, "expected the message's track_id"),
        (b'{"track_id":"t1","title":"x","released_ms":1' + b"0" * 30 + b"}", b"t1", "released_ms"),
        (b'{"track_id":"t1","title":"x","released_ms":-1' + b"0" * 30 + b"}", b"t1", "released_ms"),
        (b'{"track_id":"t1","title":"x","content":[1e999]}', b"t1", "out of range"),
        (b'{"track_id":"\\ud800","title":"x"}', b"t1", "surrogate"),
        (b'{"track_id":"t1","title":"x","tags":["' + b"a" * 65 + b'"]}', b"t1", "length <= 64"),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_a_broken_catalogue_row_goes_to_the_dead_letters(value: bytes | None, key: bytes | None, says: str) -> None:
    one = keeper()

    step = one.step([raw(TRACKS.name, value, key, 5)], NOW_MS)

    letter = dead_letters(step)[0]
    assert says in letter.reason
    assert (letter.topic, letter.offset, letter.key, letter.value) == (TRACKS.name, 5, key, value)
    assert len(one.table) == 1


def test_a_track_of_long_ago_is_listed() -> None:
    one = keeper(track("t1", released_ms=-3_000_000_000_000))

    assert one.table.meta[one.table.index("t:t1")].released_ms == -3_000_000_000_000


def test_a_restored_keeper_knows_what_the_living_one_knows() -> None:
    living = KeeperProcessor(0, TrackTable(dims=DIMS))
    steps = [
        living.step(records([track("t1"), track("t2", "a2", ["jazz"])]), NOW_MS),
        living.step(sent(delta(1, plays=2.0), delta(2, key="a:a1")), NOW_MS),
    ]

    again = restored(*steps)

    for key in ("t:t1", "t:t2", "a:a1"):
        for section in (b"i", b"c", b"n"):
            expected = living.table.encode_row(section, living.table.index(key))
            assert expected == again.table.encode_row(section, again.table.index(key))
    assert living.seen == again.seen


def test_of_rows_that_are_restored_at_once_the_last_of_each_key_counts() -> None:
    living, again = KeeperProcessor(0, TrackTable(dims=DIMS)), KeeperProcessor(0, TrackTable(dims=DIMS))
    steps = [
        living.step(records([track("t1"), track("t2")]), NOW_MS),
        living.step(sent(delta(1, plays=2.0)), NOW_MS),
        living.step(sent(delta(2, plays=3.0)), NOW_MS),
    ]

    again.restore(again.changelog, [row for step in steps for row in step.rows.items()])

    assert again.table.counts[again.table.index("t:t1"), COLUMN["plays"]] == 5.0
    assert again.seen == living.seen
    assert again.table.meta.keys() == living.table.meta.keys()
