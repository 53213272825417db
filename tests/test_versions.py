"""What lies in topics outlives releases: bytes of this release as they are, bytes of the one before, and those of a newer one.

A golden row that no longer matches is a change of State and wire: give it a new version, keep reading the old bytes, say it in CHANGELOG.md.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

import online_models.ranker
from online_models.listener import Listener
from online_models.listener_rows import BLOCK, KINDS, LIKE, PAGE_EVENTS, PLAY, Heard, Profile
from online_models.listeners import Listeners
from online_models.ranker import OBJECTIVES, Ranker, RankerMix
from online_models.track import COLUMN, COUNTERS, META, TrackMeta, TrackTable
from online_models.track_rows import apply_sums, newest_sums
from streams.deltas import KeeperMeta, TrackDelta, TrackReplica, apply_delta, decode_delta, encode_delta
from streams.growing import Growth, RowsError
from streams.keeper import KeeperProcessor
from streams.messages import (
    Context,
    DeadLetter,
    Experiment,
    ListeningEvent,
    MessageError,
    Playlist,
    PlaylistRequest,
    Slot,
    Track,
    decode,
    encode,
)
from streams.messages import (
    Profile as ProfileMessage,
)
from streams.processor import LearnerMeta
from streams.steps import WATERMARK, Step, laid_out
from streams.topics import LISTENERS_CHANGELOG, TRACKS_CHANGELOG
from streams.unsent import UNSENT, Unsent
from tests.builders import learner

AT_MS = 1_600_000_000_000
NAMES = (  # of the columns of counts, in their order on the wire: literally, since this is what must not change
    *("plays", "skips", "likes", "unlikes", "saves", "shares", "blocks", "completes", "trials", "successes"),
    *("plays_90d", "skips_90d", "popularity_14d"),
)
CATALOGUED: dict[str, Any] = {
    "track_id": "t1",
    "title": "Blue",
    "artist_id": "a1",
    "artist": "Ann",
    "tags": ["folk"],
    "duration_ms": 200,
    "released_ms": 300,
    "album_id": "al1",
    "content": [0.5],
}
_COUNTS = np.arange(1.0, 1.0 + len(NAMES))
_ALL_COUNTS = (
    "000000000000f03f000000000000004000000000000008400000000000001040000000000000144000000000000018400000000000001c40"
    "000000000000204000000000000022400000000000002440000000000000264000000000000028400000000000002a40"
)
_OLD_COUNTS = _ALL_COUNTS[: 16 * len(COUNTERS)]  # before there were decayed ones
PAGE_HEX = "02dc0020" + "".join(f"98a174c0cf00000174876e80{n:02x}000064{n:02x}90" for n in range(PAGE_EVENTS))
OLD_PAGE_HEX = "01dc0020" + "".join(f"97a174c0cf00000174876e80{n:02x}000064{n:02x}" for n in range(PAGE_EVENTS))

GOLDEN = {  # (key, value) of this release, or value alone
    "head": (
        "68616e6e",
        "02939720000100000001009298a27432a26131cf00000174876e806302055a4d91a4666f6c6b98a27433c0cf00000174876e80640600644e90",
    ),
    "page": ("7000000000616e6e", PAGE_HEX),
    "choices": (
        "6c616e6e",
        "029481a27432cf00000174876e806381a27433cf00000174876e806494a25345a532352d333491a4666f6c6b91a2613781a27434a27231",
    ),
    "catalogue": ("69743a7431", "0199a27431a4426c7565a26131a3416e6e91a4666f6c6bccc8cd012ca3616c3191cb3fe0000000000000"),
    "counts": ("63743a7431", "01" + _ALL_COUNTS),
    "vectors": ("76743a7431", "010000003f000000bf0000803e0000803f0000004000004040"),
    "neighbours": ("6e743a7431", "019291a4743a7432c408000000000000f83f"),
    "delta": (
        "",
        f"019a020792a4743a7431a4743a7432c40400000000c468{_ALL_COUNTS}c40400000000c40401000000c408000000000000e03fc40401000000"
        "c4180000803f0000004000004040000080400000a0400000c040",
    ),
    "learner meta": (
        "6d",
        "85a373657103a66576656e747309aa6475706c69636174657302ac646561645f6c65747465727301a664726966747304",
    ),
    "keeper meta": ("6d", "81a47365656e8200030509"),
    "watermark": ("77", "82b06c697374656e696e672d6576656e747305a96c697374656e65727302"),
    "block": (
        "72736b6970",
        "019792a3676170a56c696b656407cbbfd000000000000008c410000000000000e03f000000000000f0bfc410000000000000004000000000"
        "00000840c4200300000000000000010000000000000001000000000000000200000000000000",
    ),
    "curvature": (
        "72636f6d706c6574652f637572766174757265",
        "019292a3676170a56c696b6564c40c0000003f000080be0000803f",
    ),
}
OLDER = {  # of a release before there were the later fields and columns
    "head": (
        "68616e6e",
        "0193970200000000000000" + "9297a174c0cf00000174876e800000006400" + "97a174c0cf00000174876e800100006401",
    ),
    "page": ("7000000000616e6e", OLD_PAGE_HEX),
    "choices": ("6c616e6e", "019281a27431cf00000174876e800080"),
    "catalogue": ("69743a7431", "0192a27431a4426c7565"),
    "counts": ("63743a7431", "01" + _OLD_COUNTS),
    "delta": ("", f"0195020791a4743a7431c40400000000c450{_OLD_COUNTS}"),
    "learner meta": ("6d", "81a373657103"),
    "keeper meta": ("6d", "80"),
    "block": (  # features "gap", and "gone", which this release has no more
        "72736b6970",
        "019792a3676170a4676f6e6507cbbfd000000000000008c410000000000000e03f0000000000002240c41000000000000000400000000000002240"
        "c420" + "00" * 32,
    ),
    "curvature": (
        "72736b69702f637572766174757265",
        "019292a3676170a56c696b6564c40c0000003f000080be0000803f",
    ),  # of each objective
}


def golden(name: str, of: dict[str, tuple[str, str]] = GOLDEN) -> tuple[bytes, bytes]:
    key, value = of[name]
    return bytes.fromhex(key), bytes.fromhex(value)


def newer(name: str) -> tuple[bytes, bytes]:
    """The same row, of a version that this release does not know."""
    key, value = golden(name)
    return key, bytes([value[0] + 1]) + value[1:]


def listened() -> Listener:
    ann = Listener("ann")
    for n in range(PAGE_EVENTS):
        ann.learn_one(Heard("t", None, AT_MS + n, PLAY, 0, 100, n))
    ann.learn_one(
        Heard(
            track_id="t2", artist_id="a1", at_ms=AT_MS + 99, kind=LIKE, played_ms=5, share=90, mark=77, tags=("folk",)
        )
    )
    ann.learn_one(Heard("t3", None, AT_MS + 100, BLOCK, 0, 100, 78))
    ann.offer("t4", "r1")
    ann.introduce(Profile(country="SE", age_band="25-34", favourite_tags=["folk"], favourite_artists=["a7"]))
    return ann


def table() -> TrackTable:
    return TrackTable(dims=1, neighbours_max=2)


def known_track() -> tuple[TrackTable, int]:
    made = table()
    row = made.list_track(TrackMeta(**CATALOGUED))
    made.counts[row, [COLUMN[name] for name in NAMES]] = _COUNTS
    made.vectors[row] = [0.5, -0.5, 0.25, 1, 2, 3]
    made.neighbours[row, 0], made.neighbour_weights[row, 0] = made.add("t:t2"), 1.5
    return made, row


def known_delta() -> TrackDelta:
    zero, one = np.zeros(1, np.int32).tobytes(), np.ones(1, np.int32).tobytes()
    vectors, half = np.arange(1, 7, dtype=np.float32).tobytes(), np.array([0.5]).tobytes()
    return TrackDelta(
        source=2,
        seq=7,
        keys=["t:t1", "t:t2"],
        counts_at=zero,
        counts=_COUNTS.tobytes(),
        pairs_from=zero,
        pairs_to=one,
        pair_weights=half,
        vectors_at=one,
        vectors=vectors,
    )


@pytest.fixture
def two_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ranker of two features and two bins, so that its block is short."""
    monkeypatch.setattr(online_models.ranker, "FEATURES", ("gap", "liked"))
    monkeypatch.setattr(online_models.ranker, "BINS", 2)


