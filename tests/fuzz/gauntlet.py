"""The pure cores of all workers, small and bounded, and what must hold of each message that they are fed.

Never an exception; every message is learnt, dropped as repeated, answered, refused with a reason or dead-lettered with its own key and
bytes; what goes out fits its topic and is finite; good messages after it still work.
"""

import json
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import numpy as np

from online_models.listeners import Audience, Listeners
from segue.evaluation.cluster import LocalCluster
from serving.pending import PendingEvent
from serving.requests import request_of
from serving.runtime.worker import ServingWorker
from streams.messages import VALUE_BYTES_MAX, DeadLetter, Experiment, Playlist, decode, encode
from streams.steps import Output, Record, Step
from streams.topics import (
    BY_NAME,
    DEAD_LETTERS,
    EXPERIMENTS,
    LISTENERS,
    LISTENERS_CHANGELOG,
    LISTENING_EVENTS,
    PLAYLIST_REQUESTS,
    PLAYLISTS,
    TRACKS,
)
from tests.builders import NOW_MS, event, playlist, request, track
from tests.fuzz.hostile import Message, hostile
from tests.runtime.fakes import SETTINGS, Rec
from tests.runtime.fakes import Listeners as Follower

LEARNER = (LISTENING_EVENTS.name, LISTENERS.name, PLAYLISTS.name)
DEFAULT_BYTES_MAX = 1_048_576  # of a topic that says nothing
TRACKS_LISTED = 30
ENTITIES_MAX = 350  # fewer than the fuzzer names, so that the bound is met
BOUNDS = {"history_max": 256, "likes_max": 20, "offers_max": 16}


class _Ids(msgspec.Struct):
    """Whose a message is."""

    user_id: msgspec.Raw = msgspec.Raw(b"null")
    track_id: msgspec.Raw = msgspec.Raw(b"null")


class Broken(AssertionError):  # noqa: N818
    """What must hold did not."""


def must(holds: object, what: str) -> None:
    """A check that prints what it saw."""
    if not holds:
        raise Broken(what[:2000])


