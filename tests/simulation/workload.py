"""What producers write: phases that follow from a seed. Within a phase topics may be read in any order; the next begins when all is read."""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from streams.messages import ListeningEvent, Profile, Track, encode
from streams.partitioning import partition_of
from streams.topics import LISTENERS, LISTENING_EVENTS, PLAYLISTS, TRACKS
from tests.builders import event, playlist, track
from tests.simulation.older import PLAYS, TRACK, VETERAN, Row, older_rows
from tests.simulation.process import BOUNDS, NOW_MS

LEARNERS, KEEPERS = 2, 2  # partitions
DAY_MS = 86_400_000
USERS = [f"u{number}" for number in range(7)]
LISTED = [f"t{number}" for number in range(9)]
EXPLORED = LISTED[:3]
_KINDS = ["play"] * 5 + ["skip"] * 3 + ["like", "save", "unlike", "share", "block"]


class Input(NamedTuple):
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None


@dataclass(slots=True, repr=False)
class Workload:
    """Inputs by phase, and what must come of them, counted by hand.

    rows : what is in the topics before
    counts : events by (user, kind) of who was not erased; tracks : by (track, kind)
    trials : of explored places; refused, refused_tracks : dead letters, of learners and of keepers
    blocked : the last tracks that each blocked; erased : persons of whom nothing is left, since nothing came later
    """

    phases: list[list[Input]]
    rows: list[Row] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    tracks: Counter[tuple[str, str]] = field(default_factory=Counter)
    trials: Counter[str] = field(default_factory=Counter)
    events: int = 0
    duplicates: int = 0
    refused: int = 0
    refused_tracks: int = 0
    blocked: dict[str, dict[str, None]] = field(default_factory=dict)
    erased: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"{self.events} events, {self.duplicates} repeated, {self.refused} refused"


def make_workload(seed: int) -> Workload:
    """The same for the same seed: catalogue; profiles and offers; events, good and bad; erasures; more events, of who comes back too."""
    rng, events = random.Random(seed), 90 if seed % 2 else 40  # with as many, the first listener's history is cut
    made = Workload([], older_rows(LEARNERS, KEEPERS))
    made.counts[VETERAN, "play"] = made.events = PLAYS
    made.tracks[TRACK, "play"] = 3 * PLAYS
    made.phases.append([_input(_track(number), rng) for number in range(len(LISTED))])
    made.phases[0].insert(5, Input(TRACKS.name, 0, b"junk", b'{"track_id": 7}'))
    made.refused_tracks += 1
    made.phases.append(_introductions(rng, made))
    made.phases.append(_listening(rng, made, range(events), NOW_MS - 20 * DAY_MS))
    gone = rng.sample(USERS[1:], 2) if seed % 2 else USERS[:2]  # the first has pages of history
    tombstones = [Input(LISTENERS.name, _of(user), user.encode(), None) for user in gone]
    removed = LISTED[-1].encode()
    made.phases.append([*tombstones, Input(TRACKS.name, partition_of(removed, KEEPERS), removed, None)])
    for user, kind in list(made.counts):
        if user in gone:
            del made.counts[user, kind]
            made.blocked.pop(user, None)
    back = _heard(made, event(gone[0], LISTED[0], at_ms=NOW_MS, event_id="back"))
    made.phases.append([back, *_listening(rng, made, range(events, events + events // 4), NOW_MS - 2 * DAY_MS)])
    made.erased = [user for user in gone if not any(user == each for each, _ in made.counts)]
    return made


def _introductions(rng: random.Random, made: Workload) -> list[Input]:
    inputs = [_input(Profile(user_id=user, country=rng.choice(["SE", "BR"])), rng) for user in USERS[:4]]
    inputs.append(_refused(made, Input(LISTENERS.name, 0, b"u0", b"[]")))
    for number, user in enumerate(USERS):
        answer = playlist(user, explored=[rng.choice(EXPLORED)], plain=LISTED[4:6], request_id=f"r{number}")
        made.trials[answer.tracks[0].track_id] += 1
        inputs += [_input(answer)] * rng.choice([1, 1, 2])
    rng.shuffle(inputs)
    return inputs


def _listening(rng: random.Random, made: Workload, numbers: range, at_ms: int) -> list[Input]:
    inputs, repeated = list[Input](), list[int]()
    for number in numbers:
        at_ms += rng.choice([1_000, 200_000, 4_000_000]) if rng.random() < 0.9 else -3_600_000  # and some come late
        user, track_id = USERS[min(int(rng.expovariate(1.8)), 6)], rng.choice([*LISTED[:-1], "unlisted"])
        one = event(user, track_id, rng.choice(_KINDS), at_ms=at_ms, event_id=f"e{number}", played_ms=150_000)
        trouble = rng.random()
        if trouble < 0.05:
            inputs.append(_refused(made, _input(msgspec.structs.replace(one, at_ms=NOW_MS + 7_200_000))))
        elif trouble < 0.08:
            inputs.append(_refused(made, _input(one)._replace(key=b"somebody else")))
        elif trouble < 0.11:
            inputs.append(_refused(made, _input(one)._replace(value=b"\xffjunk %d" % number)))
        else:
            inputs.append(_heard(made, one, rng))
            if rng.random() < 0.1:
                repeated.append(len(inputs) - 1)
    for place in reversed(repeated):  # a producer sends it again, at once or later, while it is known
        inputs.insert(rng.randint(place + 1, min(place + 12, len(inputs))), inputs[place])
    made.duplicates += len(repeated)
    return inputs


def _track(number: int) -> Track:
    return track(LISTED[number], f"a{number % 3}", ["folk", "jazz"][: number % 3], duration_ms=160_000)


def _heard(made: Workload, one: ListeningEvent, rng: random.Random | None = None) -> Input:
    made.counts[one.user_id, one.kind] += 1
    made.tracks[one.track_id, one.kind] += 1
    made.events += 1
    if one.kind == "block":
        blocked = made.blocked.setdefault(one.user_id, {})
        blocked.pop(one.track_id, None)
        blocked[one.track_id] = None
        if len(blocked) > BOUNDS["likes_max"]:
            del blocked[next(iter(blocked))]
    return _input(one, rng)


def _refused(made: Workload, one: Input) -> Input:
    made.refused += 1
    return one


def _of(user_id: str) -> int:
    return partition_of(user_id.encode(), LEARNERS)


def _input(message: msgspec.Struct, rng: random.Random | None = None) -> Input:
    """rng : some messages have fields that this release does not know"""
    value = encode(message)
    if rng is not None and rng.random() < 0.2:
        value = value[:-1] + b',"unheard_of":{"a":[1,null]}}'
    if isinstance(message, Track):
        key = message.track_id.encode()
        return Input(TRACKS.name, partition_of(key, KEEPERS), key, value)
    topic = {ListeningEvent: LISTENING_EVENTS, Profile: LISTENERS}.get(type(message), PLAYLISTS).name
    user_id: str = message.user_id  # type: ignore[attr-defined]
    return Input(topic, _of(user_id), user_id.encode(), value)
