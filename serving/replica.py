"""What a serving worker knows: listeners, tracks, weights and experiments, as their topics last said. No I/O: it is fed rows, and pending events.

The index follows the track vectors in `tick`, which does a bounded amount of work, so that answers never wait long behind it.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Sequence
from functools import partial

import numpy as np

from online_models.bandits.thompson import Thompson
from online_models.hearing import heard_of, mark_of
from online_models.index.adaptive import AdaptiveIndex
from online_models.index.interface import VectorIndex
from online_models.listener import Listener
from online_models.listeners import Audience
from online_models.popularity import Popularity
from online_models.ranker import BLOCK, RankerMix
from online_models.taste import Tops
from online_models.track import CATALOGUE, META, VECTORS, Doubles, Floats, Rows, TrackTable
from online_models.track_rows import apply_sums, newest_sums
from online_models.two_tower import TwoTower
from serving.newcomers import Newcomers, find_newcomers
from serving.pending import PendingEvent, PendingEvents
from streams.messages import Experiment, ListeningEvent, MessageError, decode, event_of
from streams.topics import EXPERIMENTS, LISTENERS_CHANGELOG, RANKER_WEIGHTS, TRACKS_CHANGELOG

LOOKS_MAX = 2000  # rows looked at in one tick, to see whether their vectors have moved
QUERIES_KEPT = 16

log = logging.getLogger(__name__)


class Replica:
    """In memory, bounded: by `TrackTable.entities_max`, `Audience.events_max`, `PendingEvents` and the partitions that it is to keep.

    queries : the last vectors that were searched for
    refresh_ticks : ticks between two looks for new tracks
    experiments_max : more are refused, until some are removed
    new_plays_max : plays and offers up to which a track is new; newcomers_max : of them that are looked at
    """

    def __init__(
        self,
        table: TrackTable | None = None,
        *,
        index: VectorIndex | None = None,
        listeners: Audience | None = None,
        refresh_ticks: int = 20,
        new_plays_max: int = 20,
        newcomers_max: int = 2000,
        experiments_max: int = 100,
    ) -> None:
        self.table = TrackTable() if table is None else table
        self.index: VectorIndex = AdaptiveIndex(dims=self.table.dims + 1) if index is None else index
        self.queries: deque[Floats] = deque(maxlen=QUERIES_KEPT)
        self.listeners = Audience() if listeners is None else listeners
        self.pending = PendingEvents()
        self.ranker, self.tower = RankerMix(), TwoTower(self.table)
        self.popularity, self.tops, self.bandit = Popularity(self.table), Tops(self.table), Thompson(self.table)
        self.experiments: dict[str, Experiment] = {}
        self.broken_experiments, self.experiments_max = 0, experiments_max
        self.song = np.zeros(0, np.int32)  # tracks of one number are the same song
        self.new_plays_max, self.newcomers_max = new_plays_max, newcomers_max
        self._songs, self._songs_met = dict[tuple[str, str], int](), 0  # at most twice as many as tracks
        self._stale: OrderedDict[int, None] = OrderedDict()
        self._newcomers: Newcomers | None = None
        self._newcomers_old = True  # track rows have changed since
        self._ticks, self.refresh_ticks = 0, refresh_ticks

    def apply(self, topic: str, partition: int, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Take rows of a topic, in their order; rows that are not for it are left out."""
        if topic == TRACKS_CHANGELOG.name:
            self._take_tracks(rows)
            return
        if topic == LISTENERS_CHANGELOG.name:
            self.listeners.apply_rows(partition, rows)
            return
        for key, value in rows:
            if topic == EXPERIMENTS.name:  # which anybody may write to
                self._experiment(key, value)
            elif topic == RANKER_WEIGHTS.name and key[:1] == BLOCK:
                self.ranker.apply_row(partition, key, value)

    def learnt(self, partition: int, watermark: int) -> None:
        """The listeners' rows of a partition have seen all events before this offset."""
        for key in set(self.pending.learnt(partition, watermark)):
            user_id = key.decode("utf-8", "replace")
            self.listeners.settle(user_id, partial(self._pending_of, key))

    def listener(self, user_id: str) -> Listener:
        """A listener as of now: by their rows, and by what is pending of them, unless that is a backlog.

        Rows may hold some of it already, before their watermark has come: that is told by the marks, of which a listener knows so many.
        """
        listener, key = self.listeners.get(user_id), user_id.encode()
        waiting = self.pending.of(key)
        if len(waiting) > listener.marks_max // 2:
            return listener
        for mark, event in _taken(waiting).items():
            if not listener.knows(mark):
                row = self.table.index("t:" + event.track_id)
                listener.foresee(heard_of(event, mark, self.table, row)[0])
        return listener

    def _pending_of(self, key: bytes) -> dict[int, ListeningEvent]:
        return _taken(self.pending.of(key))

    def _take_tracks(self, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        sums, others = newest_sums(self.table, rows)
        for key, value in others:
            if key[:1] == META:
                continue
            row = self.table.apply_row(key, value)
            if key[:1] == CATALOGUE:
                self._list(row)
                self._stale[row] = None
        for section, newest in sums.items():
            if newest:
                apply_sums(self.table, section, newest)
        self._stale.update(dict.fromkeys(sums[VECTORS]))
        self._newcomers_old = True

    def tick(self) -> int:
        """Called again and again: moves what has changed most long ago in the index, as much as others can wait for; answers how much is left.

        Every `refresh_ticks`, the new tracks are looked up anew.
        """
        self._ticks += 1
        if self._newcomers_old and self._ticks % self.refresh_ticks == 0:
            self._newcomers = self._find_newcomers()
        moved, looked, listed, most = 0, 0, self.table.listed, self.index.moves_max
        while self._stale and moved < most and looked < LOOKS_MAX:
            chosen = [self._stale.popitem(last=False)[0] for _ in range(min(most, len(self._stale)))]
            looked += len(chosen)
            rows = np.array(chosen, np.int32)
            self.index.remove_many(rows[~listed[rows]])
            there = rows[listed[rows]]
            if len(there):
                moved += self.index.update_many(there, self.index_vectors(there))
        return len(self._stale)

    def search(self, vector: Floats, n: int) -> tuple[Rows, Doubles]:
        """The listed tracks nearest to a listener's vector, and their scores with the vectors of now, best first: int32[m], float64[m]."""
        query = np.append(vector, np.float32(1.0))
        self.queries.append(query)
        rows, _ = self.index.search(query, n)
        scores = (self.index_vectors(rows) @ query).astype(np.float64)
        order = (-scores).argsort(kind="stable")
        return rows[order], scores[order]

    def last_queries(self) -> Floats:
        """What the index was searched for last, float32[n, dims + 1]."""
        return np.array(self.queries, np.float32).reshape(-1, self.table.dims + 1)

    def take_index(self, index: VectorIndex) -> None:
        """Go on with an index that was built meanwhile; what has moved since is looked at again."""
        self.index = index
        self._stale.update(dict.fromkeys([*index.stored()[0].tolist(), *self.table.listed_rows().tolist()]))

    def index_vectors(self, rows: Rows) -> Floats:
        """What stands in the index, float32[n, dims + 1]: the track tower and its bias."""
        return np.concatenate([self.table.out_vectors(rows), self.table.bias[rows, None]], axis=1)

    @property
    def newcomers(self) -> Newcomers:
        """The new tracks, as of one of the last ticks."""
        if self._newcomers is None:
            self._newcomers = self._find_newcomers()
        return self._newcomers

    def _find_newcomers(self) -> Newcomers:
        self._newcomers_old = False
        return find_newcomers(self.table, self.bandit, seen_max=self.new_plays_max, most=self.newcomers_max)

    def _list(self, row: int) -> None:
        if row >= len(self.song):
            grown = np.zeros(len(self.table.counts), np.int32)
            grown[: len(self.song)] = self.song
            self.song = grown
        meta = self.table.meta.get(row)
        if meta is None:
            return
        title = meta.title.casefold().split(" - ")[0].split(" (")[0].strip()
        song = title, meta.artist_id or meta.artist or ""
        if song not in self._songs:
            self._songs_met += 1
            self._songs[song] = self._songs_met
        self.song[row] = self._songs[song]
        if len(self._songs) > 2 * len(self.table):  # tracks have changed their names
            there = set(self.song.tolist())
            self._songs = {song: number for song, number in self._songs.items() if number in there}

    def _experiment(self, key: bytes | None, value: bytes | None) -> None:
        if value is None and key:
            self.experiments.pop(key.decode("utf-8", "backslashreplace"), None)  # no UTF-8 names none of them
            return
        try:
            experiment = decode(Experiment, value)
            if key != experiment.name.encode():
                raise MessageError(f"Experiment: key {key!r}, expected the message's name {experiment.name!r}")
            if len(self.experiments) >= self.experiments_max and experiment.name not in self.experiments:
                raise MessageError(f"Experiment: {self.experiments_max} are there, expected no more; remove some")
        except MessageError as error:  # policy: a broken experiment changes nothing; the last good one stays
            self.broken_experiments += 1
            log.warning("experiment %r is left as it was: %s", (key or b"")[:128], str(error)[:500])
            return
        self.experiments[experiment.name] = experiment


def _taken(pending: Sequence[PendingEvent]) -> dict[int, ListeningEvent]:
    """The events that a learner will take, by their marks, each once."""
    events = dict[int, ListeningEvent]()
    for each in pending:
        try:
            event = event_of(each.key, each.value, each.at_ms)
        except MessageError:  # policy: the learner refuses it, says so and counts it
            continue
        events.setdefault(mark_of(event.event_id), event)
    return events
