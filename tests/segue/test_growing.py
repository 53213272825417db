"""Where rows go when the number of partitions changes, and what is made anew: without a Kafka."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest

from online_models.features import FEATURES
from online_models.listener_rows import CHOICES, HEAD, PAGE
from online_models.listeners import Listeners
from online_models.ranker import OBJECTIVES, UNITS, Ranker, RankerMix
from online_models.track import CATALOGUE, META
from segue.errors import InputError
from segue.growing import grown
from streams.deltas import keeper_of
from streams.growing import Growth, RowsError, shared
from streams.partitioning import partition_of
from streams.processor import LearnerMeta
from streams.runtime.admin import kept_count
from streams.runtime.settings import Settings
from streams.steps import WATERMARK, Output
from streams.topics import EXPERIMENTS, LISTENERS, LISTENERS_CHANGELOG, RANKER_WEIGHTS, TRACKS, TRACKS_CHANGELOG
from streams.unsent import UNSENT
from tests.builders import NOW_MS, deltas, event, keeper, learn, learner, replica_of, track
from tests.segue.test_cli import segue_here

BEFORE = {"listener": 3, "track": 2}
USERS = [f"u{n}" for n in range(20)]


def owned(partition: int, partitions: int = 3) -> list[str]:
    """The users of a partition."""
    return [user for user in USERS if partition_of(user.encode(), partitions) == partition]


@cache
def rows_of(partition: int) -> dict[bytes, bytes]:
    """The live rows of a learner partition after 40 plays and a like of each of its users."""
    one, rows = learner(partition=partition), dict[bytes, bytes | None]()
    for user in owned(partition):
        played = [event(user, f"t{n}", at_ms=NOW_MS - 200_000 * (50 - n)) for n in range(40)]
        rows |= learn(one, *played, event(user, "t1", "like")).rows
    rows |= dict.fromkeys(key for key in one.flush(NOW_MS).rows if key[:1] == UNSENT)
    return {key: value for key, value in rows.items() if value is not None}


def ranker(seed: int, examples: int) -> Ranker:
    """A ranker that has learnt so many examples."""
    made, rng = Ranker(), np.random.default_rng(seed)
    if examples:
        ones = np.ones((examples, len(OBJECTIVES)))
        made.learn_many(rng.random((examples, len(FEATURES))), np.floor(rng.random(ones.shape) + 0.4), ones)
    return made


def weights(rankers: Iterable[Ranker]) -> dict[int, dict[bytes, bytes]]:
    return {number: each.changed_rows() for number, each in enumerate(rankers)}


def restored(outputs: Iterable[Output], partitions: int) -> list[Ranker]:
    """The rankers that new learners go on with."""
    made = [Ranker() for _ in range(partitions)]
    for topic, key, value, partition in outputs:
        if topic == RANKER_WEIGHTS.name:
            assert partition is not None
            made[partition].restore(key or b"", value)
    return made


def metas(outputs: Iterable[Output]) -> dict[int | None, LearnerMeta]:
    return {
        each.partition: msgspec.msgpack.decode(each.value or b"", type=LearnerMeta)
        for each in outputs
        if each.topic == LISTENERS_CHANGELOG.name and each.key == META
    }


@pytest.mark.parametrize("after", [1, 2, 5, 8])
def test_a_listeners_rows_go_where_the_default_partitioner_sends_their_messages(after: int) -> None:
    growth, moved = Growth(BEFORE, after), dict[int | None, Listeners]()
    for partition in range(3):
        for each in growth.place(LISTENERS_CHANGELOG, partition, rows_of(partition)):
            moved.setdefault(each.partition, Listeners()).apply_row(each.key or b"", each.value)

    expected = {number: set(owned(number, after)) for number in range(after) if owned(number, after)}

    assert expected == {number: set(listeners.users()) for number, listeners in moved.items()}
    assert growth.listeners == len(USERS)
    for listeners in moved.values():
        for user in listeners.users():
            assert [each.track_id for each in listeners.get(user).history] == [*(f"t{n}" for n in range(40)), "t1"]
            assert list(listeners.get(user).liked) == ["t1"]


def test_an_event_that_was_heard_before_is_known_after() -> None:
    again = learner(partition=0)
    for partition in range(3):
        placed = Growth(BEFORE, 1).place(LISTENERS_CHANGELOG, partition, rows_of(partition))
        again.restore(LISTENERS_CHANGELOG.name, [(each.key or b"", each.value) for each in placed])
    learn(again, *(event(user, "t39", at_ms=NOW_MS - 200_000 * 11) for user in USERS))

    assert (again.meta.duplicates, again.meta.events) == (len(USERS), 0)


@pytest.mark.parametrize("after", [1, 5])
def test_a_tracks_rows_go_to_its_keeper_and_artists_and_tags_to_theirs(after: int) -> None:
    one = keeper(*(track(f"t{n}", artist_id=f"a{n}", tags=[f"g{n}"]) for n in range(30)))
    heard = learner(replica=replica_of(one))
    learn(heard, *(event("ann", f"t{n}", at_ms=NOW_MS + 200_000 * n) for n in range(30)))
    rows = one.step(deltas(heard.flush(NOW_MS)), NOW_MS).rows
    rows |= [one.table.encode_row(CATALOGUE, row) for row in one.table.listed_rows().tolist()]
    growth = Growth({"listener": 1, "track": 1}, after)

    live = {key: value for key, value in rows.items() if value is not None}
    moved = list(growth.place(TRACKS_CHANGELOG, 0, live))

    assert {key: value for key, value in live.items() if key != META} == {each.key: each.value for each in moved}
    assert {each.partition: None for each in moved}.keys() == set(range(after))
    assert all(each.partition == keeper_of((each.key or b"")[1:].decode(), after) for each in moved)
    assert growth.tracks == 30
    assert {(each.key or b"")[1:3] for each in moved} == {b"t:", b"a:", b"g:"}


@pytest.mark.parametrize("topic", [LISTENERS, TRACKS])
def test_inputs_go_where_producers_send_them(topic: object) -> None:
    rows = {user.encode(): b"{}" for user in USERS}

    moved = list(Growth(BEFORE, 5).place(topic, 0, rows))  # type: ignore[arg-type]

    assert [(user.encode(), partition_of(user.encode(), 5)) for user in USERS] == [each[1::2] for each in moved]


def test_experiments_stay_in_their_one_partition() -> None:
    (moved,) = Growth(BEFORE, 5).place(EXPERIMENTS, 0, {b"new": b"{}"})

    assert Output(EXPERIMENTS.name, b"new", b"{}", 0) == moved


@pytest.mark.parametrize("after", [1, 2, 5, 8])
def test_counters_keep_their_sums_and_deltas_are_numbered_anew(after: int) -> None:
    growth = Growth(BEFORE, after)
    for partition in range(3):
        meta = LearnerMeta(seq=90 + partition, events=1001 + partition, duplicates=7, dead_letters=partition, drifts=2)
        assert list(growth.place(LISTENERS_CHANGELOG, partition, {META: msgspec.msgpack.encode(meta)})) == []

    made = metas(growth.made_anew())

    assert set(range(after)) == set(made)
    assert tuple(
        sum(getattr(each, name) for each in made.values())
        for name in ("events", "duplicates", "dead_letters", "drifts")
    ) == (3006, 21, 3, 6)
    assert {each.seq for each in made.values()} == {0}


def test_keepers_forget_what_they_have_seen_since_numbers_begin_again() -> None:
    growth = Growth(BEFORE, 5)

    assert list(growth.place(TRACKS_CHANGELOG, 0, {META: b"\x81\xa4seen\x81\x00\x05", WATERMARK: b"\x80"})) == []
    assert [each for each in growth.made_anew() if each.topic == TRACKS_CHANGELOG.name] == []


@pytest.mark.parametrize("after", [1, 2, 5, 8])
def test_new_rankers_score_as_the_old_ones_did_together(after: int) -> None:
    old, growth = [ranker(1, 100), ranker(2, 400), ranker(3, 0)], Growth(BEFORE, after)
    before, x = RankerMix(), np.random.default_rng(4).random((9, len(FEATURES)))
    for number, rows in weights(old).items():
        assert list(growth.place(RANKER_WEIGHTS, number, rows)) == []
        for key, value in rows.items():
            before.apply_row(number, key, value)
    outputs, after_mix = growth.made_anew(), RankerMix()
    for topic, key, value, partition in outputs:
        if topic == RANKER_WEIGHTS.name:
            after_mix.apply_row(partition or 0, key or b"", value)
    new = restored(outputs, after)

    for name in OBJECTIVES:
        np.testing.assert_allclose(after_mix.score_many(x)[name], before.score_many(x)[name], rtol=1e-9)
        assert before.auc(name) == after_mix.auc(name)
    assert sum(each.examples for each in new).tolist() == [500] * len(OBJECTIVES)  # type: ignore[attr-defined]
    assert sum(each.histograms.sum((1, 2)) for each in new).tolist() == (500 * UNITS).tolist()  # type: ignore[attr-defined]
    squared = [0.2 * old[0].model.optimizer.g2 + 0.8 * old[1].model.optimizer.g2] * after
    np.testing.assert_allclose([each.model.optimizer.g2 for each in new], squared)
    assert {each.model.optimizer.n_iterations for each in new} == {400}


def test_new_rankers_step_by_the_mean_of_the_precisions_whatever_each_of_the_old_was_taught() -> None:
    old, growth, rng = [Ranker(), Ranker()], Growth({"listener": 2, "track": 1}, 3), np.random.default_rng(1)
    for each, size, learnt in zip(old, (300, 60), (("complete", "skip"), ("skip", "like")), strict=True):
        x, taught = rng.random((size, len(FEATURES))), np.array([float(name in learnt) for name in OBJECTIVES])
        each.learn_many(x, np.ones((size, len(OBJECTIVES))), np.tile(taught, (size, 1)))
    for number, rows in weights(old).items():
        list(growth.place(RANKER_WEIGHTS, number, rows))
    precisions = np.mean([np.linalg.inv(each.model.optimizer.inverse) for each in old], axis=0)

    for each in restored(growth.made_anew(), 3):
        np.testing.assert_allclose(each.model.optimizer.inverse @ precisions, [np.eye(len(FEATURES))] * 2, atol=1e-5)


def test_the_same_rows_give_the_same_copies() -> None:
    def copied() -> list[Output]:
        growth = Growth(BEFORE, 5)
        outputs = [each for number in range(3) for each in growth.place(LISTENERS_CHANGELOG, number, rows_of(number))]
        for number, rows in weights([ranker(1, 50), ranker(2, 80)]).items():
            outputs += growth.place(RANKER_WEIGHTS, number, rows)
        return outputs + growth.made_anew()

    assert copied() == copied()


def test_watermarks_stand_at_the_ends_of_what_was_copied_and_nowhere_else() -> None:
    ends = {("listeners", 0): 4, ("tracks", 1): 9, ("listeners-changelog", 1): 7}

    outputs = Growth(BEFORE, 2).watermarks(ends)

    assert [
        (LISTENERS_CHANGELOG.name, 0, {"listeners": 4}),
        (TRACKS_CHANGELOG.name, 1, {"tracks": 9}),
    ] == [(each.topic, each.partition, msgspec.msgpack.decode(each.value or b"")) for each in outputs]
    assert {each.key for each in outputs} == {WATERMARK}


@pytest.mark.parametrize(
    ("topic", "key", "value", "says"),
    [
        (LISTENERS_CHANGELOG, UNSENT + bytes(8), b"\x01", "counts that no keeper has been sent"),
        (LISTENERS_CHANGELOG, HEAD + b"u0", b"\x03", "version 3: unknown, expected at most 2"),
        (LISTENERS_CHANGELOG, b"zu0", b"\x01", "a newer release wrote it"),
        (TRACKS_CHANGELOG, b"zt:t1", b"\x01", "a newer release wrote it"),
        (TRACKS_CHANGELOG, CATALOGUE + b"t:t1", b"\x02", "version 2: unknown, expected at most 1"),
    ],
)
def test_rows_that_cannot_be_moved_are_refused(topic: object, key: bytes, value: bytes, says: str) -> None:
    with pytest.raises(RowsError, match=says):
        list(Growth({"listener": 1, "track": 1}, 5).place(topic, 0, {key: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [HEAD + b"u0", PAGE + bytes(4) + b"u0", CHOICES + b"u0"])
def test_rows_of_who_is_produced_by_another_partitioner_are_refused(key: bytes) -> None:
    wrong = (partition_of(b"u0", 3) + 1) % 3
    with pytest.raises(RowsError, match=f"its owner's partition is {partition_of(b'u0', 3)}.*murmur2"):
        list(Growth(BEFORE, 5).place(LISTENERS_CHANGELOG, wrong, {key: b"\x01"}))


def test_shares_differ_by_one_at_most_and_sum_to_the_total() -> None:
    totals = np.array([0, 1, 7, 1_000_003])
    shares = np.array([shared(totals, 5, place) for place in range(5)])

    assert totals.tolist() == shares.sum(0).tolist()
    assert (shares.max(0) - shares.min(0) <= 1).all()


@pytest.mark.parametrize(
    ("to_prefix", "says"), [("p-", "is the prefix of the topics that are to be copied"), ("a b", "letters, digits")]
)
def test_a_prefix_that_cannot_be_that_of_the_new_topics_is_refused(to_prefix: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        grown(Settings(bootstrap="x", prefix="p-"), to_prefix, 8)


def test_a_count_that_topics_do_not_have_is_said_with_the_way_to_it() -> None:
    settings = Settings(bootstrap="x", partitions=8)

    told = kept_count(settings, {"listening-events": 2, "tracks": 2, "experiments": 1})

    assert told is not None
    assert "SEGUE_PARTITIONS=8, but the topics that are there have 2 partitions" in told
    assert "segue topics grow --partitions 8 --to-prefix NAME-" in told
    assert kept_count(settings, {"listening-events": 8, "tracks": 8, "experiments": 1}) is None


def test_the_command_with_the_same_prefix_ends_with_2_and_says_so(tmp_path: Path) -> None:
    done = segue_here(
        *("topics", "grow", "--partitions", "8", "--to-prefix", "p-"),
        home=tmp_path,
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9",
        SEGUE_TOPIC_PREFIX="p-",
    )

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "--to-prefix 'p-' is the prefix of the topics that are to be copied" in done.stderr
