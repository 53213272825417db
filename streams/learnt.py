"""What a learner has learnt of vectors and not sent: the largest changes go first, the rest waits and grows (Lin et al. 2018).

A flush touches thousands of rows, most of them hardly: a quarter of the rows holds some 83 % of the squared change. To send all of them costs
every process behind it as much for each row, and the step that sends them holds up the events that wait.
"""

import numpy as np

from online_models.track import Floats, Rows, TrackTable


class Learnt:
    """The vectors without what is not sent yet, and whose was learnt.

    base : float32[capacity, width], the table's vectors as keepers will have them once all that was sent has arrived
    rows_max : rows of a flush; besides, those that wait since `flushes_max` flushes

    >>> table = TrackTable(dims=2)
    >>> rows = np.array([table.add(f"t:{n}") for n in range(3)], np.int32)
    >>> learnt = Learnt(table, rows_max=1, flushes_max=2)
    >>> learnt.fit()
    >>> learnt.touch(rows[:2])
    >>> table.vectors[rows[:2], 0] += 0.1, 0.2
    >>> [learnt.take()[0].tolist() for _ in range(3)] == [[rows[1]], [rows[0]], []]
    True
    """

    def __init__(self, table: TrackTable, *, rows_max: int = 512, flushes_max: int = 16) -> None:
        self.table, self.rows_max, self.flushes_max = table, rows_max, flushes_max
        self.base: Floats = np.zeros((0, table.vectors.shape[1]), np.float32)
        self._since = np.zeros(0, np.int32)  # the flush before which a row was touched, 0 where nothing waits
        self._flush, self._fitted = 1, 0

    def fit(self) -> None:
        """Take in entities that the table has got since."""
        table, known = self.table, len(self.table)
        if len(table.vectors) > len(self.base):
            base, since = np.zeros(table.vectors.shape, np.float32), np.zeros(len(table.vectors), np.int32)
            base[: self._fitted], since[: self._fitted] = self.base[: self._fitted], self._since[: self._fitted]
            self.base, self._since = base, since
        self.base[self._fitted : known] = table.vectors[self._fitted : known]
        self._fitted = known

    def touch(self, rows: Rows) -> None:
        """Say whose vectors were learnt."""
        self._since[rows[self._since[rows] == 0]] = self._flush

    def of(self, rows: Rows) -> Floats:
        """What waits to be sent, float32[n, width]."""
        waiting: Floats = self.table.vectors[rows] - self.base[rows]
        return waiting

    def take(self, *, everything: bool = False) -> tuple[Rows, Floats]:
        """The rows that are due, or all that wait, and what was learnt of them; it counts as sent."""
        rows = np.flatnonzero(self._since).astype(np.int32)
        sums, late = self.of(rows), self._flush - self._since[rows] >= self.flushes_max
        if not everything and len(rows) > self.rows_max:
            late[np.argpartition(-self._sizes(sums), self.rows_max)[: self.rows_max]] = True
            rows, sums = rows[late], sums[late]
        self._since[rows] = 0
        self.base[rows] = self.table.vectors[rows]
        self._flush += 1
        return rows, sums

    def _sizes(self, sums: Floats) -> Floats:
        """Squared lengths of what was learnt, without the sums of squared gradients."""
        learnt = sums[:, : 2 * self.table.dims + 1]
        sizes: Floats = np.einsum("nd,nd->n", learnt, learnt)
        return sizes
