"""The learner's write path: exact counts, refusals with their reason, erasure, offers counted once."""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec
import pytest

from online_models.drift import Alarm
from online_models.features import FEATURES
from online_models.listener import Listener
from online_models.listener_rows import KIND_CODE, KINDS
from online_models.ranker import OBJECTIVES, Ranker, decode_block
from streams.deltas import apply_delta, decode_delta
from streams.lesson import LIKE_SAMPLE
from streams.messages import FUTURE_MS_MAX, Playlist, Profile
from streams.processor import LearnerMeta, LearnerProcessor
from streams.steps import Step, next_step
from streams.topics import DEAD_LETTERS, LISTENERS, LISTENING_EVENTS, PLAYLISTS, RANKER_WEIGHTS, TRACK_DELTAS
from streams.unsent import UNSENT
from tests.builders import (
    NOW_MS,
    counter,
    dead_letters,
    event,
    keeper,
    learn,
    learner,
    meta,
    playlist,
    raw,
    record,
    records,
    restored,
    track,
)


def ann(processor: LearnerProcessor) -> Listener:
    return processor.listeners.get("ann")


def offers(processor: LearnerProcessor, track_id: str = "t1") -> tuple[float, float]:
    table = processor.replica.table
    return counter(table, "t:" + track_id, "trials"), counter(table, "t:" + track_id, "successes")


# --- counting


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_counts_for_its_listener_and_its_track(kind: str) -> None:
    one = learner(track("t1"))

    learn(one, event(kind=kind, at_ms=NOW_MS - 2), event(kind=kind, at_ms=NOW_MS - 1))

    assert ann(one).counts[KIND_CODE[kind]] == 2
    assert counter(one.replica.table, "t:t1", kind + "s") == 2.0
    assert one.meta.events == 2


def test_a_play_counts_for_the_artist_and_the_tags_of_its_track_too() -> None:
    one = learner(track("t1", "a1", ["folk", "jazz"]), track("t2", "a1", ["folk"]))

    learn(one, event(track_id="t1"), event(track_id="t2"))

    plays = [counter(one.replica.table, key, "plays") for key in ("t:t1", "t:t2", "a:a1", "g:folk", "g:jazz")]
    assert plays == [1.0, 1.0, 2.0, 2.0, 1.0]


def test_counts_do_not_depend_on_how_the_events_were_cut_into_steps() -> None:
    heard = [event(track_id=f"t{n % 3}", kind=("play", "skip", "like")[n % 3], at_ms=NOW_MS + n) for n in range(40)]
    at_once, one_by_one = learner(track("t1"), track("t2")), learner(track("t1"), track("t2"))

    learn(at_once, *heard)
    for each in heard:
        learn(one_by_one, each)

    assert at_once.listeners.rows == one_by_one.listeners.rows
    for name in ("plays", "skips", "likes", "completes"):
        for key in ("t:t0", "t:t1", "t:t2", "a:a1"):
            assert counter(at_once.replica.table, key, name) == counter(one_by_one.replica.table, key, name)


def test_a_repeated_event_is_dropped_and_counted() -> None:
    one = learner(track("t1"))

    learn(one, event(event_id="e1"), event(event_id="e1"), event(event_id="e2"))
    learn(one, event(event_id="e1"))

    assert ann(one).events == 2
    assert counter(one.replica.table, "t:t1", "plays") == 2.0
    assert meta(one) == LearnerMeta(events=2, duplicates=2)


def test_the_same_event_id_of_another_listener_is_another_event() -> None:
    one = learner()

    learn(one, event("ann", event_id="e1"), event("bob", event_id="e1"))

    assert meta(one) == LearnerMeta(events=2)


def test_a_repeated_event_is_known_after_a_restart() -> None:
    again = restored(learner(), learn(learner(), event(event_id="e1")))

    learn(again, event(event_id="e1"))

    assert meta(again) == LearnerMeta(events=1, duplicates=1)


