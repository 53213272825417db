"""What learners send to keepers, and the learners' own view of the track rows while it is on its way.

A delta only adds, so the order in which keepers take deltas of several learners does not matter. `seq` counts a source's deltas; a keeper
drops what it has seen. A learner's table always reads: the keeper's row + its own deltas that the keeper has not taken yet + what it
learnt and has not sent.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from online_models.colistening import add_pairs
from online_models.track import (
    CATALOGUE,
    COLUMNS,
    COUNTS,
    META,
    VECTORS,
    Doubles,
    Rows,
    TrackTable,
)
from online_models.track_rows import apply_sums, newest_sums
from streams.learnt import Learnt
from streams.outstanding import Outstanding, Sent
from streams.partitioning import partition_of

VECTORS_PER_DELTA = 1200  # keeps a message of 64-dimensional vectors under a megabyte
_VERSION = b"\x01"


class TrackDelta(msgspec.Struct, frozen=True, array_like=True):
    """Sums to add to track rows.

    keys : entities; the `*_at` columns are int32 places in it
    counts : float64[n, len(COLUMNS)]; pairs_from, pairs_to : who was followed by whom, with forward-decayed pair_weights float64
    vectors : float32[m, width]
    """

    source: int
    seq: int
    keys: list[str]
    counts_at: bytes = b""
    counts: bytes = b""
    pairs_from: bytes = b""
    pairs_to: bytes = b""
    pair_weights: bytes = b""
    vectors_at: bytes = b""
    vectors: bytes = b""


def encode_delta(delta: TrackDelta) -> bytes:
    """A delta as bytes."""
    return _VERSION + msgspec.msgpack.encode(delta)


def decode_delta(value: bytes | None) -> TrackDelta:
    """A delta from bytes; ValueError says what is wrong with it."""
    if not value or value[:1] != _VERSION:
        seen = value[0] if value else None
        raise ValueError(f"track delta: version {seen}, expected {_VERSION[0]}: where it is newer, update this release")
    try:
        return msgspec.msgpack.decode(value[1:], type=TrackDelta)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"track delta: {error}") from error


def counts_delta(
    table: TrackTable,
    source: int,
    seq: int,
    rows: Rows,
    sums: Doubles,
    pairs_from: Rows,
    pairs_to: Rows,
    weights: Doubles,
) -> TrackDelta:
    """A delta of counts and pairs.

    rows : int32[n], unique; sums : float64[n, len(COLUMNS)]; pairs_from, pairs_to, weights : int32[m], int32[m], float64[m]
    """
    involved, places = np.unique(np.concatenate([rows, pairs_from, pairs_to]), return_inverse=True)
    at, n, m = places.astype(np.int32), len(rows), len(pairs_from)
    return TrackDelta(
        source,
        seq,
        [table.keys[row] for row in involved.tolist()],
        counts_at=at[:n].tobytes(),
        counts=sums.tobytes(),
        pairs_from=at[n : n + m].tobytes(),
        pairs_to=at[n + m :].tobytes(),
        pair_weights=weights.tobytes(),
    )


def read_counts(table: TrackTable, delta: TrackDelta) -> tuple[Rows, Doubles, Rows, Rows, Doubles]:
    """The inverse of `counts_delta`; unknown entities get a row.

    Raises
    ------
    ValueError
        for columns that do not fit each other; no row is made then
    """
    size = len(delta.keys)
    counts_at, pairs_from, pairs_to = (
        _places(each, size) for each in (delta.counts_at, delta.pairs_from, delta.pairs_to)
    )
    counts = _sums(delta.counts, len(counts_at))
    weights = np.frombuffer(delta.pair_weights)
    if not len(pairs_from) == len(pairs_to) == len(weights):
        raise ValueError(f"track delta: {len(pairs_from)} x {len(pairs_to)} pairs of {len(weights)} weights")
    if not (np.isfinite(counts).all() and np.isfinite(weights).all()):
        raise ValueError("track delta: a number that is not finite")
    known = np.array([table.add(key) for key in delta.keys], np.int32)
    return known[counts_at], counts, known[pairs_from], known[pairs_to], weights


def apply_delta(table: TrackTable, delta: TrackDelta) -> tuple[Rows, Rows, Rows]:
    """Add a delta; answers the rows whose (counts, neighbours, vectors) changed.

    Raises
    ------
    ValueError
        for columns that do not fit each other; nothing is added then
    """
    vectors_at = _places(delta.vectors_at, len(delta.keys))
    vectors = np.frombuffer(delta.vectors, np.float32).reshape(len(vectors_at), table.vectors.shape[1])
    if not np.isfinite(vectors).all():
        raise ValueError("track delta: a number that is not finite")
    count_rows, counts, pairs_from, pairs_to, weights = read_counts(table, delta)
    vector_rows = table.rows_of(delta.keys)[vectors_at]
    np.add.at(table.counts, count_rows, counts)
    np.add.at(table.vectors, vector_rows, vectors)
    table.counts[0], table.vectors[0] = 0.0, 0.0
    return count_rows, add_pairs(table, pairs_from, pairs_to, weights), vector_rows


def _places(buffer: bytes, size: int) -> Rows:
    places = np.frombuffer(buffer, np.int32)
    if len(places) and not (places.min() >= 0 and places.max() < size):
        raise ValueError(f"track delta: a place outside of its {size} keys")
    return places


def _sums(buffer: bytes, size: int) -> Doubles:
    """float64[size, len(COLUMNS)], zero in columns that the sender's release did not have."""
    numbers = np.frombuffer(buffer)
    width = len(numbers) // size if size else 0
    if size * width != len(numbers) or width > len(COLUMNS):
        raise ValueError(
            f"track delta: {len(numbers)} sums of {size} entities, expected at most {len(COLUMNS)} of each"
        )
    if width == len(COLUMNS):
        return numbers.reshape(size, width)
    sums = np.zeros((size, len(COLUMNS)))
    sums[:, :width] = numbers.reshape(size, width)
    return sums