def known_ranker() -> Ranker:
    made = Ranker()
    made.examples[1], made.model.intercepts[1], made.model.optimizer.n_iterations = 7, -0.25, 8
    made.model.optimizer.inverse[0] = [[0.5, -0.25], [-0.25, 1]]
    made.model.w[1], made.model.optimizer.g2[1], made.histograms[1] = [0.5, -1], [2, 3], [[3, 1], [1, 2]]
    return made


# --- this release's bytes, to the last one


def test_a_listeners_rows_are_the_golden_ones() -> None:
    assert dict(golden(name) for name in ("page", "head", "choices")) == listened().changed_rows()


def test_a_tracks_rows_are_the_golden_ones() -> None:
    made, row = known_track()

    expected = [golden(name) for name in ("catalogue", "counts", "vectors", "neighbours")]

    assert expected == [made.encode_row(section, row) for section in (b"i", b"c", b"v", b"n")]


def test_codes_of_kinds_are_what_rows_hold() -> None:
    assert KINDS == ("play", "skip", "like", "unlike", "save", "share", "block")


def test_a_delta_is_the_golden_one() -> None:
    assert golden("delta")[1] == encode_delta(known_delta())


def test_an_unsent_row_is_a_delta_with_number_0() -> None:
    sums, none = _COUNTS[None, :], np.zeros(0, np.int32)
    replica = TrackReplica(table(), 1)
    rows = np.array([replica.table.add("t:t1")], np.int32)

    key, value = Unsent(2, replica).add((rows, sums, none, none, np.zeros(0)))

    expected = TrackDelta(2, 0, ["t:t1"], np.zeros(1, np.int32).tobytes(), sums.tobytes())
    assert (UNSENT + bytes(7) + b"\x01", encode_delta(expected)) == (key, value)


