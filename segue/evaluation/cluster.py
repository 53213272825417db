"""The whole chain in one process and without a broker: learner, keeper and serving replica, their topics handed over by hand.

The same processors and stages as in production; only the log between them is a list. Bit-exact for a given seed.
"""

import hashlib
from collections.abc import Iterable, Sequence

from online_models.index.exact import ExactIndex
from online_models.ranker import OBJECTIVES
from online_models.track import CATALOGUE, COUNTS, NEIGHBOURS, VECTORS, TrackTable
from online_models.two_tower import TwoTower
from serving.radio import Radio
from serving.replica import Replica
from streams.deltas import TrackReplica
from streams.keeper import KeeperProcessor
from streams.messages import ListeningEvent, Playlist, Profile, Track, encode
from streams.processor import LearnerProcessor
from streams.steps import Output, Record
from streams.topics import (
    LISTENERS,
    LISTENERS_CHANGELOG,
    LISTENING_EVENTS,
    PLAYLISTS,
    RANKER_WEIGHTS,
    TRACK_DELTAS,
    TRACKS,
    TRACKS_CHANGELOG,
)


class LocalCluster:
    """One learner partition, one keeper partition, one serving replica.

    flush_every : learner steps between flushes of vectors and weights, and between the keeper's steps
    """

    def __init__(self, *, seed: int = 0, flush_every: int = 32, exact: bool = True, dims: int = 64) -> None:
        self.track_replica = TrackReplica(TrackTable(dims=dims), 1)
        self.learner = LearnerProcessor(0, self.track_replica, TwoTower(self.track_replica.table, seed=seed))
        self.keeper = KeeperProcessor(0, TrackTable(dims=dims))
        table = TrackTable(dims=dims)
        self.replica = Replica(
            table, refresh_ticks=1, index=ExactIndex(dims=dims + 1, moves_max=1_000_000) if exact else None
        )
        self.radio = Radio(self.replica)
        self.dead_letters: list[bytes] = []
        self.flush_every, self._steps, self._offset = flush_every, 0, 0
        self._deltas: list[Record] = []

    def list_tracks(self, tracks: Iterable[Track]) -> int:
        """Put a catalogue in; answers how many tracks."""
        records = [self._record(TRACKS.name, track.track_id.encode(), encode(track)) for track in tracks]
        self._keep(records)
        return len(records)

    def learn(self, events: Sequence[ListeningEvent], *, now_ms: int | None = None) -> list[float]:
        """Learn events; answers the probability of a skip that was predicted before each play or skip of theirs."""
        records = [self._record(LISTENING_EVENTS.name, event.user_id.encode(), encode(event)) for event in events]
        return self._learn(records, events[-1].at_ms if now_ms is None else now_ms)

    def introduce(self, profile: Profile) -> None:
        """Learn what somebody tells about themselves."""
        self._learn([self._record(LISTENERS.name, profile.user_id.encode(), encode(profile))], 0)

    def show(self, playlist: Playlist) -> None:
        """Tell the learner what was shown."""
        self._learn([self._record(PLAYLISTS.name, playlist.user_id.encode(), encode(playlist))], playlist.at_ms)

    def flush(self, *, last: bool = False) -> None:
        """Hand over what is due of what is coalesced; where it is the last all of it, as a learner does that stops or hears nothing more."""
        self._route(self.learner.flush(0, last=last).outputs)
        self._keep(self._deltas)
        self._deltas = []
        while self.replica.tick():
            pass

    def state_hash(self) -> str:
        """A hash of all rows: the listeners', the tracks', the ranker's."""
        digest = hashlib.blake2b(digest_size=12)
        rows = self.learner.listeners.rows
        for key in sorted(rows):
            digest.update(key + rows[key])
        table = self.keeper.table
        for row in range(1, len(table)):
            for section in (CATALOGUE, COUNTS, NEIGHBOURS, VECTORS):
                digest.update(table.encode_row(section, row)[1] or b"")
        for objective in OBJECTIVES:
            digest.update(self.learner.ranker.encode(objective))
        return digest.hexdigest()

    def _learn(self, records: list[Record], now_ms: int) -> list[float]:
        step = self.learner.step(records, now_ms)
        self.replica.apply(LISTENERS_CHANGELOG.name, 0, list(step.rows.items()))
        self._route(step.outputs)
        self._steps += 1
        if self._steps % self.flush_every == 0:
            self.flush()
        return self.learner.lesson.predicted_skips

    def _route(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if output.topic == TRACK_DELTAS.name:
                self._deltas.append(self._record(TRACK_DELTAS.name, output.key, output.value))
            elif output.topic == RANKER_WEIGHTS.name:
                assert output.key is not None
                self.replica.apply(RANKER_WEIGHTS.name, 0, [(output.key, output.value)])
            else:
                self.dead_letters.append(output.value or b"")

    def _keep(self, records: Sequence[Record]) -> None:
        step = self.keeper.step(records, 0)
        rows = list(step.rows.items())
        self.track_replica.apply(0, rows)
        self.replica.apply(TRACKS_CHANGELOG.name, 0, rows)
        self._route(step.outputs)

    def _record(self, topic: str, key: bytes | None, value: bytes | None) -> Record:
        self._offset += 1
        return Record(topic, self._offset, key, value, 0)