class TrackReplica:
    """A learner's track rows: one table for all of its partitions.

    partitions : of the keepers' topics
    outstanding_max, outstanding_bytes_max : own deltas remembered until the keeper has taken them; the oldest are trusted to it first
    """

    def __init__(
        self,
        table: TrackTable,
        partitions: int,
        *,
        outstanding_max: int = 20_000,
        outstanding_bytes_max: int = 64 << 20,
    ) -> None:
        self.table, self.partitions = table, partitions
        self.learnt = Learnt(table)
        self._keeper_of = np.zeros(0, np.int32)
        self._fitted = 0
        self._outstanding = Outstanding(deltas_max=outstanding_max, bytes_max=outstanding_bytes_max)
        self._taken: dict[tuple[int, int], int] = {}  # (keeper, source) -> last seq that its rows hold
        self._held: dict[int, list[tuple[Rows, Doubles]]] = {}  # counts by source that no delta holds yet

    def fit(self) -> None:
        """Take in entities that the table has got since."""
        table, known = self.table, len(self.table)
        if known == self._fitted:
            return
        self.learnt.fit()
        if len(table.vectors) > len(self._keeper_of):
            grown = np.zeros(len(table.vectors), np.int32)
            grown[: self._fitted] = self._keeper_of[: self._fitted]
            self._keeper_of = grown
        for row in range(self._fitted, known):
            self._keeper_of[row] = keeper_of(table.keys[row], self.partitions)
        self._fitted = known

    def hold(self, source: int, rows: Rows, sums: Doubles) -> None:
        """Show counts that no delta holds yet: int32[n], unique; float64[n, len(COLUMNS)]."""
        self.fit()
        self.table.counts[rows] += sums
        self._held.setdefault(source, []).append((rows, sums))

    def release(self, source: int) -> None:
        """Show a source's held counts no more."""
        for rows, sums in self._held.pop(source, ()):
            self.table.counts[rows] -= sums

    def apply(self, keeper: int, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Take rows of `tracks-changelog`, partition `keeper`, in their order; neighbours are left out, which nothing reads here."""
        table = self.table
        sums, others = newest_sums(table, rows)
        for key, value in others:
            if key[:1] == CATALOGUE:
                table.apply_row(key, value)
            elif key[:1] == META and value is not None:
                seen = msgspec.msgpack.decode(value, type=KeeperMeta).seen
                self._taken.update({(keeper, source): seq for source, seq in seen.items()})
        self.fit()
        self._outstanding.forget_taken(keeper, self._taken)
        if sums[COUNTS]:
            self._add_outstanding(keeper, "counts", apply_sums(table, COUNTS, sums[COUNTS]))
        if sums[VECTORS]:
            known = np.fromiter(sums[VECTORS], np.int32)
            learnt = self.learnt.of(known)
            apply_sums(table, VECTORS, sums[VECTORS])
            self.learnt.base[known] = table.vectors[known]
            table.vectors[known] += learnt
            self._add_outstanding(keeper, "vectors", known)

    def _add_outstanding(self, keeper: int, kind: str, overwritten: Rows) -> None:
        mask = np.zeros(len(self.table), np.bool_)
        mask[overwritten] = True
        for sent in self._outstanding.of(keeper, self._taken):
            if sent.kind != kind:
                continue
            rows, sums, chosen = sent.rows, sent.sums, mask[sent.rows]
            if kind == "counts":
                self.table.counts[rows[chosen]] += sums[chosen]
            else:
                self.table.vectors[rows[chosen]] += sums[chosen]
                self.learnt.base[rows[chosen]] += sums[chosen]
        if kind == "counts":
            for rows, sums in (each for held in self._held.values() for each in held):
                self.table.counts[rows[mask[rows]]] += sums[mask[rows]]

    def _split(self, rows: Rows) -> list[tuple[int, NDArray[np.intp]]]:
        keepers = self._keeper_of[rows]
        return [(keeper, np.flatnonzero(keepers == keeper)) for keeper in np.unique(keepers).tolist()]

    def send_counts(
        self, source: int, seq: int, rows: Rows, sums: Doubles, pairs_from: Rows, pairs_to: Rows, weights: Doubles
    ) -> list[tuple[int, bytes]]:
        """Counts and pairs as (keeper partition, delta); the counts are added here at once.

        rows : int32[n], unique; sums : float64[n, len(COLUMNS)]; pairs go to the keeper of what was followed
        """
        self.fit()
        self.table.counts[rows] += sums
        keepers_of, keepers_of_pairs = self._keeper_of[rows], self._keeper_of[pairs_from]
        deltas = []
        for keeper in np.union1d(keepers_of, keepers_of_pairs).tolist():
            chosen, paired = keepers_of == keeper, keepers_of_pairs == keeper
            parts = rows[chosen], sums[chosen], pairs_from[paired], pairs_to[paired], weights[paired]
            deltas.append((keeper, encode_delta(counts_delta(self.table, source, seq, *parts))))
            self._outstanding.add(keeper, Sent(source, seq, "counts", rows[chosen], sums[chosen]))
        return deltas

    def send_vectors(self, source: int, seq: int, *, everything: bool = False) -> tuple[list[tuple[int, bytes]], int]:
        """What was learnt and is due, or all of it, as (keeper partition, delta), numbered from `seq` on, and the next number."""
        self.fit()
        rows, sums = self.learnt.take(everything=everything)
        deltas = []
        for keeper, chosen in self._split(rows):
            for start in range(0, len(chosen), VECTORS_PER_DELTA):
                part = chosen[start : start + VECTORS_PER_DELTA]
                keys = [self.table.keys[row] for row in rows[part].tolist()]
                places = np.arange(len(part), dtype=np.int32).tobytes()
                delta = TrackDelta(source, seq, keys, vectors_at=places, vectors=sums[part].tobytes())
                deltas.append((keeper, encode_delta(delta)))
                self._outstanding.add(keeper, Sent(source, seq, "vectors", rows[part], sums[part]))
                seq += 1
        return deltas, seq


class KeeperMeta(msgspec.Struct, frozen=True):
    """The keeper's row b"m": the last delta taken, by source partition."""

    seen: dict[int, int] = {}


def keeper_of(key: str, partitions: int) -> int:
    """The keeper partition of an entity: a track's is that of its id, as in topic `tracks`."""
    return partition_of((key[2:] if key.startswith("t:") else key).encode(), partitions)