def test_meta_and_watermark_rows_are_the_golden_ones() -> None:
    (watermark,) = laid_out(Step(), "changelog", {"listening-events": 5, "listeners": 2})

    assert golden("learner meta") == (
        META,
        msgspec.msgpack.encode(LearnerMeta(seq=3, events=9, duplicates=2, dead_letters=1, drifts=4)),
    )
    assert golden("keeper meta") == (META, msgspec.msgpack.encode(KeeperMeta({0: 3, 5: 9})))
    assert (golden("watermark"), WATERMARK) == ((watermark.key, watermark.value), watermark.key)


@pytest.mark.usefixtures("two_features")
def test_a_block_of_weights_is_the_golden_one() -> None:
    assert dict([golden("block"), golden("curvature")]) == known_ranker().changed_rows()


# --- and read again


def test_golden_rows_of_a_listener_are_read() -> None:
    again = Listener.restore("ann", dict(golden(name) for name in ("page", "head", "choices")).get)

    for field in ("counts", "base", "history", "liked", "blocked", "offered", "profile", "marks"):
        assert getattr(listened(), field) == getattr(again, field), field


def test_golden_rows_of_a_track_are_read() -> None:
    made, row = known_track()
    again = table()
    for name in ("catalogue", "counts", "vectors", "neighbours"):
        assert again.apply_row(*golden(name)) == row

    assert made.meta[row] == again.meta[row]
    for column in ("counts", "vectors", "neighbour_weights"):
        np.testing.assert_array_equal(getattr(made, column)[row], getattr(again, column)[row])
    assert again.keys[again.neighbours[row, 0]] == "t:t2"


@pytest.mark.usefixtures("two_features")
def test_the_golden_curvature_is_read() -> None:
    ranker = Ranker()
    ranker.restore(*golden("curvature"))

    assert ranker.model.optimizer.inverse[0].tolist() == [[0.5, -0.25], [-0.25, 1.0]]


