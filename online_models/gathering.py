"""What the features are made of: plain numbers read from a listener, their memories and the track table, as they stand when something begins.

Times are taken to whole minutes after the last play (`recollection.minutes`): some logs know no more, and a finer one would tell how long this
play lasted. Sums are still forward-decayed (`track`); the arithmetic is `features`.
"""

from collections.abc import Sequence
from operator import attrgetter

import numpy as np

from online_models.listener import Listener
from online_models.recollection import NOTHING, OUTCOMES, SESSION_GAP_MS, minutes
from online_models.row_sets import distinct
from online_models.track import COLUMN, HALF_LIFE_DAYS, Doubles, Rows, TrackTable, forward_decay

CONTEXT = (
    *("at_ms", "hour", "gap_ms", "session_plays", "session_skips", "plays", "skips", "hour_plays", "hour_skips"),
    *("pace_plays", "pace_skips"),
    *(f"habit_plays_{table}" for table in range(4)),
    *(f"habit_skips_{table}" for table in range(4)),
    *(f"share_{lag}" for lag in (1, 2, 3)),
    *(f"outcome_{lag}" for lag in range(1, OUTCOMES + 1)),
    *("swift_1", "swift_2", "swift_3", "finishing", "ordered", "length_s", "skip_run", "play_run"),
    *("heard_1_s", "heard_2_s", "pause_ms", "number"),
)
_NUMBERS = ("plays", "skips", "last_ms", "swift", "pull", "doubt", "ending", "number")
MEMORY = (
    *_NUMBERS,
    *(f"artist_{name}" for name in _NUMBERS),
    *("liked", "follows", "same_artist", "same_artist_2", "same_track"),
    *("tag_effect", "tag_doubt", "named_tag"),
)
TRACK = ("plays", "skips", "artist_plays", "artist_skips", "likes")
_PACE_MS, _HOUR_MS, _MINUTE_MS = 180_000.0, 3_600_000.0, 60_000
_numbers = attrgetter(*_NUMBERS)
_NOTHING: tuple[float, ...] = _numbers(NOTHING)
_LIKED, _FOLLOWS, _SAME_TRACK = (MEMORY.index(name) for name in ("liked", "follows", "same_track"))
_TRACK, _ARTIST, _SAME_ARTIST, _TAGS = slice(0, 8), slice(8, 16), slice(18, 20), slice(21, 24)
# seen from years before an event (a late event, a replayed request) its weight is without bound
_EVERYBODYS_PLAYS_MAX = 1e9


def context_of(listener: Listener, at_ms: int, hour: int | None = None) -> tuple[float, ...]:
    """A listener as they stand when something begins at `at_ms`; `hour` is local, 0 to 23, else UTC is taken. Order: CONTEXT."""
    hour = at_ms // 3_600_000 % 24 if hour is None else hour
    last_ms = listener.last_ms
    since_ms = minutes(at_ms - last_ms)
    fade, pace = 2.0 ** (-since_ms / _HOUR_MS), 2.0 ** (-since_ms / _PACE_MS)
    same_session = since_ms <= SESSION_GAP_MS
    endings, pause, pace_at, hour_at = listener.habit_places(at_ms)
    plays, skips = listener.habit_plays, listener.habit_skips
    return (
        at_ms - (at_ms - last_ms) % _MINUTE_MS,
        hour,
        since_ms,
        listener.session_plays if same_session else 0,
        listener.session_skips if same_session else 0,
        listener.plays,
        listener.skips,
        listener.hour_plays * fade,
        listener.hour_skips * fade,
        listener.pace_plays * pace,
        listener.pace_skips * pace,
        plays[endings],
        plays[pause],
        plays[pace_at],
        plays[hour_at],
        skips[endings],
        skips[pause],
        skips[pace_at],
        skips[hour_at],
        *listener.shares,
        *listener.outcomes,
        *listener.swift,
        listener.finishing,
        listener.ordered,
        listener.length_s,
        listener.skip_run,
        listener.play_run,
        *listener.heard_s,
        listener.pause_ms,
        listener.number,
    )