def test_a_late_event_still_counts_with_its_own_time() -> None:
    one = learner(track("t1"))
    long_ago = NOW_MS - 400 * 86_400_000

    learn(one, event(at_ms=NOW_MS), event(at_ms=long_ago))

    assert ann(one).events == 2
    assert [each.at_ms for each in ann(one).history] == [NOW_MS, long_ago]
    assert ann(one).last_ms == NOW_MS


def test_a_late_event_weighs_as_little_as_if_it_had_come_in_time() -> None:
    in_time, late = learner(track("t1")), learner(track("t1"))
    old, new = event(at_ms=NOW_MS - 90 * 86_400_000), event(at_ms=NOW_MS)

    learn(in_time, old, new)
    learn(late, new, old)

    expected = counter(in_time.replica.table, "t:t1", "plays_90d")
    assert expected == pytest.approx(counter(late.replica.table, "t:t1", "plays_90d"), rel=1e-12)


def test_the_first_and_the_longest_event_that_a_message_may_say_are_learnt() -> None:
    one = learner(track("t1"))

    step = learn(
        one,
        event(at_ms=0, played_ms=7 * 86_400_000),
        event(kind="skip", at_ms=1, played_ms=0),
        event(at_ms=NOW_MS + FUTURE_MS_MAX),
    )

    assert dead_letters(step) == []
    assert ann(one).events == 3
    assert all(0.0 < chance < 1.0 for chance in one.lesson.predicted_skips)


def test_the_share_of_a_track_that_was_heard_is_kept() -> None:
    one = learner(track("t1", duration_ms=200_000))

    learn(
        one,
        event(at_ms=1, played_ms=100_000),
        event(at_ms=2, played_ms=900_000),
        event(at_ms=3),
        event(at_ms=4, kind="skip"),
        event(at_ms=5, track_id="unknown", played_ms=10),
    )

    assert [each.share for each in ann(one).history] == [50, 100, 100, 0, 100]


def test_a_skip_is_predicted_before_it_is_learnt() -> None:
    alone, after = learner(track("t1")), learner(track("t1"))

    learn(alone, event(kind="skip", event_id="e1"))
    learn(after, event(kind="play", event_id="e1"))

    assert alone.lesson.predicted_skips == after.lesson.predicted_skips


# --- refusing


def test_an_event_from_the_future_is_refused_with_its_bytes_offset_and_reason() -> None:
    one = learner()
    ahead = record(event(at_ms=NOW_MS + FUTURE_MS_MAX + 1000), offset=41)

    step = one.step([ahead], NOW_MS)

    letter = dead_letters(step)[0]
    assert (letter.topic, letter.partition, letter.offset) == (LISTENING_EVENTS.name, 0, 41)
    assert (letter.key, letter.value, letter.at_ms) == (ahead.key, ahead.value, NOW_MS)
    assert "3,601 s ahead of the clock, expected at most 3,600 s" in letter.reason
    assert meta(one) == LearnerMeta(dead_letters=1)
    assert ann(one).events == 0


@pytest.mark.parametrize("key", [b"bob", b"", None, b"\xff\xfe", b"Ann"])
def test_a_message_under_the_key_of_somebody_else_is_refused(key: bytes | None) -> None:
    one = learner()
    messages = [event(), Profile(user_id="ann", country="SE"), playlist(explored=["t1"])]

    step = one.step([msgspec.structs.replace(each, key=key) for each in records(messages)], NOW_MS)

    letters = dead_letters(step)
    assert [letter.topic for letter in letters] == [LISTENING_EVENTS.name, LISTENERS.name, PLAYLISTS.name]
    assert all(letter.key == key and "expected" in letter.reason for letter in letters)
    assert meta(one) == LearnerMeta(dead_letters=3)
    assert set(step.rows) == {b"m"}