@pytest.mark.usefixtures("two_features")
def test_an_older_curvature_of_an_objective_that_shares_one_is_left_alone() -> None:
    ranker, fresh = Ranker(), Ranker()
    ranker.restore(*golden("curvature", OLDER))

    assert ranker.model.optimizer.inverse.tolist() == fresh.model.optimizer.inverse.tolist()
    assert ranker.changed_rows() == {}


def test_the_golden_delta_is_read() -> None:
    assert known_delta() == decode_delta(golden("delta")[1])


# --- bytes of the release before


def test_an_older_listener_is_read() -> None:
    listeners = Listeners()
    for name in ("head", "choices"):
        listeners.apply_row(*golden(name, OLDER))
    ann = listeners.get("ann")

    assert (ann.counts, [each.mark for each in ann.history]) == ([2, 0, 0, 0, 0, 0, 0], [0, 1])
    assert (ann.liked, ann.blocked, ann.profile, ann.offered) == ({"t1": AT_MS}, {}, None, {})


def test_a_listener_who_goes_on_from_an_older_page_has_both() -> None:
    rows: dict[bytes, bytes | None] = dict([golden("page", OLDER)])
    rows[golden("head")[0]] = golden("head")[1]
    ann = Listener.restore("ann", rows.get)

    assert [each.tags for each in ann.history] == [()] * PAGE_EVENTS + [("folk",), ()]
    assert ann.history == listened().history


def test_an_older_track_is_read_by_keepers_and_by_who_follows_them() -> None:
    one, many = table(), table()
    rows: list[tuple[bytes, bytes | None]] = [golden(name, OLDER) for name in ("catalogue", "counts")]
    for key, value in rows:
        one.apply_row(key, value)
    sums, others = newest_sums(many, rows)
    many.apply_row(*others[0])
    apply_sums(many, b"c", sums[b"c"])

    for each in (one, many):
        row = each.index("t:t1")
        assert each.meta[row] == TrackMeta("t1", "Blue")
        assert each.counts[row].tolist() == [*range(1, 1 + len(COUNTERS)), 0.0, 0.0, 0.0]


def test_an_older_delta_is_added_and_an_older_unsent_row_is_sent() -> None:
    value, keeper_table, replica = golden("delta", OLDER)[1], table(), TrackReplica(table(), 1)
    apply_delta(keeper_table, decode_delta(value))
    unsent = Unsent(2, replica)
    unsent.restore(UNSENT + bytes(8), value)
    keys, (_, sums, *_) = unsent.take()

    expected = [*range(1, 1 + len(COUNTERS)), 0.0, 0.0, 0.0]
    assert expected == keeper_table.counts[keeper_table.index("t:t1")].tolist()
    assert ([UNSENT + bytes(8)], [expected]) == (keys, sums.tolist())


def test_older_and_newer_meta_rows_are_read_by_the_fields_that_are_known() -> None:
    later = msgspec.msgpack.encode({"seq": 4, "events": 5, "of_a_newer_release": [1]})
    one, keeper = learner(), KeeperProcessor(0, table())
    read = []
    for value in (golden("learner meta", OLDER)[1], later):
        one.restore(one.changelog, [(META, value)])
        read.append(one.meta)
    for value in (msgspec.msgpack.encode({"seen": {1: 2}, "of_a_newer_release": 1}), golden("keeper meta", OLDER)[1]):
        keeper.restore(keeper.changelog, [(META, value)])
        read.append(dict(keeper.seen))  # type: ignore[arg-type]

    assert [LearnerMeta(3), LearnerMeta(4, 5), {1: 2}, {}] == read


