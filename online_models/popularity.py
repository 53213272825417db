"""Popularity: decayed plays and likes, over everybody and by country; what is suggested to somebody unknown."""

import numpy as np

from online_models.track import COLUMN, NO_ROWS, Doubles, Rows, TrackTable


class Popularity:
    """The most popular tracks of the catalogue, looked up anew after every `refresh_ms` of event time.

    tops_max : tracks kept

    >>> from online_models.track import TrackMeta
    >>> table = TrackTable(dims=4)
    >>> rows = [table.list_track(TrackMeta(f"t{n}", "x")) for n in range(3)]
    >>> table.counts[rows[1], COLUMN["popularity_14d"]] = 5.0
    >>> Popularity(table).top(2, 0)[0].tolist() == [rows[1], rows[0]]
    True
    """

    def __init__(self, table: TrackTable, *, tops_max: int = 500, refresh_ms: int = 1000) -> None:
        self.table, self.tops_max, self.refresh_ms = table, tops_max, refresh_ms
        self._rows = NO_ROWS
        self._at_ms = -(10**18)

    def top(self, n: int, at_ms: int) -> tuple[Rows, Doubles]:
        """The n most popular tracks, best first, and their decayed counts at `at_ms`."""
        if not self._at_ms <= at_ms < self._at_ms + self.refresh_ms or not len(self._rows):
            listed = self.table.listed_rows()
            counts = self.table.counts[listed, COLUMN["popularity_14d"]]
            best = (
                np.argpartition(-counts, self.tops_max)[: self.tops_max]
                if len(listed) > self.tops_max
                else np.arange(len(listed))
            )
            self._rows, self._at_ms = listed[best[np.argsort(-counts[best], kind="stable")]], at_ms
        return self._rows[:n], self.score_many(self._rows[:n], at_ms)

    def top_of_country(self, country: str, n: int) -> tuple[Rows, Doubles]:
        """What is played in a country, best first, with its share of the country's plays; empty where nothing is known."""
        row = self.table.index("c:" + country)
        tracks, weights = self.table.neighbours[row], self.table.neighbour_weights[row]
        known = tracks > 0
        total = weights.sum()
        return tracks[known][:n], weights[known][:n] / (total if total > 0 else 1.0)

    def score_many(self, rows: Rows, at_ms: int) -> Doubles:
        """Decayed counts at `at_ms`, float64[n]."""
        return self.table.decayed("popularity_14d", rows, at_ms)
