"""The track keeper's write path: the catalogue, and what learners add to track rows.

    track-deltas -> seen before? -> add -> rows of what changed
    tracks       -> decode -> list or unlist -> catalogue row

It only adds, so any number of learners may push at once: an asynchronous parameter server (Dean et al. 2012) made of Kafka topics.
"""

from collections.abc import Sequence

import msgspec

from online_models.track import CATALOGUE, COUNTS, META, NEIGHBOURS, VECTORS, TrackMeta, TrackTable
from streams.deltas import KeeperMeta, apply_delta, decode_delta
from streams.messages import MessageError, Track, decode, text_of
from streams.processor import dead_letter
from streams.steps import Record, Row, Step
from streams.topics import TRACK_DELTAS, TRACKS, TRACKS_CHANGELOG


class KeeperProcessor:
    """One partition of tracks, artists and tags."""

    inputs: tuple[str, ...] = (TRACK_DELTAS.name, TRACKS.name)
    changelog = TRACKS_CHANGELOG.name
    restores: tuple[str, ...] = ()

    def __init__(self, partition: int, table: TrackTable, *, pace_s: float = 0.25, flush_s: float = 60.0) -> None:
        self.partition, self.table, self.pace_s, self.flush_s = partition, table, pace_s, flush_s
        self.seen: dict[int, int] = {}

    def restore(self, topic: str, rows: Sequence[Row]) -> None:
        """Take rows of the changelog; each says all of its key, so the last of each is enough."""
        for key, value in dict(rows).items():
            if key == META:
                self.seen = {} if value is None else dict(msgspec.msgpack.decode(value, type=KeeperMeta).seen)
            else:
                self.table.apply_row(key, value)

    def step(self, records: Sequence[Record], now_ms: int) -> Step:
        """Add the deltas, take the catalogue rows, answer the rows that changed."""
        step = Step()
        changed: dict[bytes, dict[int, None]] = {section: {} for section in (CATALOGUE, COUNTS, NEIGHBOURS, VECTORS)}
        for record in records:
            try:
                if record.topic == TRACK_DELTAS.name:
                    self._add(record, changed)
                else:
                    self._list(record, changed[CATALOGUE])
            except (MessageError, ValueError) as error:
                step.outputs.append(dead_letter(record, self.partition, now_ms, str(error)))
        # first: a learner that reads on must know what the rows hold before it reads them
        step.rows[META] = msgspec.msgpack.encode(KeeperMeta(self.seen))
        for section, rows in changed.items():
            step.rows.update(self.table.encode_row(section, row) for row in rows if row)
        return step

    def flush(self, now_ms: int, *, last: bool = False) -> Step:
        """Nothing is coalesced here: each step is written whole."""
        return Step()

    def _add(self, record: Record, changed: dict[bytes, dict[int, None]]) -> None:
        delta = decode_delta(record.value)
        if delta.seq <= self.seen.get(delta.source, 0):
            return
        counts, neighbours, vectors = apply_delta(self.table, delta)
        self.seen[delta.source] = delta.seq
        for section, rows in ((COUNTS, counts), (NEIGHBOURS, neighbours), (VECTORS, vectors)):
            changed[section].update(dict.fromkeys(rows.tolist()))

    def _list(self, record: Record, changed: dict[int, None]) -> None:
        if record.value is None:
            if not record.key:
                raise MessageError("Track: a tombstone without a key, expected the track_id to remove")
            row = self.table.index("t:" + text_of(record.key, "track_id"))
            self.table.unlist_track(row)
            changed[row] = None
            return
        track = decode(Track, record.value)
        if record.key != track.track_id.encode():
            raise MessageError(f"Track: key {record.key!r}, expected the message's track_id {track.track_id!r}")
        meta = TrackMeta(
            track.track_id,
            track.title,
            track.artist_id,
            track.artist,
            track.tags,
            track.duration_ms,
            track.released_ms,
            track.album_id,
            track.content,
        )
        changed[self.table.list_track(meta)] = None
