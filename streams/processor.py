"""The write path: what happens to an event, on one screen.

    record -> decode -> refuse or take -> listener -> example -> rankers, two-tower -> rows, track deltas

`LearnerProcessor.step` is a pure function of the partition's state, the track replica and the records. Rows, counters and co-listening
are exact (in every step; `unsent` until the flush that sends them); two-tower vectors and ranker weights are coalesced (in `flush`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from online_models.drift import Alarm
from online_models.gathering import offer_of
from online_models.hearing import heard_of, mark_of
from online_models.listener import Listener
from online_models.listener_rows import PLAY, SKIP, Profile
from online_models.listeners import Listeners
from online_models.ranker import OBJECTIVES, Ranker
from online_models.track import META
from online_models.two_tower import TwoTower
from streams.deltas import TrackReplica
from streams.lesson import Lesson, Ranked
from streams.messages import (
    Context,
    DeadLetter,
    ListeningEvent,
    MessageError,
    Playlist,
    decode,
    encode,
    event_of,
    owned,
    text_of,
)
from streams.messages import Profile as ProfileMessage
from streams.steps import Output, Record, Row, Step
from streams.topics import (
    DEAD_LETTERS,
    LISTENERS,
    LISTENERS_CHANGELOG,
    LISTENING_EVENTS,
    PLAYLISTS,
    RANKER_WEIGHTS,
    TRACK_DELTAS,
)
from streams.unsent import UNSENT, Unsent

LETTER_BYTES_MAX = (
    2_500_000  # of key and value: in base64 what the topic takes; compressed, a message may hold any size
)
LETTER_KEY_BYTES_MAX = 1024  # a longer key stands in the letter alone: twice, it could be more than the topic takes
NOWHERE = Context()
TAKEN_UP = "\0"  # before the request of an offer whose track was heard: kept, so that the same playlist is known when it comes again


class LearnerMeta(msgspec.Struct):
    """The learner's row b"m", exact: deltas sent, events learnt, repeated ones dropped, messages refused; and how often the ranker's loss rose."""

    seq: int = 0
    events: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    drifts: int = 0


class LearnerProcessor:
    """One partition of listeners.

    replica : the track rows, shared by the learner's partitions; two_tower : trains on it; rank_batch : as of `Lesson`
    """

    inputs: tuple[str, ...] = (LISTENING_EVENTS.name, LISTENERS.name, PLAYLISTS.name)
    changelog = LISTENERS_CHANGELOG.name
    restores: tuple[str, ...] = (RANKER_WEIGHTS.name,)
    pace_s = 0.01  # a transaction costs as much as the learning of thirty events: under load they are shared

    def __init__(
        self,
        partition: int,
        replica: TrackReplica,
        two_tower: TwoTower,
        *,
        flush_s: float = 1.0,
        listeners: Listeners | None = None,
        rank_batch: int = 1,
    ) -> None:
        self.partition, self.replica, self.two_tower, self.flush_s = partition, replica, two_tower, flush_s
        self.listeners = Listeners() if listeners is None else listeners
        self.ranker = Ranker()
        self.meta = LearnerMeta()
        self.lesson = Lesson(replica, two_tower, self.ranker, rank_batch=rank_batch)
        self.unsent = Unsent(partition, replica)

    # --- the engine's calls

    def restore(self, topic: str, rows: Sequence[Row]) -> None:
        """Take rows of the changelog or of the ranker's weights."""
        for key, value in rows:
            if topic == RANKER_WEIGHTS.name:
                self.ranker.restore(key, value)
            elif key[:1] == UNSENT:
                self.unsent.restore(key, value)
            elif key == META:
                self.meta = LearnerMeta() if value is None else msgspec.msgpack.decode(value, type=LearnerMeta)
        if topic == LISTENERS_CHANGELOG.name:
            self.listeners.apply_rows(rows)

    def step(self, records: Sequence[Record], now_ms: int) -> Step:
        """Learn from records; see the module's picture."""
        step, changed, erased = Step(), dict[str, Listener](), dict[bytes, None]()
        self.unsent.adopt()
        for record in records:
            try:
                if record.topic == LISTENING_EVENTS.name:
                    self._hear(event_of(record.key, record.value, now_ms), changed)
                elif record.topic == PLAYLISTS.name:
                    self._note_offers(decode(Playlist, record.value), record, changed)
                else:
                    self._introduce(record, changed, erased)
            except MessageError as error:
                self.meta.dead_letters += 1
                step.outputs.append(dead_letter(record, self.partition, now_ms, str(error)))
        counts = self.lesson.learn()
        if self.lesson.ranked is not None:
            self._tell(step, self.lesson.ranked)
        if len(counts[0]) or len(counts[2]):
            step.rows.update([self.unsent.add(counts)])
        for listener in changed.values():
            rows = listener.changed_rows()
            self.listeners.keep(listener, rows)
            step.rows.update(rows)
        for (
            key
        ) in erased:  # after the rows of who came back, so that a reader in between finds what each head counts on
            step.rows.setdefault(key, None)
        step.rows[META] = msgspec.msgpack.encode(self.meta)
        return step

    def flush(self, now_ms: int, *, last: bool = False) -> Step:
        """Hand out what was learnt since the last flush: counts and pairs, vectors, weights."""
        step, replica = Step(), self.replica
        if self.lesson.rank() and self.lesson.ranked is not None:
            self._tell(step, self.lesson.ranked)
        self.lesson.train_tower()
        sent, counts = self.unsent.take()
        # without rows: above whatever was sent before they were lost, which keepers would take for the same once more
        first = (self.meta.seq or now_ms) + 1
        deltas = replica.send_counts(self.partition, first, *counts)
        vectors, seq = replica.send_vectors(self.partition, first + bool(deltas), everything=last)
        deltas += vectors
        weights = self.ranker.changed_rows()
        step.rows.update(dict.fromkeys(sent))
        if deltas or weights:
            self.meta.seq = seq - 1
            step.rows[META] = msgspec.msgpack.encode(self.meta)
        source = self.partition.to_bytes(4, "big")
        step.outputs += [Output(TRACK_DELTAS.name, source, delta, keeper) for keeper, delta in deltas]
        step.outputs += [Output(RANKER_WEIGHTS.name, key, value) for key, value in weights.items()]
        return step

    def _tell(self, step: Step, ranked: Ranked) -> None:
        """Count and tell where the loss of what the ranker has just learnt has risen."""
        for alarm in self.ranker.alarms:
            self.meta.drifts += 1
            step.warnings.append(_drifted(alarm, self.partition, int(ranked.at_ms[-1])))

    # --- what each kind of record does

    def _hear(self, event: ListeningEvent, changed: dict[str, Listener]) -> None:
        listener = self._listener(event.user_id, changed)
        mark = mark_of(event.event_id)
        if listener.knows(mark):
            self.meta.duplicates += 1
            return
        self.meta.events += 1
        row = self.replica.table.add("t:" + event.track_id)
        heard, timed = heard_of(event, mark, self.replica.table, row)
        context = event.context or NOWHERE
        offer = offer_of(event.position, context.surface)
        self.lesson.hear(listener, heard, row, context.hour, timed=timed, offer=offer)
        if heard.kind in (PLAY, SKIP) and _take_up(listener, event.track_id):
            self.lesson.count(row, "successes", float(heard.kind == PLAY))
        changed[listener.user_id] = listener

    def _note_offers(self, playlist: Playlist, record: Record, changed: dict[str, Listener]) -> None:
        if not any(slot.explored for slot in playlist.tracks):  # a refusal among them, which may stand under any key
            return
        owned(playlist, record.key)
        listener = self._listener(playlist.user_id, changed)
        for slot in playlist.tracks:
            offer = listener.offered.get(slot.track_id, "").removeprefix(TAKEN_UP)
            if not slot.explored or offer == playlist.request_id:  # the same playlist again: a worker answered twice
                continue
            listener.offer(slot.track_id, playlist.request_id)
            changed[listener.user_id] = listener
            self.lesson.count(self.replica.table.add("t:" + slot.track_id), "trials", 1.0)

    def _introduce(self, record: Record, changed: dict[str, Listener], erased: dict[bytes, None]) -> None:
        if record.value is None:
            if not record.key:
                raise MessageError("Profile: a tombstone without a key, expected the user_id to erase")
            user_id = text_of(record.key, "user_id")
            changed.pop(user_id, None)
            erased.update(self.listeners.erase(user_id))
            return
        message = owned(decode(ProfileMessage, record.value), record.key)
        listener = self._listener(message.user_id, changed)
        listener.introduce(
            Profile(message.country, message.age_band, message.favourite_tags, message.favourite_artists)
        )
        changed[listener.user_id] = listener

    def _listener(self, user_id: str, changed: dict[str, Listener]) -> Listener:
        return changed.get(user_id) or self.listeners.get(user_id)


