"""What a release before this one left in the topics: rows with fewer columns and fields, and some that nobody knows."""

import msgspec
import numpy as np

from online_models.features import FEATURES
from online_models.listener_rows import CHOICES, HEAD, KINDS, PLAY
from online_models.ranker import BINS, BLOCK, Block
from online_models.track import CATALOGUE, COLUMN, COUNTERS, COUNTS, META
from streams.partitioning import partition_of
from streams.topics import LISTENERS_CHANGELOG, RANKER_WEIGHTS, TRACK_DELTAS, TRACKS_CHANGELOG
from streams.unsent import UNSENT
from tests.simulation.process import NOW_MS

OLD_COLUMNS = len(COUNTERS)  # before there were decayed ones
VETERAN, TRACK, PLAYS = "u3", "t1", 2  # who was there before, and what they heard
_VERSION = b"\x01"
_AT_MS = NOW_MS - 40 * 86_400_000
Row = tuple[str, int, bytes | None, bytes | None]


def older_rows(learners: int, keepers: int) -> list[Row]:
    """Changelogs, weights and deltas as an older release wrote them; they say the same as `PLAYS` plays, three times over for the track."""
    learner, keeper = partition_of(VETERAN.encode(), learners), partition_of(TRACK.encode(), keepers)
    user, pack = VETERAN.encode(), msgspec.msgpack.encode
    counts = np.zeros(OLD_COLUMNS)
    counts[COLUMN["plays"]] = PLAYS
    head = [[PLAYS, *[0] * (len(KINDS) - 1)], 0, [[TRACK, None, _AT_MS, PLAY, 0, 100, n] for n in range(PLAYS)]]
    delta = [learners, 1, ["t:" + TRACK], np.zeros(1, np.int32).tobytes(), counts.tobytes()]
    numbers = np.ones(5).tobytes()
    block = Block(list(FEATURES[:5]), 7, 0.1, 7, numbers, numbers, np.zeros((2, BINS), np.int64).tobytes())
    return [
        (LISTENERS_CHANGELOG.name, learner, HEAD + user, _VERSION + pack(head)),
        (LISTENERS_CHANGELOG.name, learner, CHOICES + user, _VERSION + pack([{TRACK: _AT_MS}, {}])),
        (LISTENERS_CHANGELOG.name, learner, META, pack({"seq": 0, "events": PLAYS, "unheard_of": [1]})),
        (LISTENERS_CHANGELOG.name, learner, UNSENT + bytes(7) + b"\x01", b"\x01" + pack([learner, 0, *delta[2:]])),
        (RANKER_WEIGHTS.name, learner, BLOCK + b"skip", b"\x01" + pack(block)),
        (TRACKS_CHANGELOG.name, keeper, CATALOGUE + b"t:" + TRACK.encode(), _VERSION + pack([TRACK, "Song of old"])),
        (TRACKS_CHANGELOG.name, keeper, COUNTS + b"t:" + TRACK.encode(), _VERSION + counts.tobytes()),
        (TRACKS_CHANGELOG.name, keeper, META, pack({"unheard_of": 1})),
        (TRACK_DELTAS.name, keeper, b"old", b"\x01" + pack(delta)),
    ]
