"""The learners' view of the tracks: the keeper's row, and what it has not taken yet, and what was learnt since the last flush."""

from collections.abc import Sequence

import numpy as np
import pytest

from online_models.initial import initial_vector
from online_models.track import COLUMN, COLUMNS, NO_ROWS, TrackTable
from streams.deltas import TrackDelta, TrackReplica, apply_delta, decode_delta, encode_delta
from streams.keeper import KeeperProcessor
from streams.steps import Record
from streams.topics import TRACK_DELTAS
from tests.builders import DIMS, NOW_MS, counter, event, keeper, learn, learner, replica_of, track

WIDTH = 2 * DIMS + 4
Sent = list[tuple[int, bytes]]  # (keeper partition, delta)


def plays(replica: TrackReplica, seq: int, track_id: str = "t1", amount: float = 1.0, source: int = 0) -> Sent:
    """Learn plays of a track exactly, and answer what is sent."""
    sums = np.zeros((1, len(COLUMNS)))
    sums[0, COLUMN["plays"]] = amount
    row = np.array([replica.table.add("t:" + track_id)], np.int32)
    return replica.send_counts(source, seq, row, sums, NO_ROWS, NO_ROWS, np.zeros(0))


def moved(replica: TrackReplica, by: float, track_id: str = "t1") -> None:
    """Learn a vector, not flushed yet."""
    replica.fit()
    row = replica.table.index("t:" + track_id)
    replica.table.vectors[row] += np.float32(by)
    replica.learnt.touch(np.array([row], np.int32))


def take(one: KeeperProcessor, sent: Sent) -> list[tuple[bytes, bytes | None]]:
    """Let a keeper take deltas; answers its rows."""
    deltas = [Record(TRACK_DELTAS.name, 0, b"", value, NOW_MS) for to, value in sent if to == one.partition]
    return list(one.step(deltas, NOW_MS).rows.items())


def seen(replica: TrackReplica, track_id: str = "t1") -> float:
    return counter(replica.table, "t:" + track_id, "plays")


def vector(table: TrackTable, track_id: str = "t1") -> float:
    """The first number of a track's vectors, less where it began."""
    row = table.index("t:" + track_id)
    return round(float(table.vectors[row, 0] - initial_vector("t:" + track_id, table.dims)[0]), 4)


# --- counts


def test_what_was_learnt_reads_at_once() -> None:
    replica = replica_of(keeper(track("t1")))

    plays(replica, 1, amount=3.0)

    assert seen(replica) == 3.0


def test_the_keepers_row_adds_nothing_that_was_counted_already() -> None:
    one = keeper(track("t1"))
    replica = replica_of(one)

    replica.apply(0, take(one, plays(replica, 1)))

    assert seen(replica) == 1.0


def test_what_the_keeper_has_not_taken_yet_stays_on_top_of_its_row() -> None:
    one = keeper(track("t1"))
    replica = replica_of(one)
    first, second = plays(replica, 1), plays(replica, 2, amount=10.0)

    replica.apply(0, take(one, first))
    before = seen(replica)
    replica.apply(0, take(one, second))

    assert [before, seen(replica)] == [11.0, 11.0]


def test_what_others_learnt_comes_with_the_keepers_row() -> None:
    one = keeper(track("t1"))
    ours, theirs = replica_of(one), replica_of(one)
    plays(ours, 1, amount=1.0, source=0)

    ours.apply(0, take(one, plays(theirs, 1, amount=10.0, source=1)))

    assert seen(ours) == 11.0


def test_a_step_goes_to_every_keeper_that_owns_a_part_of_it() -> None:
    keepers = [keeper(partition=number) for number in range(3)]
    replica = TrackReplica(TrackTable(dims=DIMS), 3)
    rows = np.array([replica.table.add(f"t:t{n}") for n in range(30)], np.int32)
    sums = np.ones((30, len(COLUMNS)))

    sent = replica.send_counts(0, 1, rows, sums, rows[:-1], rows[1:], np.ones(29))
    for one in keepers:
        take(one, sent)

    assert [to for to, _ in sent] == [0, 1, 2]
    owned = [sum(counter(one.table, f"t:t{n}", "plays") for one in keepers) for n in range(30)]
    assert owned == [1.0] * 30
    pairs = sum(float(one.table.neighbour_weights.sum()) for one in keepers)
    assert pairs == 29.0


# --- vectors


def test_the_vector_reads_as_row_and_outstanding_and_unflushed() -> None:
    one = keeper(track("t1"))
    replica = replica_of(one)
    moved(replica, 1.0)
    first, seq = replica.send_vectors(0, 1)
    moved(replica, 10.0)
    second, _ = replica.send_vectors(0, seq)
    moved(replica, 100.0)

    reads = [vector(replica.table)]
    for sent in (first, second):
        replica.apply(0, take(one, sent))
        reads.append(vector(replica.table))

    assert reads == [111.0, 111.0, 111.0]
    assert vector(one.table) == 11.0