def _take_up(listener: Listener, track_id: str) -> bool:
    """Whether exploration offered this track and it was not heard since; each offer is taken up once."""
    offer = listener.offered.get(track_id)
    if offer is None or offer.startswith(TAKEN_UP):
        return False
    listener.accept(track_id)
    listener.offer(track_id, TAKEN_UP + offer)
    return True


def _drifted(alarm: Alarm, partition: int, at_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return (
        f"learner {partition}: the log loss of {OBJECTIVES[alarm.place]} rose from {alarm.before:.3f} to {alarm.recently:.3f}, by events of "
        f"{at:%Y-%m-%d %H:%M:%S} UTC: what was learnt before counts less from now on"
    )


def dead_letter(record: Record, partition: int, now_ms: int, reason: str) -> Output:
    """What could not be used, as received, with where it came from and why."""
    kept_key = None if record.key is None else record.key[:LETTER_BYTES_MAX]
    kept = None if record.value is None else record.value[: LETTER_BYTES_MAX - len(kept_key or b"")]
    left_out = sum(len(each or b"") for each in (record.key, record.value)) - len(kept_key or b"") - len(kept or b"")
    letter = DeadLetter(record.topic, partition, record.offset, now_ms, reason[:2000], kept_key, kept, left_out)
    key = record.key if record.key is not None and len(record.key) <= LETTER_KEY_BYTES_MAX else None
    return Output(DEAD_LETTERS.name, key, encode(letter))