@pytest.mark.parametrize("topic", [LISTENING_EVENTS.name, LISTENERS.name, PLAYLISTS.name])
@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"junk",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        b'{"user_id":"\\ud800"}',
        b"[" * 50_000,
        b" " * 1_000_001,
        b'{"event_id":"e","at_ms":NaN,"user_id":"ann","track_id":"t","kind":"play"}',
    ],
    ids=["nothing", "junk", "list", "empty", "null", "bytes", "surrogate", "deep", "long", "nan"],
)
def test_what_is_no_message_goes_to_the_dead_letters_and_the_rest_of_the_step_counts(topic: str, value: bytes) -> None:
    one = learner()

    step = one.step([record(event(event_id="e1")), raw(topic, value, offset=7), record(event(event_id="e2"))], NOW_MS)

    letters = dead_letters(step)
    assert [(letter.topic, letter.offset, letter.value) for letter in letters] == [(topic, 7, value)]
    assert meta(one) == LearnerMeta(events=2, dead_letters=1)


@pytest.mark.parametrize("topic", [LISTENING_EVENTS.name, PLAYLISTS.name])
def test_a_tombstone_where_none_is_meant_is_refused(topic: str) -> None:
    step = learner().step([raw(topic, None)], NOW_MS)

    assert [letter.value for letter in dead_letters(step)] == [None]


def test_a_dead_letter_stays_in_the_partition_of_what_it_refused() -> None:
    step = learner(partition=3).step([raw(LISTENING_EVENTS.name, b"junk")], NOW_MS)

    output = step.outputs[0]

    assert (output.topic, output.partition, output.key) == (DEAD_LETTERS.name, None, b"ann")
    assert dead_letters(step)[0].partition == 3


# --- introducing and erasing


def test_a_profile_is_kept_and_survives_a_restart() -> None:
    one = learner()

    step = learn(one, Profile(user_id="ann", country="SE", favourite_tags=["folk"]))

    for processor in (one, restored(one, step)):
        profile = ann(processor).profile
        assert profile is not None
        assert (profile.country, profile.favourite_tags) == ("SE", ["folk"])


def test_the_newest_profile_is_the_one_that_holds() -> None:
    one = learner()

    learn(one, Profile(user_id="ann", country="SE"), Profile(user_id="ann", age_band="30-39"))

    profile = ann(one).profile
    assert profile is not None
    assert (profile.country, profile.age_band) == (None, "30-39")


def test_a_play_in_a_known_country_counts_for_the_country() -> None:
    one = learner(track("t1"))

    learn(one, Profile(user_id="ann", country="SE"), event())
    step = one.flush(NOW_MS)

    pairs = [decode_delta(each.value) for each in step.outputs if each.topic == TRACK_DELTAS.name]
    assert any("c:SE" in delta.keys and delta.pair_weights for delta in pairs)


def test_erasing_writes_a_tombstone_for_every_row_of_the_person() -> None:
    one = learner()
    written: dict[bytes, bytes | None] = {}
    for start in range(0, 100, 10):
        written |= personal(learn(one, *(event(at_ms=NOW_MS + n) for n in range(start, start + 10))))
    written |= personal(learn(one, event(kind="like", event_id="like"), Profile(user_id="ann")))
    theirs = {key for key in written if key != b"m"}

    step = one.step([raw(LISTENERS.name, None, b"ann")], NOW_MS)

    gone = {key for key, value in step.rows.items() if value is None}
    assert len(theirs) == 5  # the head, three pages, the choices
    assert theirs == gone
    assert ann(one).events == 0
    assert one.listeners.rows == {}


def test_erasing_one_person_leaves_the_others() -> None:
    one = learner()
    learn(one, event("ann"), event("bob"))

    one.step([raw(LISTENERS.name, None, b"ann")], NOW_MS)

    assert one.listeners.users() == ["bob"]


def test_what_was_heard_before_the_erasure_in_the_same_step_is_erased() -> None:
    one = learner()

    step = one.step([*records([event(), event(kind="like")]), raw(LISTENERS.name, None, b"ann")], NOW_MS)

    assert [key for key, value in personal(step).items() if value is not None] == [b"m"]
    assert one.listeners.rows == {}


def test_who_comes_back_after_the_erasure_is_a_stranger() -> None:
    one = learner()
    before = learn(one, *(event(at_ms=NOW_MS + n) for n in range(40)), event(kind="like"), Profile(user_id="ann"))

    after = one.step([raw(LISTENERS.name, None, b"ann"), record(event(event_id="new"))], NOW_MS)

    for processor in (one, restored(one, before, after)):
        assert ann(processor).events == 1
        assert (ann(processor).profile, ann(processor).liked) == (None, {})
        assert [key for key in processor.listeners.rows if key[:1] == b"p"] == []