def test_what_is_flushed_is_flushed_once() -> None:
    replica = replica_of(keeper(track("t1")))
    moved(replica, 1.0)

    first, seq = replica.send_vectors(0, 5)
    again, same = replica.send_vectors(0, seq)

    assert len(first) == 1
    assert (again, seq, same) == ([], 6, 6)


def test_what_another_learner_flushed_moves_the_vector_under_what_was_learnt_here() -> None:
    one = keeper(track("t1"))
    ours, theirs = replica_of(one), replica_of(one)
    moved(ours, 1.0)
    moved(theirs, 10.0)
    ours.apply(0, take(one, theirs.send_vectors(1, 1)[0]))

    before = vector(ours.table)
    ours.apply(0, take(one, ours.send_vectors(0, 1)[0]))

    assert [before, vector(ours.table), vector(one.table)] == [11.0, 11.0, 11.0]


def test_many_vectors_go_out_in_several_deltas_with_numbers_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.deltas.VECTORS_PER_DELTA", 4)
    one = keeper(*(track(f"t{n}") for n in range(10)))
    replica = replica_of(one)
    for number in range(10):
        moved(replica, 1.0, f"t{number}")

    sent, seq = replica.send_vectors(0, 1)
    take(one, sent)

    assert [decode_delta(value).seq for _, value in sent] == [1, 2, 3]
    assert seq == 4
    assert [vector(one.table, f"t{n}") for n in range(10)] == [1.0] * 10


# --- convergence


@pytest.mark.parametrize("seed", range(20), ids="seed-{}".format)
def test_learners_and_keepers_agree_once_everything_is_delivered(seed: int) -> None:
    rng = np.random.default_rng(seed)
    keepers = [keeper(partition=number) for number in range(2)]
    replicas = [TrackReplica(TrackTable(dims=DIMS), 2) for _ in range(3)]
    seqs, log, expected = [0, 0, 0], [list[bytes](), list[bytes]()], dict[str, float]()
    rows_of, read = [list[tuple[bytes, bytes | None]]() for _ in keepers], np.zeros((3, 2), int)

    def learn_something(source: int) -> None:
        replica, track_id = replicas[source], f"t{rng.integers(6)}"
        expected[track_id] = expected.get(track_id, 0.0) + 1.0
        seqs[source] += 1
        _append(log, plays(replica, seqs[source], track_id, source=source))
        moved(replica, float(rng.integers(1, 5)), track_id)
        if rng.random() < 0.5:
            sent, following = replica.send_vectors(source, seqs[source] + 1)
            seqs[source] = following - 1
            _append(log, sent)

    def keep(number: int) -> None:
        chosen = int(rng.integers(0, len(log[number]) + 1))
        rows_of[number] += take(keepers[number], [(number, value) for value in log[number][:chosen]])
        del log[number][:chosen]

    def follow(source: int, number: int) -> None:
        upto = int(rng.integers(read[source, number], len(rows_of[number]) + 1))
        replicas[source].apply(number, rows_of[number][read[source, number] : upto])
        read[source, number] = upto

    for _ in range(120):
        learn_something(int(rng.integers(3)))
        keep(int(rng.integers(2)))
        follow(int(rng.integers(3)), int(rng.integers(2)))
    for source, replica in enumerate(replicas):
        _append(log, replica.send_vectors(source, seqs[source] + 1)[0])
    for number, one in enumerate(keepers):
        rows_of[number] += take(one, [(number, value) for value in log[number]])
        for source, replica in enumerate(replicas):
            replica.apply(number, rows_of[number][read[source, number] :])

    for track_id, amount in expected.items():
        owner = next(one for one in keepers if counter(one.table, "t:" + track_id, "plays"))
        row = owner.table.index("t:" + track_id)
        assert counter(owner.table, "t:" + track_id, "plays") == amount
        for replica in replicas:
            assert seen(replica, track_id) == amount
            here = replica.table.vectors[replica.table.index("t:" + track_id)]
            assert np.allclose(owner.table.vectors[row], here, atol=1e-4)


def _append(log: Sequence[list[bytes]], sent: Sent) -> None:
    for to, value in sent:
        log[to].append(value)