class Gauntlet:
    """A cluster without a broker. counts : messages by (topic, what became of them)"""

    def __init__(self) -> None:
        self.cluster = LocalCluster(dims=8, flush_every=1_000_000)
        self.learner, self.keeper, self.replica = self.cluster.learner, self.cluster.keeper, self.cluster.replica
        self.learner.listeners = Listeners(events_max=1000, **BOUNDS)
        self.replica.listeners = Audience(events_max=1000, **BOUNDS)
        for table in (self.cluster.track_replica.table, self.keeper.table, self.replica.table):
            table.entities_max = ENTITIES_MAX
        self.now_ms = NOW_MS
        self.worker: Any = ServingWorker(SETTINGS, clock_ms=lambda: float(self.now_ms))
        self.worker._replica, self.worker._radio, self.worker._listeners = self.replica, self.cluster.radio, Follower()
        self.counts: Counter[tuple[str, str]] = Counter()
        self._offset = self._good = 0
        self.replica.pending.begin(0, 0, 0)
        self.cluster.list_tracks(track(f"t{n}", artist_id=f"a{n % 9}") for n in range(TRACKS_LISTED))
        self.cluster.flush()

    def feed(self, messages: Sequence[Message]) -> None:
        """Hand messages to their workers as each would get them, then good ones."""
        self.now_ms += 500
        self._learn([each for each in messages if each.topic in LEARNER])
        self._keep([each for each in messages if each.topic == TRACKS.name])
        for each in messages:
            if each.topic == PLAYLIST_REQUESTS.name:
                self._ask(each)
            elif each.topic == EXPERIMENTS.name:
                self._try_out(each)
        self.check_good_messages()

    def flush(self) -> None:
        """What learners send to keepers, and the rows to the replicas; everything that is known is finite."""
        flushed = self.learner.flush(self.now_ms)
        self._check_sizes(flushed, [])
        self.cluster._route(flushed.outputs)
        self.cluster._keep(self.cluster._deltas)
        self.cluster._deltas = []
        self.cluster._route(())
        while self.replica.tick():
            pass
        must(self.cluster.dead_letters == [], f"an own delta was refused: {self.cluster.dead_letters[:1]!r}")
        for table in (self.cluster.track_replica.table, self.keeper.table, self.replica.table):
            columns = (table.counts, table.vectors, table.neighbour_weights)
            must(all(np.isfinite(column).all() for column in columns), "a track column is not finite")
            must(len(table) <= ENTITIES_MAX, "a track table outgrew its bound")
        must(np.isfinite(self.learner.ranker.model.w).all(), "ranker weights are not finite")

    def check_good_messages(self) -> None:
        """A good message of each kind still works."""
        self._good += 1
        name, known = f"good{self._good}", f"t{self._good % TRACKS_LISTED}"
        before = self.learner.meta.events
        sent = [
            Message(TRACKS.name, known.encode(), encode(track(known))),
            Message(LISTENERS.name, b"good", b'{"user_id":"good","country":"SE"}'),
            Message(
                LISTENING_EVENTS.name, b"good", encode(event("good", known, event_id=name, at_ms=self.now_ms - 1000))
            ),
            Message(PLAYLISTS.name, b"good", encode(playlist("good", [known], request_id=name))),
        ]
        self._keep(sent[:1])
        self._learn(sent[1:])
        must(self.learner.meta.events == before + 1, "a good event was not learnt")
        answer = self._ask(Message(PLAYLIST_REQUESTS.name, b"good", encode(request("good", request_id=name))))
        must(answer.error is None and answer.request_id == name, f"a good request was answered with {answer.error!r}")
        must(answer.tracks, "a good request got an empty list")
        must(answer.seen_events == self.learner.listeners.get("good").events, "an answer that knows too little")
        self._try_out(Message(EXPERIMENTS.name, b"good", b'{"name":"good","layer":"good","arms":{"a":1.0}}'))
        must("good" in self.replica.experiments, "a good experiment was not taken")

    def _record(self, message: Message) -> Record:
        self._offset += 1
        return Record(message.topic, self._offset, message.key, message.value, self.now_ms)

    def _learn(self, messages: Sequence[Message]) -> None:
        records, meta = [self._record(each) for each in messages], self.learner.meta
        events, duplicates, refused = meta.events, meta.duplicates, meta.dead_letters
        foreseen = self._foresee(records)
        step = self.learner.step(records, self.now_ms)
        letters = self._check_letters(messages, records, step.outputs)
        must(meta.dead_letters - refused == len(letters), "dead letters are not counted")
        heard = sum(each.topic == LISTENING_EVENTS.name and each.offset not in letters for each in records)
        learnt, repeated = meta.events - events, meta.duplicates - duplicates
        must(
            learnt + repeated == heard, f"{heard} events were taken, {learnt} learnt and {repeated} dropped as repeated"
        )
        self.counts[LISTENING_EVENTS.name, "learnt"] += learnt
        self.counts[LISTENING_EVENTS.name, "repeated"] += repeated
        self._check_sizes(step, messages)
        self.replica.apply(LISTENERS_CHANGELOG.name, 0, list(step.rows.items()))
        self.replica.learnt(0, self._offset + 1)
        for user, count in foreseen.items():
            known = self.learner.listeners.get(user).events
            must(count == known, f"{count} events of {user!r} were foreseen, {known} learnt")

    def _foresee(self, records: Sequence[Record]) -> dict[str, int]:
        """The serving worker reads the events first; answers how many it knows of each listener, where nothing but events can change that."""
        events = [each for each in records if each.topic == LISTENING_EVENTS.name]
        pending = [PendingEvent(each.offset, each.key, each.value, self.now_ms) for each in events]
        self.replica.pending.take(0, pending)
        users = {(each.key or b"").decode("utf-8", "replace") for each in events}
        erased = {(each.key or b"").decode("utf-8", "replace") for each in records if each.value is None}
        known = {user: self.replica.listener(user) for user in users - erased}
        room = BOUNDS["history_max"] - len(events)  # a full history waits for its rows
        whole = len(self.replica.pending) == len(events)  # else they were more than are held
        return {user: listener.events for user, listener in known.items() if whole and len(listener.history) < room}

    def _keep(self, messages: Sequence[Message]) -> None:
        records = [self._record(each) for each in messages]
        step = self.keeper.step(records, self.now_ms)
        self._check_letters(messages, records, step.outputs)
        self._check_sizes(step, messages)
        rows = list(step.rows.items())
        self.cluster.track_replica.apply(0, rows)
        self.replica.apply("tracks-changelog", 0, rows)

    def _check_letters(
        self, messages: Sequence[Message], records: Sequence[Record], outputs: Sequence[Output]
    ) -> set[int]:
        """Each letter is of one record, whole; what has none was meant for its owner. Answers the offsets of what was refused."""
        written = [
            msgspec.json.decode(each.value or b"", type=DeadLetter)
            for each in outputs
            if each.topic == DEAD_LETTERS.name
        ]
        letters = {each.offset: each for each in written}
        must(len(letters) == len(written), "two letters of one message")
        must(set(letters) <= {each.offset for each in records}, "a letter of nothing that was sent")
        for message, record in zip(messages, records, strict=True):
            letter = letters.get(record.offset)
            if letter is None:
                must(_owned(message), f"{message} was taken")
                if record.topic != LISTENING_EVENTS.name:
                    self.counts[record.topic, "taken"] += 1
                continue
            must(message.how, f"a good message was refused: {letter}")
            self.counts[record.topic, "dead-lettered"] += 1
            seen, sent = (letter.topic, letter.key, letter.value), (record.topic, record.key, record.value)
            begun = all((was or b"").startswith(is_ or b"") for is_, was in zip(seen[1:], sent[1:], strict=True))
            size = sum(len(each or b"") for each in sent[1:]) - sum(len(each or b"") for each in seen[1:])  # type: ignore[arg-type]
            whole = seen == sent or (letter.left_out > 0 and begun)
            must(whole and size == letter.left_out, f"{letter.topic}: a letter without its own bytes")
            must(letter.reason and letter.at_ms == self.now_ms, f"{letter.topic}: a letter without a reason")
        return set(letters)

    def _check_sizes(self, step: Step, messages: Sequence[Message]) -> None:
        """Whatever goes out fits its topic, where what came fitted its own."""
        for key, value in step.rows.items():
            must(len(key) + len(value or b"") < 15 << 20, f"row {key[:40]!r} has {len(value or b''):,} bytes")
        if all(len(each.value or b"") + len(each.key or b"") <= _bytes_max(each.topic) for each in messages):
            for output in step.outputs:
                size, most = len(output.key or b"") + len(output.value or b""), _bytes_max(output.topic)
                must(size < most, f"{output.topic}: a message of {size:,} bytes, at most {most:,}")

    def _ask(self, message: Message) -> Playlist:
        waited_ms = (self._offset % 7) * 30  # now and then from a lower level of the ladder
        record = Rec(self._offset, message.key, message.value, self.now_ms - waited_ms)
        answer: Playlist = self.worker._answer(record, request_of(record.key, record.value))
        self._offset += 1
        value = encode(answer)
        must(len(value) <= VALUE_BYTES_MAX, f"an answer of {len(value):,} bytes")
        must(decode(Playlist, value) == answer, "an answer that cannot be read")
        if answer.error is None:
            self.counts[PLAYLIST_REQUESTS.name, "answered"] += 1
            must(_owned(message), f"{message} was answered")
        else:
            self.counts[PLAYLIST_REQUESTS.name, "refused"] += 1
            must(message.how and "we failed" not in answer.error, f"{message.value!r} was answered with {answer.error}")
        return answer

    def _try_out(self, message: Message) -> None:
        replica = self.replica
        broken = replica.broken_experiments
        replica.apply(EXPERIMENTS.name, 0, [(message.key, message.value)])  # type: ignore[list-item]
        refused = replica.broken_experiments > broken
        self.counts[EXPERIMENTS.name, "refused" if refused else "taken"] += 1
        must(message.how or not refused, f"a good experiment was refused: {message}")
        if not refused and message.value is not None:
            name = decode(Experiment, message.value).name
            must(message.key == name.encode(), f"experiment {name!r} was taken under {message.key!r}")
            must(replica.experiments.get(name) == decode(Experiment, message.value), "an experiment was not taken")


def _bytes_max(topic: str) -> int:
    return int(dict(BY_NAME[topic].config).get("max.message.bytes", DEFAULT_BYTES_MAX))


def _owned(message: Message) -> bool:
    """Whether a message stands under its own id, or is a tombstone with a key where one may be; read by another reader than ours."""
    if message.value is None:
        return message.key is not None and message.topic in (LISTENERS.name, TRACKS.name)
    ids = msgspec.json.decode(message.value, type=_Ids)
    if message.topic == PLAYLISTS.name and b"explored" not in message.value:
        return True  # nothing to learn: a refusal may stand under any key
    named = ids.track_id if message.topic == TRACKS.name else ids.user_id
    owned: bool = message.key == json.loads(bytes(named)).encode()
    return owned or message.topic == PLAYLISTS.name


def shower(chance: Random, gauntlet: Gauntlet, messages: int) -> None:
    """Feed so many hostile messages, in steps of a random size; flush now and then."""
    left = messages
    while left:
        size = min(left, chance.choice((1, 50, 200, 500)))
        gauntlet.feed([hostile(chance, gauntlet.now_ms) for _ in range(size)])
        if chance.random() < 0.2:
            gauntlet.flush()
        left -= size
    gauntlet.flush()