def test_the_erasure_of_a_stranger_changes_nothing() -> None:
    step = learner().step([raw(LISTENERS.name, None, b"nobody")], NOW_MS)

    assert set(step.rows) == {b"m"}
    assert dead_letters(step) == []


@pytest.mark.parametrize("key", [None, b"\xff\xfe", b"\xed\xa0\x80"])
def test_a_tombstone_of_nobody_who_can_be_named_is_refused(key: bytes | None) -> None:
    step = learner().step([raw(LISTENERS.name, None, key)], NOW_MS)

    assert len(dead_letters(step)) == 1


# --- offers of exploration


def test_an_explored_place_is_a_trial_and_its_play_a_success() -> None:
    one = learner(track("t1"))

    learn(one, playlist(explored=["t1"], plain=["t2"]))
    learn(one, event())

    assert offers(one) == (1.0, 1.0)
    assert offers(one, "t2") == (0.0, 0.0)


def test_a_skip_of_an_explored_place_is_no_success() -> None:
    one = learner(track("t1"))

    learn(one, playlist(explored=["t1"]), event(kind="skip"), event(kind="play"))

    assert offers(one) == (1.0, 0.0)


def test_an_offer_is_taken_up_once() -> None:
    one = learner(track("t1"))

    learn(one, playlist(explored=["t1"]), event(at_ms=NOW_MS), event(at_ms=NOW_MS + 1), event(at_ms=NOW_MS + 2))

    assert offers(one) == (1.0, 1.0)


def test_a_play_of_what_was_not_offered_is_no_success() -> None:
    one = learner(track("t1"))

    learn(one, playlist("bob", explored=["t1"]), event("ann"))

    assert offers(one) == (1.0, 0.0)


def test_the_trial_counts_for_the_artist_and_the_tags() -> None:
    one = learner(track("t1", "a1", ["folk"]))

    learn(one, playlist(explored=["t1"]))

    assert [counter(one.replica.table, key, "trials") for key in ("a:a1", "g:folk")] == [1.0, 1.0]


def messages_of(order: str) -> list[object]:
    """p: the playlist, q: another playlist that offers the same track, h: the track is heard."""
    made: list[object] = []
    for number, letter in enumerate(order):
        if letter == "h":
            made.append(event(at_ms=NOW_MS + number))
        else:
            made.append(playlist(explored=["t1"], request_id=letter))
    return made


@pytest.mark.parametrize("restart", [False, True], ids=["living", "restarted"])
@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("pp", (1.0, 0.0)),
        ("pph", (1.0, 1.0)),
        ("php", (1.0, 1.0)),
        ("phph", (1.0, 1.0)),
        ("phphp", (1.0, 1.0)),
        ("pq", (2.0, 0.0)),
        ("pqh", (2.0, 1.0)),
        ("phq", (2.0, 1.0)),
        ("phqh", (2.0, 2.0)),
        ("phqqh", (2.0, 2.0)),
    ],
)
def test_a_playlist_that_is_delivered_again_counts_once(
    order: str, expected: tuple[float, float], restart: bool
) -> None:
    one, steps = learner(track("t1")), list[Step]()
    for message in messages_of(order):
        steps.append(learn(one, message))  # type: ignore[arg-type]
        if restart:
            one = restored(one, *steps)

    assert expected == offers(one)


def test_a_playlist_that_offers_a_track_twice_counts_it_once() -> None:
    one = learner(track("t1"))
    twice = playlist(explored=["t1"])

    learn(one, Playlist("r1", "ann", tracks=[*twice.tracks, *twice.tracks]))

    assert offers(one) == (1.0, 0.0)


def test_an_answer_without_exploration_writes_no_row_of_the_listener() -> None:
    step = learn(learner(), playlist(plain=["t1", "t2"]), Playlist("r2", "ann", error="no request"))

    assert set(step.rows) == {b"m"}