@pytest.mark.usefixtures("two_features")
@pytest.mark.parametrize(("of", "weights", "squared"), [(GOLDEN, [0.5, -1], [2, 3]), (OLDER, [0.5, 0], [2, 0])])
def test_a_block_is_read_by_the_features_that_are_known(
    of: dict[str, tuple[str, str]], weights: list[float], squared: list[float]
) -> None:
    ranker, mix = Ranker(), RankerMix()
    ranker.restore(*golden("block", of))
    mix.apply_row(0, *golden("block", of))

    assert (ranker.model.w[1].tolist(), ranker.model.optimizer.g2[1].tolist()) == (weights, squared)
    assert (ranker.examples.tolist(), ranker.model.intercepts[1], ranker.model.optimizer.n_iterations) == (
        [0, 7, *[0] * (len(OBJECTIVES) - 2)],
        -0.25,
        8,
    )
    np.testing.assert_allclose(mix.score_many(np.eye(2))["skip"], 1 / (1 + np.exp(0.25 - np.array(weights))))


# --- bytes of a newer release


def _listener(key: bytes, value: bytes) -> Any:
    rows = dict(golden(name) for name in ("page", "head", "choices")) | {key: value}
    return Listener.restore("ann", rows.get)


def _sums(key: bytes, value: bytes) -> Any:
    made = table()
    made.add("t:t1")
    return apply_sums(made, key[:1], {made.index("t:t1"): value})


@pytest.mark.parametrize(
    ("name", "read"),
    [
        *((name, _listener) for name in ("head", "page", "choices")),
        *(
            (name, lambda key, value: table().apply_row(key, value))
            for name in ("catalogue", "counts", "vectors", "neighbours")
        ),
        *((name, _sums) for name in ("counts", "vectors")),
        ("block", lambda key, value: Ranker().restore(key, value)),
        ("block", lambda key, value: RankerMix().apply_row(0, key, value)),
        ("delta", lambda _, value: decode_delta(value)),
    ],
)
def test_a_newer_row_is_refused_with_what_to_do(name: str, read: Callable[[bytes, bytes], Any]) -> None:
    version = golden(name)[1][0]
    seen, known = (rf"(b'\\x0)?{each}\b" for each in (version + 1, version))  # some are told as the byte
    with pytest.raises(ValueError, match=rf"version {seen}.*, expected (at most )?{known}.*newer.*update this"):
        read(*newer(name))


def test_a_newer_unsent_row_is_refused_before_anything_is_learnt_or_sent() -> None:
    unsent = Unsent(2, TrackReplica(table(), 1))
    unsent.restore(UNSENT + bytes(8), newer("delta")[1])

    for use in (unsent.adopt, unsent.take):
        with pytest.raises(ValueError, match=r"track delta: version 2, expected 1.*newer.*update this"):
            use()


@pytest.mark.parametrize("read", [lambda key, value: table().apply_row(key, value), _sums])
def test_counts_with_more_columns_are_a_newer_releases(read: Callable[[bytes, bytes], Any]) -> None:
    key, value = golden("counts")
    with pytest.raises(ValueError, match=r"14 counts, expected at most 13: a newer release wrote it, update this one"):
        read(key, value + bytes(8))


@pytest.mark.parametrize(("topic", "name"), [(LISTENERS_CHANGELOG, "head"), (TRACKS_CHANGELOG, "counts")])
def test_a_newer_row_is_not_copied_by_growing(topic: Any, name: str) -> None:
    version = golden(name)[1][0]
    with pytest.raises(
        RowsError, match=rf"version {version + 1}: unknown, expected at most {version}\b.*newer release"
    ):
        list(Growth({"listener": 1, "track": 1}, 2).place(topic, 0, dict([newer(name)])))


# --- public messages: fields are only added, each with a default

