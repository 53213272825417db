"""What the features are made of: plain numbers read from a listener, their memories and the track table, as they stand when something begins.

Times are taken to whole minutes after the last play (`recollection.minutes`): some logs know no more, and a finer one would tell how long this
play lasted. Sums are still forward-decayed (`track`); the arithmetic is `features`.
"""

from collections.abc import Sequence

import numpy as np

from online_models.listener import Listener
from online_models.recollection import NOTHING, OUTCOMES, SESSION_GAP_MS, minutes
from online_models.track import COLUMN, HALF_LIFE_DAYS, Doubles, Rows, TrackTable, forward_decay

CONTEXT = (
    *("at_ms", "hour", "gap_ms", "session_plays", "session_skips", "plays", "skips", "hour_plays", "hour_skips"),
    *("pace_plays", "pace_skips"),
    *(f"habit_plays_{table}" for table in range(4)),
    *(f"habit_skips_{table}" for table in range(4)),
    *(f"share_{lag}" for lag in (1, 2, 3)),
    *(f"outcome_{lag}" for lag in range(1, OUTCOMES + 1)),
    *("swift_1", "swift_2", "swift_3", "finishing", "ordered", "length_s", "skip_run", "play_run"),
    *("heard_1_s", "heard_2_s", "pause_ms", "number", "surprise"),
)
MEMORY = (
    *("plays", "skips", "last_ms", "swift", "pull", "doubt", "ending", "number"),
    *("artist_plays", "artist_skips", "artist_last_ms", "artist_swift", "artist_pull", "artist_doubt"),
    *("artist_ending", "artist_number", "liked", "follows", "same_artist", "same_artist_2", "same_track"),
    *("tag_effect", "tag_doubt", "named_tag"),
    *("tally_pair", "tally_track", "tally_return"),
)
TRACK = ("plays", "skips", "artist_plays", "artist_skips", "likes")
_PACE_MS, _HOUR_MS, _MINUTE_MS = 180_000.0, 3_600_000.0, 60_000
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
        listener.surprise,
    )


def memory_of(
    listener: Listener, begun: tuple[int, int, int], track_id: str, artist_id: str | None, tags: Sequence[str] = ()
) -> tuple[float, ...]:
    """What a listener did before with a track, its artist and its tags, and what their profile says. Order: MEMORY.

    begun : of the listener, when the track begins (`recollection`)
    """
    track = listener.tracks.get(track_id, NOTHING)
    artist = listener.artists.get(artist_id, NOTHING) if artist_id is not None else NOTHING
    last = listener.recent[-1] if listener.recent else ""
    pair, moment, back = listener.situations(begun, track, artist)
    tally = listener.tallies.get
    return (
        track.plays,
        track.skips,
        track.last_ms,
        track.swift,
        track.pull,
        track.doubt,
        track.ending,
        track.number,
        artist.plays,
        artist.skips,
        artist.last_ms,
        artist.swift,
        artist.pull,
        artist.doubt,
        artist.ending,
        artist.number,
        track_id in listener.liked,
        track.before == last != "",
        artist_id is not None and artist_id == listener.last_artists[0],
        artist_id is not None and artist_id == listener.last_artists[1],
        track_id == last,
        *listener.tag_effects.effect(tags),
        _named(listener, tags),
        tally(pair, 0),
        tally(moment, 0),
        tally(back, 0),
    )


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