# --- coalesced state


def test_a_flush_hands_out_vectors_and_weights_once() -> None:
    one = learner(*(track(f"t{n}") for n in range(5)))
    learn(one, *(event(track_id=f"t{n % 5}", at_ms=NOW_MS + n) for n in range(30)))

    first, second = one.flush(NOW_MS), one.flush(NOW_MS)

    assert {output.topic for output in first.outputs} == {TRACK_DELTAS.name, RANKER_WEIGHTS.name}
    assert not second


def test_deltas_of_steps_and_flushes_are_numbered_without_a_repetition() -> None:
    one, seqs = learner(*(track(f"t{n}") for n in range(5))), list[int]()
    for start in range(0, 30, 5):
        heard = [event(track_id=f"t{n % 5}", at_ms=NOW_MS + n) for n in range(start, start + 5)]
        for step in (learn(one, *heard), one.flush(NOW_MS)):
            seqs += _seqs(step)

    assert seqs == sorted(set(seqs))
    assert one.meta.seq == seqs[-1]


def test_vectors_that_another_partition_of_the_process_learnt_are_numbered_and_the_number_is_kept() -> None:
    one = learner(*(track(f"t{n}") for n in range(5)))
    other = learner(partition=1, replica=one.replica)
    other.two_tower = one.two_tower
    learn(one, *(event(track_id=f"t{n % 5}", at_ms=NOW_MS + n) for n in range(30)))
    one.lesson.train_tower()

    step = other.flush(NOW_MS)

    assert _seqs(step) == [NOW_MS + 1]
    assert restored(other, step).meta.seq == NOW_MS + 1


def test_a_learner_without_rows_numbers_its_deltas_above_all_that_were_sent_before() -> None:
    before, seqs = learner(track("t1")), list[int]()
    for now_ms in (NOW_MS, NOW_MS + 1000):
        learn(before, event(at_ms=now_ms))
        seqs += _seqs(before.flush(now_ms))
    anew = learner(track("t1"))
    learn(anew, event(at_ms=NOW_MS + 2000))

    assert seqs[0] == NOW_MS + 1
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert _seqs(anew.flush(NOW_MS + 2000))[0] > seqs[-1]


def test_a_learner_that_restarts_goes_on_with_the_next_number() -> None:
    one = learner(track("t1"))
    steps = [learn(one, event(event_id="e1")), one.flush(NOW_MS)]
    again = restored(one, *steps)

    learn(again, event(event_id="e2"))

    assert (_seqs(steps[1]), _seqs(again.flush(NOW_MS))[0]) == ([NOW_MS + 1], NOW_MS + 2)


def test_a_step_crosses_no_partition_and_a_flush_sends_what_the_steps_counted() -> None:
    one = learner(track("t1"))
    steps = [learn(one, event(event_id=f"e{n}")) for n in range(3)]

    flushed = one.flush(NOW_MS)

    assert [step.outputs for step in steps] == [[], [], []]
    assert _plays(flushed) == 3.0
    assert {key for step in steps for key in step.rows if key[:1] == UNSENT} == {
        key for key, value in flushed.rows.items() if value is None
    }
    assert _plays(one.flush(NOW_MS)) == 0.0


def test_counts_that_were_not_sent_are_sent_once_by_the_next_owner() -> None:
    one = learner(track("t1"))
    sent = [learn(one, event(event_id="e1")), one.flush(NOW_MS)]
    unsent = [learn(one, event(event_id=f"e{n}")) for n in (2, 3)]

    again = restored(one, *sent, *unsent)

    assert counter(again.replica.table, "t:t1", "plays") == 3.0
    assert _plays(again.flush(NOW_MS)) == 2.0
    assert _plays(again.flush(NOW_MS)) == 0.0
    assert counter(again.replica.table, "t:t1", "plays") == 3.0


def test_counts_that_were_not_sent_show_when_the_keepers_row_comes() -> None:
    one = learner(track("t1"))
    learn(one, event(event_id="e1"), event(event_id="e2"))

    one.replica.apply(0, [keeper(track("t1")).table.encode_row(b"c", 1)])

    assert counter(one.replica.table, "t:t1", "plays") == 2.0