def memory_of(listener: Listener, track_id: str, artist_id: str | None, tags: Sequence[str] = ()) -> tuple[float, ...]:
    """What a listener did with a track, its artist and its tags before, and what their profile says. Order: MEMORY."""
    track = listener.tracks.get(track_id, NOTHING)
    last = listener.recent[-1] if listener.recent else ""
    with_artist, *same_artist = _with_artist(listener, artist_id)
    return (
        *_numbers(track),
        *with_artist,
        track_id in listener.liked,
        track.before == last != "",
        *same_artist,
        track_id == last,
        *_with_tags(listener, tags),
    )


def memories_of(listener: Listener, table: TrackTable, rows: Rows) -> Doubles:
    """`memory_of` of many tracks of the table, float64[n, len(MEMORY)]: what those of one artist, or of the same tags, share is read once."""
    keys, known, liked = table.keys, listener.tracks, listener.liked
    ids = [keys[row][2:] for row in rows.tolist()]
    last = listener.recent[-1] if listener.recent else ""
    memory = np.zeros((len(ids), len(MEMORY)))
    memory[:, _TRACK] = _NOTHING
    if last in ids:
        memory[:, _SAME_TRACK] = [track_id == last for track_id in ids]
    if liked:
        memory[:, _LIKED] = [track_id in liked for track_id in ids]
    there = [(place, known[track_id]) for place, track_id in enumerate(ids) if track_id in known]
    if there:
        places = [place for place, _ in there]
        memory[places, _TRACK] = [_numbers(track) for _, track in there]
        memory[places, _FOLLOWS] = [track.before == last != "" for _, track in there]
    artists, of_artist = distinct(table.parts[rows, 1])
    read = [_with_artist(listener, keys[artist][2:] or None) for artist in artists.tolist()]
    memory[:, _ARTIST] = np.array([numbers for numbers, _, _ in read]).reshape(-1, len(_NOTHING))[of_artist]
    memory[:, _SAME_ARTIST] = np.array([same for _, *same in read], np.float64).reshape(-1, 2)[of_artist]
    tags = [table.tags_of(row) for row in rows.tolist()]
    number = {each: number for number, each in enumerate(dict.fromkeys(tags))}
    effects = np.array([_with_tags(listener, each) for each in number]).reshape(-1, 3)
    memory[:, _TAGS] = effects[[number[each] for each in tags]]
    return memory


def _with_artist(listener: Listener, artist_id: str | None) -> tuple[tuple[float, ...], bool, bool]:
    """What a listener did with an artist before, and whether it is that of the last play and of the one before."""
    if artist_id is None:
        return _NOTHING, False, False
    artist, (first, second) = listener.artists.get(artist_id, NOTHING), listener.last_artists
    return _numbers(artist), artist_id == first, artist_id == second


def _with_tags(listener: Listener, tags: Sequence[str]) -> tuple[float, ...]:
    """What a listener's plays say of some tags, and their profile."""
    return *listener.tag_effects.effect(tags), _named(listener, tags)


def _named(listener: Listener, tags: Sequence[str]) -> float:
    """The share of a track's tags that the profile names, each by how little their own plays have said of it yet."""
    named = listener.profile.favourite_tags if listener.profile is not None else ()
    if not named or not tags:
        return 0.0
    return sum(listener.tag_effects.left(tag) for tag in tags if tag in named) / len(tags)


@np.errstate(over="ignore")
def tracks_of(table: TrackTable, rows: Rows, at_ms: Doubles | float) -> Doubles:
    """What everybody did with these tracks and their artists, float64[n, len(TRACK)], decayed to `at_ms` (one, or one per row)."""
    own, artist = table.counts[rows], table.counts[table.parts[rows, 1]]
    weight = forward_decay(at_ms, HALF_LIFE_DAYS["plays_90d"])
    plays, skips = COLUMN["plays_90d"], COLUMN["skips_90d"]
    return np.stack(
        [
            np.minimum(own[:, plays] / weight, _EVERYBODYS_PLAYS_MAX),
            np.minimum(own[:, skips] / weight, _EVERYBODYS_PLAYS_MAX),
            np.minimum(artist[:, plays] / weight, _EVERYBODYS_PLAYS_MAX),
            np.minimum(artist[:, skips] / weight, _EVERYBODYS_PLAYS_MAX),
            own[:, COLUMN["likes"]],
        ],
        axis=1,
    )
