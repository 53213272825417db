"""What each kind of process may do on a Kafka with access control, and no more: as data, which docs/security.md shows and tests hold.

A kind is a user's job, not a user: `segue topics rights` prints what gives a user the rights of a kind.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from streams.topics import (
    DEAD_LETTERS,
    EXPERIMENTS,
    LISTENERS,
    LISTENERS_CHANGELOG,
    LISTENING_EVENTS,
    PLAYLIST_REQUESTS,
    PLAYLISTS,
    RANKER_WEIGHTS,
    TOPICS,
    TRACK_DELTAS,
    TRACKS,
    TRACKS_CHANGELOG,
    Topic,
)

Operation = Literal["Read", "Write", "Create", "Describe", "DescribeConfigs"]
Resource = Literal["topic", "group", "transactional-id"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of process.

    reads, writes : topics; every kind may describe all of ours besides, since partition counts are compared at a start
    group : of its consumers, without the prefix; transactional : before its transactional ids, without the prefix
    creates : whether it may create our topics; configs : topics whose settings it reads
    """

    about: str
    reads: tuple[Topic, ...] = ()
    writes: tuple[Topic, ...] = ()
    group: str | None = None
    transactional: str | None = None
    creates: bool = False
    configs: tuple[Topic, ...] = ()


KINDS: dict[str, Kind] = {
    "learner": Kind(
        "`segue worker learner`",
        reads=(LISTENING_EVENTS, LISTENERS, PLAYLISTS, LISTENERS_CHANGELOG, RANKER_WEIGHTS, TRACKS_CHANGELOG),
        writes=(LISTENERS_CHANGELOG, RANKER_WEIGHTS, TRACK_DELTAS, DEAD_LETTERS),
        group="segue-learner",
        transactional="segue-learner-",
    ),
    "keeper": Kind(
        "`segue worker keeper`",
        reads=(TRACK_DELTAS, TRACKS, TRACKS_CHANGELOG),
        writes=(TRACKS_CHANGELOG, DEAD_LETTERS),
        group="segue-keeper",
        transactional="segue-keeper-",
    ),
    "serving": Kind(
        "`segue worker serving`",
        reads=(PLAYLIST_REQUESTS, LISTENING_EVENTS, LISTENERS_CHANGELOG, TRACKS_CHANGELOG, RANKER_WEIGHTS, EXPERIMENTS),
        writes=(PLAYLISTS,),
        group="segue-serving",
    ),
    "producer": Kind(
        "what tells Segue of events, tracks and profiles: your services, `segue produce`",
        writes=(LISTENING_EVENTS, TRACKS, LISTENERS),
    ),
    "client": Kind(
        "what asks for playlists: your services, `segue playlist`",
        reads=(PLAYLISTS,),
        writes=(PLAYLIST_REQUESTS,),
    ),
    "traffic": Kind(
        "`segue simulate`: a catalogue, listeners, and a look at what was learnt",
        reads=(PLAYLISTS, LISTENERS_CHANGELOG, TRACKS_CHANGELOG, RANKER_WEIGHTS, DEAD_LETTERS),
        writes=(LISTENING_EVENTS, TRACKS, LISTENERS, PLAYLIST_REQUESTS),
    ),
    "observer": Kind("`segue listener`, `segue export`, `segue tail`: reads all, writes nothing", reads=TOPICS),
    "experimenter": Kind("what starts and ends experiments", writes=(EXPERIMENTS,)),
    "dead-letters": Kind(
        "`segue dead-letters`: reads them, and replays them to the topics that they came from",
        reads=(DEAD_LETTERS,),
        writes=(LISTENING_EVENTS, TRACKS, LISTENERS, PLAYLIST_REQUESTS, PLAYLISTS, EXPERIMENTS),
    ),
    "eraser": Kind(
        "`segue forget`: erases a person, and looks whether they are gone and until when the rest is kept",
        reads=(LISTENERS_CHANGELOG, LISTENERS, LISTENING_EVENTS, PLAYLISTS),
        writes=(LISTENERS,),
        configs=(LISTENERS_CHANGELOG, LISTENERS, LISTENING_EVENTS, PLAYLISTS, PLAYLIST_REQUESTS, DEAD_LETTERS),
    ),
    "admin": Kind("`segue topics create`", creates=True),
}


class Right(NamedTuple):
    """One operation on one resource; `prefixed` where the name is the beginning of names."""

    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False


def rights_of(kind: str, prefix: str = "") -> list[Right]:
    """The rights of a kind, with the prefix of topics, groups and transactional ids."""
    this = KINDS[kind]
    rights = [Right("topic", prefix + topic.name, "Describe") for topic in TOPICS]
    rights += [Right("topic", prefix + topic.name, "Read") for topic in this.reads]
    rights += [Right("topic", prefix + topic.name, "Write") for topic in this.writes]
    rights += [Right("topic", prefix + topic.name, "DescribeConfigs") for topic in this.configs]
    if this.creates:
        rights += [Right("topic", prefix + topic.name, "Create") for topic in TOPICS]
    if this.group is not None:
        rights.append(Right("group", prefix + this.group, "Read"))
    if this.transactional is not None:
        rights.append(Right("transactional-id", prefix + this.transactional, "Write", prefixed=True))
    return rights


def acl_lines(kind: str, principal: str, prefix: str = "") -> Iterator[str]:
    """Arguments of Kafka's `kafka-acls.sh` that give a principal the rights of a kind, one line for an operation on a kind of resource."""
    rights = rights_of(kind, prefix)
    for resource, operation, prefixed in dict.fromkeys(
        (each.resource, each.operation, each.prefixed) for each in rights
    ):
        names = [right.name for right in rights if (right.resource, right.operation) == (resource, operation)]
        pattern = " --resource-pattern-type prefixed" if prefixed else ""
        named = " ".join(f"--{resource} {name}" for name in names)
        yield f"--add --allow-principal {principal} --operation {operation} {named}{pattern}"