def test_a_step_of_nothing_new_sends_nothing() -> None:
    one = learner()
    learn(one, event(event_id="e1"))

    step = learn(one, event(event_id="e1"))

    assert step.outputs == []


def test_the_weights_of_the_one_before_are_taken_over() -> None:
    one = learner(track("t1"))
    learn(one, *(event(kind="skip", at_ms=NOW_MS + n) for n in range(30)))
    weights = [(each.key or b"", each.value) for each in one.flush(NOW_MS).outputs if each.topic == RANKER_WEIGHTS.name]

    again = learner()
    again.restore(RANKER_WEIGHTS.name, weights)

    assert one.ranker.encode("skip") == again.ranker.encode("skip")


def id_of_a(sampled: bool) -> str:
    """An event_id whose play is a negative example of a like, or is not."""
    marks = ((f"e{n}", blake2b(f"e{n}".encode(), digest_size=6).digest()) for n in range(1000))
    return next(name for name, mark in marks if (int.from_bytes(mark, "big") % LIKE_SAMPLE == 0) is sampled)


NEGATIVE = {name: [LIKE_SAMPLE, 0] for name in ("like", "save")}


@pytest.mark.parametrize(
    ("kind", "played_ms", "sampled", "expected"),
    [  # by objective the weight of what it saw, 0 and 1; a share is in percent
        ("play", 190_000, False, {"complete": [0, 1], "skip": [1, 0], "late_skip": [1, 0], "share_heard": [5, 95]}),
        ("play", 100_000, False, {"complete": [1, 0], "skip": [1, 0], "late_skip": [0, 1], "share_heard": [50, 50]}),
        ("play", 29_000, False, {"complete": [1, 0], "skip": [1, 0], "late_skip": [1, 0], "share_heard": [86, 14]}),
        ("play", None, False, {"complete": [0, 1], "skip": [1, 0]}),  # how much of it was heard, nobody knows
        ("skip", None, False, {"complete": [1, 0], "skip": [0, 1]}),
        (
            "play",
            190_000,
            True,
            {"complete": [0, 1], "skip": [1, 0], "late_skip": [1, 0], "share_heard": [5, 95], **NEGATIVE},
        ),
        ("skip", 10_000, False, {"complete": [1, 0], "skip": [0, 1], "late_skip": [1, 0], "share_heard": [95, 5]}),
        ("skip", 30_000, False, {"complete": [1, 0], "skip": [0, 1], "late_skip": [0, 1], "share_heard": [85, 15]}),
        ("like", None, False, {"like": [0, 1]}),
        ("like", 190_000, False, {"like": [0, 1]}),  # how far it was heard by then is no listen
        ("save", None, True, {"save": [0, 1]}),
        ("share", None, True, {"save": [0, 1]}),
        ("block", None, False, {}),
    ],
)
def test_what_an_event_is_an_example_of(
    kind: str, played_ms: int | None, sampled: bool, expected: dict[str, list[int]]
) -> None:
    one = learner(track("t1"))

    learn(one, event(kind=kind, played_ms=played_ms, event_id=id_of_a(sampled)))

    assert dict(zip(OBJECTIVES, one.ranker.histograms.sum(2).tolist(), strict=True)) == {
        name: expected.get(name, [0, 0]) for name in OBJECTIVES
    }
    assert one.ranker.examples.tolist() == [name in expected for name in OBJECTIVES]
    assert len(one.lesson.predicted_skips) == (kind in ("play", "skip"))


@pytest.mark.parametrize(("kind", "late"), [("play", [0, 0]), ("skip", [0, 1])])
def test_a_track_of_unknown_length_tells_no_share_that_was_heard(kind: str, late: list[int]) -> None:
    one = learner(track("t1"))

    learn(one, event(track_id="t9", kind=kind, played_ms=90_000, event_id=id_of_a(False)))

    seen = dict(zip(OBJECTIVES, one.ranker.histograms.sum(2).tolist(), strict=True))
    assert (seen["share_heard"], seen["late_skip"], sum(seen["skip"])) == ([0, 0], late, 1)