MESSAGES: list[tuple[Any, bytes]] = [
    (
        ListeningEvent("e", 1, "u", "t", "play", 2, "s", "r", 3, Context("radio", "phone", "SE", 4)),
        b'{"event_id":"e","at_ms":1,"user_id":"u","track_id":"t","kind":"play","played_ms":2,"session_id":"s","request_id":"r",'
        b'"position":3,"context":{"surface":"radio","device":"phone","country":"SE","hour":4}}',
    ),
    (
        Track("t", "T", "a", "A", "al", ["g"], 1, 2, [0.5]),
        b'{"track_id":"t","title":"T","artist_id":"a","artist":"A","album_id":"al","tags":["g"],"released_ms":1,"duration_ms":2,'
        b'"content":[0.5]}',
    ),
    (
        ProfileMessage("u", "SE", "25-34", ["g"], ["a"]),
        b'{"user_id":"u","country":"SE","age_band":"25-34","favourite_tags":["g"],"favourite_artists":["a"]}',
    ),
    (
        PlaylistRequest("r", "u", "radio", 5, ["t"], Context(hour=4), 100, True, 1, 7),
        b'{"request_id":"r","user_id":"u","surface":"radio","size":5,"seed_tracks":["t"],"context":{"hour":4},"deadline_ms":100,'
        b'"explain":true,"at_ms":1,"after_event":7}',
    ),
    (
        Playlist(
            *("r", "u", "radio", [Slot("t", 0, 0.5, 0.25, True, {"skip": 0.5}, ["c"], "why", "T", "A")], {"l": "a"}),
            *("m", "full", 1, 2.0, 3.0, 4, {"f": 1}, {"c": 2}, "no"),
        ),
        b'{"request_id":"r","user_id":"u","surface":"radio","tracks":[{"track_id":"t","rank":0,"score":0.5,"propensity":0.25,'
        b'"explored":true,"objectives":{"skip":0.5},"channels":["c"],"reason":"why","title":"T","artist":"A"}],"arms":{"l":"a"},'
        b'"model":"m","level":"full","at_ms":1,"latency_ms":2.0,"freshness_ms":3.0,"seen_events":4,"removed":{"f":1},'
        b'"channels":{"c":2},"error":"no"}',
    ),
    (
        DeadLetter("t", 1, 2, 3, "why", b"k", b"v", 4),
        b'{"topic":"t","partition":1,"offset":2,"at_ms":3,"reason":"why","key":"aw==","value":"dg==","left_out":4}',
    ),
    (
        Experiment("n", "l", {"a": 0.5}, {"a": {"x": 1.0}}, "s"),
        b'{"name":"n","layer":"l","arms":{"a":0.5},"settings":{"a":{"x":1.0}},"salt":"s"}',
    ),
]
LEAST: dict[type, bytes] = {
    ListeningEvent: b'{"event_id":"e","at_ms":1,"user_id":"u","track_id":"t","kind":"skip"}',
    Track: b'{"track_id":"t","title":"T"}',
    ProfileMessage: b'{"user_id":"u"}',
    PlaylistRequest: b'{"request_id":"r","user_id":"u"}',
    Playlist: b'{"request_id":"r","user_id":"u","tracks":[{"track_id":"t","rank":0,"score":0.5}]}',
    DeadLetter: b'{"topic":"t","partition":1,"offset":2,"at_ms":3,"reason":"why"}',
    Experiment: b'{"name":"n","layer":"l","arms":{"a":0.5}}',
}
_KINDS = {"argvalues": MESSAGES, "ids": [type(message).__name__ for message, _ in MESSAGES]}


@pytest.mark.parametrize(("message", "value"), **_KINDS)
def test_a_public_message_is_the_golden_one(message: msgspec.Struct, value: bytes) -> None:
    assert value == encode(message)
    assert message == decode(type(message), value)


@pytest.mark.parametrize(("message", "value"), **_KINDS)
def test_a_newer_message_is_read_by_the_fields_that_are_known(message: msgspec.Struct, value: bytes) -> None:
    assert message == decode(type(message), value.replace(b"{", b'{"of_a_newer_release":[{}],', 1))


@pytest.mark.parametrize("kind", LEAST, ids=lambda kind: kind.__name__)
def test_an_older_message_has_the_defaults_of_the_fields_that_came_since(kind: type[msgspec.Struct]) -> None:
    message = decode(kind, LEAST[kind])

    assert LEAST[kind] == encode(message)
    assert {type(full) for full, _ in MESSAGES} == set(LEAST)


def test_a_kind_of_event_that_only_a_newer_release_knows_is_refused_with_a_reason() -> None:
    with pytest.raises(MessageError, match="ListeningEvent: Invalid enum value 'hum'"):
        decode(ListeningEvent, LEAST[ListeningEvent].replace(b"skip", b"hum"))
