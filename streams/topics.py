"""Every topic as data: its name, key, clean-up, and whose partition count it shares."""

from dataclasses import dataclass
from typing import Literal

Group = Literal["listener", "track", "single"]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    name : logical name; the configured prefix goes before it
    key : what its messages are keyed by
    cleanup : "delete" keeps a time window, "compact" keeps the last value per key
    group : topics of one group have one partition count, so that partition 3 of each belongs to the same worker
    config : further broker settings of the topic
    """

    name: str
    key: str
    cleanup: Literal["delete", "compact"]
    group: Group
    about: str
    config: tuple[tuple[str, str], ...] = ()

    def settings(self) -> dict[str, str]:
        """The topic's settings as the broker takes them."""
        return {"cleanup.policy": self.cleanup, **dict(self.config)}


# Rows are rewritten all the time: compact early, so that a restore reads little more than the live rows.
_ROWS = (
    ("min.cleanable.dirty.ratio", "0.2"),
    ("segment.ms", "600000"),
    ("segment.bytes", "8388608"),
    ("max.message.bytes", "8388608"),
)
# A person's rows: what a tombstone replaces leaves the disk within a day, however seldom the rows change.
_PERSONAL = ("max.compaction.lag.ms", "86400000")
# Of a topic that cannot be erased by key: a message outlives its retention by a day at most, not by Kafka's week.
_DAILY = ("segment.ms", "86400000")
# What others may send, as it is sent: a dead letter holds it, in base64 and with its reason, unless it was compressed and is greater.
_INPUT = (("max.message.bytes", "2097152"),)

LISTENING_EVENTS = Topic(
    "listening-events", "user_id", "delete", "listener", "plays, skips, likes: what listeners did", (*_INPUT, _DAILY)
)
TRACKS = Topic("tracks", "track_id", "compact", "track", "the catalogue; a tombstone removes a track", _INPUT)
LISTENERS = Topic(
    "listeners",
    "user_id",
    "compact",
    "listener",
    "profiles; a tombstone erases the person everywhere",
    (
        *_INPUT,
        _PERSONAL,
        ("min.cleanable.dirty.ratio", "0.2"),
        ("segment.ms", "3600000"),  # an open segment is never compacted, nor is what its tombstones erase
        ("delete.retention.ms", "604800000"),  # a learner that was away for a week still reads every tombstone
    ),
)
PLAYLIST_REQUESTS = Topic(
    "playlist-requests",
    "user_id",
    "delete",
    "listener",
    "who wants a playlist, for which surface",
    (*_INPUT, ("retention.ms", "3600000"), ("segment.ms", "600000")),  # nobody waits longer for an answer
)
PLAYLISTS = Topic("playlists", "user_id", "delete", "listener", "answers, and the impression log", (*_INPUT, _DAILY))
DEAD_LETTERS = Topic(
    "dead-letters",
    "as received",
    "delete",
    "listener",
    "what could not be used, with its bytes and why",
    (("max.message.bytes", "4194304"), _DAILY),
)
TRACK_DELTAS = Topic(
    "track-deltas",
    "source partition",
    "delete",
    "track",
    "what learners add to track rows",
    (("max.message.bytes", "16777216"),),
)
LISTENERS_CHANGELOG = Topic(
    "listeners-changelog",
    "section + user_id",
    "compact",
    "listener",
    "listener rows",
    (*_ROWS, _PERSONAL, ("delete.retention.ms", "86400000")),  # no follower falls a day behind
)
TRACKS_CHANGELOG = Topic(
    "tracks-changelog", "section + entity key", "compact", "track", "track, artist and tag rows", _ROWS
)
RANKER_WEIGHTS = Topic(
    "ranker-weights", "section + objective", "compact", "listener", "ranker weights per objective", _ROWS
)
EXPERIMENTS = Topic("experiments", "name", "compact", "single", "experiments: layers, arms and what they set", _INPUT)

TOPICS: tuple[Topic, ...] = (
    LISTENING_EVENTS,
    TRACKS,
    LISTENERS,
    PLAYLIST_REQUESTS,
    PLAYLISTS,
    DEAD_LETTERS,
    TRACK_DELTAS,
    LISTENERS_CHANGELOG,
    TRACKS_CHANGELOG,
    RANKER_WEIGHTS,
    EXPERIMENTS,
)

BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}
