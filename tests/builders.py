"""Messages, records and processors for tests: each builder takes only the fields that matter to the test."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from online_models.track import COLUMN, TrackTable
from online_models.two_tower import TwoTower
from streams.deltas import TrackReplica
from streams.keeper import KeeperProcessor
from streams.messages import DeadLetter, ListeningEvent, Playlist, PlaylistRequest, Profile, Slot, Track, encode
from streams.processor import LearnerMeta, LearnerProcessor
from streams.steps import Record, Step
from streams.topics import DEAD_LETTERS, LISTENERS, LISTENING_EVENTS, PLAYLISTS, TRACK_DELTAS, TRACKS

NOW_MS = 1_760_000_000_000  # October 2025
DIMS = 4
TOPIC_OF: dict[type, str] = {
    ListeningEvent: LISTENING_EVENTS.name,
    Profile: LISTENERS.name,
    Playlist: PLAYLISTS.name,
    Track: TRACKS.name,
}


def event(user_id: str = "ann", track_id: str = "t1", kind: str = "play", **fields: Any) -> ListeningEvent:
    """What a listener did; its event_id says all that makes it another event."""
    at_ms = fields.pop("at_ms", NOW_MS)
    event_id = fields.pop("event_id", f"{user_id}-{track_id}-{kind}-{at_ms}")
    return ListeningEvent(
        event_id=event_id,
        at_ms=at_ms,
        user_id=user_id,
        track_id=track_id,
        kind=kind,  # type: ignore[arg-type]
        **fields,
    )


def track(track_id: str = "t1", artist_id: str | None = "a1", tags: Sequence[str] = ("folk",), **fields: Any) -> Track:
    """A row of the catalogue, 200 s long."""
    fields = {"title": f"Song {track_id}", "duration_ms": 200_000, **fields}
    return Track(track_id=track_id, artist_id=artist_id, tags=list(tags), **fields)


def playlist(user_id: str = "ann", explored: Sequence[str] = (), plain: Sequence[str] = (), **fields: Any) -> Playlist:
    """An answer with explored and other places."""
    slots = [Slot(each, rank, 1.0, explored=each in explored) for rank, each in enumerate([*explored, *plain])]
    return Playlist(request_id=fields.pop("request_id", "r1"), user_id=user_id, tracks=slots, **fields)


def request(user_id: str = "ann", **fields: Any) -> PlaylistRequest:
    """A request."""
    return PlaylistRequest(request_id=fields.pop("request_id", "r1"), user_id=user_id, **fields)


def record(message: msgspec.Struct, offset: int = 0) -> Record:
    """A message as it is consumed, under its own key."""
    key = message.track_id if isinstance(message, Track) else message.user_id  # type: ignore[attr-defined]
    return Record(TOPIC_OF[type(message)], offset, key.encode(), encode(message), NOW_MS)


def records(messages: Iterable[msgspec.Struct]) -> list[Record]:
    """Messages as they are consumed, one after the other."""
    return [record(message, offset) for offset, message in enumerate(messages)]


def raw(topic: str, value: bytes | None, key: bytes | None = b"ann", offset: int = 0) -> Record:
    """A record of any bytes."""
    return Record(topic, offset, key, value, NOW_MS)


def keeper(*tracks: Track, partition: int = 0) -> KeeperProcessor:
    """A keeper that lists some tracks."""
    made = KeeperProcessor(partition, TrackTable(dims=DIMS))
    made.step(records(tracks), NOW_MS)
    return made


def replica_of(*keepers: KeeperProcessor) -> TrackReplica:
    """A learner's replica that has read the keepers' catalogue."""
    replica = TrackReplica(TrackTable(dims=DIMS), len(keepers))
    for each in keepers:
        rows = [each.table.encode_row(b"i", row) for row in each.table.listed_rows().tolist()]
        replica.apply(each.partition, rows)
    return replica


def learner(*tracks: Track, partition: int = 0, replica: TrackReplica | None = None) -> LearnerProcessor:
    """A learner against one keeper partition that lists some tracks."""
    replica = replica_of(keeper(*tracks)) if replica is None else replica
    return LearnerProcessor(partition, replica, TwoTower(replica.table, uniform=4))


def learn(processor: LearnerProcessor, *messages: msgspec.Struct) -> Step:
    """One step over messages."""
    return processor.step(records(messages), NOW_MS)


def counter(table: TrackTable, key: str, name: str) -> float:
    """A counter of an entity."""
    return float(table.counts[table.index(key), COLUMN[name]])


def dead_letters(step: Step) -> list[DeadLetter]:
    """What a step refused."""
    return [
        msgspec.json.decode(output.value or b"", type=DeadLetter)
        for output in step.outputs
        if output.topic == DEAD_LETTERS.name
    ]


def deltas(step: Step, start: int = 0) -> list[Record]:
    """The track deltas of a step, as the keeper of partition 0 consumes them."""
    values = [output for output in step.outputs if output.topic == TRACK_DELTAS.name]
    return [Record(TRACK_DELTAS.name, start + place, each.key, each.value, NOW_MS) for place, each in enumerate(values)]


def restored(processor: LearnerProcessor, *steps: Step) -> LearnerProcessor:
    """A fresh learner that has read the rows of some steps of another."""
    again = learner(partition=processor.partition, replica=processor.replica)
    for step in steps:
        again.restore(again.changelog, list(step.rows.items()))
    again.step([], NOW_MS)
    return again


def meta(processor: LearnerProcessor) -> LearnerMeta:
    """The learner's exact counts, without the number of its last delta."""
    return msgspec.structs.replace(processor.meta, seq=0)