def test_a_negative_example_of_a_like_weighs_for_those_left_out() -> None:
    one, other = learner(track("t1")), learner(track("t1"))
    learn(one, event(event_id=id_of_a(True)))
    learn(other, event(kind="like", event_id=id_of_a(True)))
    like = OBJECTIVES.index("like")
    before = Ranker().model.intercepts[like]
    odds = 0.02 / 0.98

    assert (before - one.ranker.model.intercepts[like]) == pytest.approx(0.01 * LIKE_SAMPLE * odds / (1 + odds))
    assert (other.ranker.model.intercepts[like] - before) == pytest.approx(0.01 / (1 + odds))


def test_a_rise_of_the_loss_is_counted_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one = learner(track("t1"))
    alarm = Alarm(OBJECTIVES.index("skip"), 0.5, 0.75)
    with monkeypatch.context() as patch:
        patch.setattr(one.ranker.watch, "learn_many", lambda *_: [alarm])
        step = learn(one, event())
    calm = learn(one, event(event_id="e2"))
    empty = one.step([], NOW_MS)

    (warning,) = step.warnings
    assert "the log loss of skip rose from 0.500 to 0.750, by events of 20" in warning
    assert (calm.warnings, empty.warnings, one.meta.drifts) == ([], [], 1)


def test_few_examples_wait_for_others_or_for_a_flush() -> None:
    one = learner(track("t1"))
    one.lesson.rank_batch = 3
    skip = OBJECTIVES.index("skip")
    learnt = list[int]()
    for number in range(4):
        learn(one, event(event_id=f"e{number}"))
        learnt.append(int(one.ranker.examples[skip]))
    flushed = one.flush(NOW_MS)

    (block,) = (decode_block(output.value) for output in flushed.outputs if output.key == b"rskip" and output.value)
    assert (learnt, block.examples, one.meta.events) == ([0, 0, 3, 3], 4, 4)


def test_examples_that_wait_are_learnt_as_they_would_have_been_at_once() -> None:
    at_once, late = learner(track("t1"), track("t2", "a2")), learner(track("t1"), track("t2", "a2"))
    late.lesson.rank_batch = 12
    x = list[object]()
    for number in range(12):
        told = event(event_id=f"e{number}", user_id=f"u{number % 3}", track_id=f"t{1 + number % 2}", kind="skip")
        for processor in (at_once, late):
            learn(processor, told)
        assert at_once.lesson.ranked is not None
        x += at_once.lesson.ranked.x.tolist()

    assert late.lesson.ranked is not None
    assert late.lesson.ranked.x.tolist() == x
    assert late.lesson.ranked.x.std(0)[FEATURES.index("track_rate")] > 0.0


def test_a_rise_of_the_loss_that_a_flush_finds_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    one = learner(track("t1"))
    one.lesson.rank_batch = 3
    monkeypatch.setattr(one.ranker.watch, "learn_many", lambda *_: [Alarm(OBJECTIVES.index("skip"), 0.5, 0.75)])
    step, fresh = next_step(one, [record(event())], {}, NOW_MS, flush=True)

    assert (len(step.warnings), len(fresh), one.meta.drifts) == (1, 1, 1)


def personal(step: Step) -> dict[bytes, bytes | None]:
    """A step's rows without the counts that are on their way to the keepers."""
    return {key: value for key, value in step.rows.items() if key[:1] != UNSENT}


def _plays(step: Step) -> float:
    """Plays of t1 that a step sends to its keeper."""
    table = keeper(track("t1")).table
    before = counter(table, "t:t1", "plays")
    for output in step.outputs:
        if output.topic == TRACK_DELTAS.name:
            apply_delta(table, decode_delta(output.value))
    return counter(table, "t:t1", "plays") - before


def _seqs(step: Step) -> Sequence[int]:
    return [decode_delta(each.value).seq for each in step.outputs if each.topic == TRACK_DELTAS.name]