@pytest.mark.parametrize("seed", range(5), ids="seed-{}".format)
def test_the_order_in_which_a_keeper_takes_several_learners_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    by_source = []
    for source in range(4):
        one = learner(*(track(f"t{n}") for n in range(8)), partition=source)
        sent = []
        for start in range(0, 60, 20):
            heard = [
                event(f"u{source}", f"t{rng.integers(8)}", at_ms=NOW_MS + 60_000 * n) for n in range(start, start + 20)
            ]
            for step in (learn(one, *heard), one.flush(NOW_MS)):
                sent += [(0, each.value or b"") for each in step.outputs if each.topic == TRACK_DELTAS.name]
        by_source.append(sent)

    in_order, shuffled = keeper(), keeper()
    take(in_order, [delta for sent in by_source for delta in sent])
    left = [list(sent) for sent in by_source]
    while any(left):
        take(shuffled, [left[int(rng.choice([n for n, sent in enumerate(left) if sent]))].pop(0)])

    assert set(in_order.table.keys) == set(shuffled.table.keys)
    for key in in_order.table.keys[1:]:
        mine, other = in_order.table.index(key), shuffled.table.index(key)
        assert np.allclose(in_order.table.counts[mine], shuffled.table.counts[other], rtol=1e-9)
        assert np.allclose(in_order.table.vectors[mine], shuffled.table.vectors[other], atol=1e-4)
        assert _neighbours(in_order.table, mine) == pytest.approx(_neighbours(shuffled.table, other), rel=1e-9)


def _neighbours(table: TrackTable, row: int) -> dict[str, float]:
    pairs = zip(table.neighbours[row].tolist(), table.neighbour_weights[row].tolist(), strict=True)
    return {table.keys[other]: weight for other, weight in pairs if other}


# --- bounds and bytes


def test_a_delta_survives_the_round_trip() -> None:
    replica = replica_of(keeper(track("t1")))
    delta = decode_delta(plays(replica, 9, amount=2.0, source=4)[0][1])

    assert (delta.source, delta.seq, delta.keys) == (4, 9, ["t:t1"])
    assert delta == decode_delta(encode_delta(delta))


def test_a_full_table_counts_nothing_under_the_place_that_stands_for_nothing() -> None:
    table = TrackTable(dims=DIMS, entities_max=2)
    delta = decode_delta(plays(replica_of(keeper(track("t1"))), 1, "t1")[0][1])
    table.add("t:other")

    apply_delta(table, delta)

    assert table.refused == 1
    assert not table.counts[0].any()


def test_the_oldest_deltas_are_trusted_to_the_keeper_where_too_many_are_outstanding() -> None:
    one = keeper(track("t1"))
    replica = TrackReplica(TrackTable(dims=DIMS), 1, outstanding_max=2)
    sent = [plays(replica, seq) for seq in range(1, 6)]

    replica.apply(0, take(one, sent[0]))
    before = seen(replica)
    for each in sent[1:]:
        replica.apply(0, take(one, each))

    assert [before, seen(replica)] == [3.0, 5.0]


def test_a_keeper_that_stands_still_costs_a_bounded_amount_of_memory_and_others_nothing() -> None:
    keepers = [keeper(partition=number) for number in range(2)]
    replica = TrackReplica(TrackTable(dims=DIMS), 2, outstanding_bytes_max=100_000)
    tracks = [f"t{n}" for n in range(40)]
    for each in tracks:
        replica.table.add("t:" + each)
    seqs, alive = 1, list[tuple[bytes, bytes | None]]()
    for turn in range(200):
        for each in tracks:
            moved(replica, 0.001, each)
        sent, seqs = replica.send_vectors(0, seqs)
        sent += plays(replica, seqs, f"t{turn % 40}")
        seqs += 1
        alive = take(keepers[1], sent)
        replica.apply(1, alive)

        assert replica._outstanding.bytes <= 100_000
        assert list(replica._outstanding.of(1, {})) == []  # taken: nothing of it waits behind the other's
    owned = [each for each in tracks if keepers[1].table.index("t:" + each)]

    assert 0 < len(owned) < 40
    assert len(replica._outstanding) > 10
    assert all(seen(replica, each) == 5.0 for each in tracks)


def test_counts_of_an_older_release_have_fewer_columns() -> None:
    table = TrackTable(dims=DIMS)
    delta = TrackDelta(0, 1, ["t:t1"], counts_at=np.zeros(1, np.int32).tobytes(), counts=np.ones(2).tobytes())

    apply_delta(table, delta)

    assert table.counts[table.index("t:t1")].tolist() == [1.0, 1.0, *[0.0] * (len(COLUMNS) - 2)]


@pytest.mark.parametrize("numbers", [3, 2 * len(COLUMNS) + 2])
def test_counts_that_fit_no_release_are_refused_whole(numbers: int) -> None:
    table = TrackTable(dims=DIMS)
    delta = TrackDelta(0, 1, ["t:t1", "t:t2"], np.arange(2, dtype=np.int32).tobytes(), np.ones(numbers).tobytes())

    with pytest.raises(ValueError, match="expected at most 13 of each"):
        apply_delta(table, delta)

    assert len(table) == 1
