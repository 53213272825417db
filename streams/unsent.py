"""The exact part of what is on its way to the keepers: counts and pairs of the last steps, which no delta holds yet.

To send each step's counts to every keeper at once would make every transaction cross partitions. So a step writes them into a changelog row of
its own, beside the listeners' rows and in the same transaction; a flush merges the steps since the last one into one delta per keeper, and
removes the rows in the transaction that sends it. A successor restores the rows that are left, and sends them.
"""

import numpy as np

from online_models.track import COLUMNS, NO_ROWS, Doubles, Rows
from streams.deltas import TrackReplica, counts_delta, decode_delta, encode_delta, read_counts

UNSENT = b"d"  # section of the changelog row; the number of the step follows
_NUMBER_BYTES = 8
Counts = tuple[Rows, Doubles, Rows, Rows, Doubles]  # rows, sums, pairs_from, pairs_to, weights


class Unsent:
    """The steps of one learner partition whose counts no delta holds yet; the replica shows them meanwhile."""

    def __init__(self, source: int, replica: TrackReplica) -> None:
        self.source, self.replica = source, replica
        self._steps: dict[bytes, Counts] = {}
        self._restored: dict[bytes, bytes] = {}
        self._number = 0
        replica.release(source)  # what another processor of this partition had left in this process

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a row; in the order of the topic, so that a removed one is forgotten again."""
        self._number = max(self._number, int.from_bytes(key[1:], "big"))
        if value is None:
            self._restored.pop(key, None)
        else:
            self._restored[key] = value

    def adopt(self) -> None:
        """Hold what was restored, once all of it was read."""
        for key, value in self._restored.items():
            self._hold(key, read_counts(self.replica.table, decode_delta(value)))
        self._restored.clear()

    def add(self, counts: Counts) -> tuple[bytes, bytes]:
        """Take the counts of a step; answers its changelog row."""
        self._number += 1
        key = UNSENT + self._number.to_bytes(_NUMBER_BYTES, "big")
        self._hold(key, counts)
        return key, encode_delta(counts_delta(self.replica.table, self.source, 0, *counts))

    def take(self) -> tuple[list[bytes], Counts]:
        """All steps merged, and the keys of their rows; they are sent now."""
        self.adopt()
        keys, steps = list(self._steps), list(self._steps.values())
        self._steps.clear()
        self.replica.release(self.source)
        if not steps:
            return keys, (NO_ROWS, np.zeros((0, len(COLUMNS))), NO_ROWS, NO_ROWS, np.zeros(0))
        rows, sums, pairs_from, pairs_to, weights = (np.concatenate(each) for each in zip(*steps, strict=True))
        unique, places = np.unique(rows, return_inverse=True)
        merged = np.zeros((len(unique), len(COLUMNS)))
        np.add.at(merged, places, sums)
        pairs, places = np.unique(pairs_from.astype(np.int64) << 32 | pairs_to, return_inverse=True)
        weights = np.bincount(places, weights, len(pairs)).astype(np.float64)
        pairs_from, pairs_to = (pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32)
        return keys, (unique.astype(np.int32), merged, pairs_from, pairs_to, weights)

    def _hold(self, key: bytes, counts: Counts) -> None:
        self._steps[key] = counts
        self.replica.hold(self.source, counts[0], counts[1])
