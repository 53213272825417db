"""Listener x track x context -> features: one function for learning and for serving.

Gathering is cheap and per candidate (plain numbers read from the rows); the arithmetic is vectorised over all candidates of a request or all
events of a step. All is known when a play *begins*: gaps are counted from the end of the last play to the beginning of this one, in whole
minutes, since some logs know no more and a finer gap would tell how long this play lasted.

Rates are shrunk to a prior: (skips + m * prior) / (plays + m), and enter as logits; sums are forward-decayed (`track`).
"""

from collections.abc import Sequence

import numpy as np

from online_models.listener import Listener
from online_models.recollection import NOTHING, OUTCOMES, SESSION_GAP_MS
from online_models.track import COLUMN, HALF_LIFE_DAYS, Doubles, Rows, TrackTable, forward_decay

CONTEXT = (
    *("at_ms", "hour", "gap_ms", "session_plays", "session_skips", "plays", "skips", "hour_plays", "hour_skips"),
    *("pace_plays", "pace_skips"),
    *(f"habit_plays_{table}" for table in range(4)),
    *(f"habit_skips_{table}" for table in range(4)),
    *(f"share_{lag}" for lag in (1, 2, 3)),
    *(f"outcome_{lag}" for lag in range(1, OUTCOMES + 1)),
)
MEMORY = ("plays", "skips", "last_ms", "artist_plays", "artist_skips", "artist_last_ms", "liked")
TRACK = ("plays", "skips", "artist_plays", "artist_skips", "likes")

FEATURES = (
    *("listener_rate", "hour_rate", "hour_plays", "session_rate", "pace_rate", "pace_plays"),
    *("habit_endings", "habit_pause", "habit_pace", "habit_hour", "share_1", "share_2", "share_3"),
    *("listener_track_rate", "listener_track_plays", "listener_artist_rate", "listener_artist_plays"),
    *("track_rate", "track_plays", "artist_rate", "like_rate"),
    *(f"outcome_{lag}" for lag in range(1, OUTCOMES + 1)),
    *("outcome_1x2", "outcome_1x2x3", "gap", "new_session", "session_depth"),
    *("since_track", "new_track", "since_artist", "new_artist", "liked", "sin_hour", "cos_hour"),
    *("hour_rate_x_track", "outcome_x_track", "outcome_x_artist", "outcome_x_gap"),
)
_MINUTE_MS, _PACE_MS, _HOUR_MS = 60_000.0, 180_000.0, 3_600_000.0
_PRIOR = 0.35  # of skipping, before anything is known
# seen from years before an event (a late event, a replayed request) its weight is without bound, and a rate of 1 has no logit
_PLAYS_MAX = 1e6  # of one listener
_EVERYBODYS_PLAYS_MAX = 1e9


def context_of(listener: Listener, at_ms: int, hour: int | None = None) -> tuple[float, ...]:
    """A listener as they stand when something begins at `at_ms`; `hour` is local, 0 to 23, else UTC is taken. Order: CONTEXT."""
    hour = at_ms // 3_600_000 % 24 if hour is None else hour
    since_ms = max(0, at_ms - listener.last_ms)
    fade, pace = 2.0 ** (-since_ms / _HOUR_MS), 2.0 ** (-since_ms / _PACE_MS)
    same_session = since_ms <= SESSION_GAP_MS
    endings, pause, pace_at, hour_at = listener.habit_places(at_ms)
    plays, skips = listener.habit_plays, listener.habit_skips
    return (
        at_ms,
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
    )


def memory_of(listener: Listener, track_id: str, artist_id: str | None) -> tuple[float, ...]:
    """What a listener did with a track and its artist before. Order: MEMORY."""
    track = listener.tracks.get(track_id, NOTHING)
    artist = listener.artists.get(artist_id, NOTHING) if artist_id is not None else NOTHING
    return (
        track.plays,
        track.skips,
        track.last_ms,
        artist.plays,
        artist.skips,
        artist.last_ms,
        track_id in listener.liked,
    )


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


def _decayed(sums: Doubles, weight: Doubles) -> Doubles:
    decayed: Doubles = np.minimum(sums / weight, _PLAYS_MAX)
    return decayed


def _logit(rate: Doubles) -> Doubles:
    logit: Doubles = np.log(rate / (1.0 - rate))
    return logit


@np.errstate(over="ignore")
def features(context: Doubles, memory: Doubles, tracks: Doubles) -> Doubles:
    """The features, float64[n, len(FEATURES)].

    context : float64[n, len(CONTEXT)], or one row that holds for all
    memory : float64[n, len(MEMORY)]
    tracks : float64[n, len(TRACK)]
    """
    at_ms, hour, gap_ms, depth, session_skips, plays, skips, hour_plays, hour_skips, pace_plays, pace_skips = context[
        :, :11
    ].T
    habit_plays, habit_skips, shares, outcomes = (
        context[:, 11:15],
        context[:, 15:19],
        context[:, 19:22],
        context[:, 22:],
    )
    weight_30, weight_60, weight_90 = (forward_decay(at_ms, days) for days in (30.0, 60.0, 90.0))
    rate = (_decayed(skips, weight_30) + 5.0 * _PRIOR) / (_decayed(plays, weight_30) + 5.0)
    base = _logit(rate)
    recent = _logit((hour_skips + 2.0 * rate) / (hour_plays + 2.0)) - base
    session = _logit((session_skips + 2.0 * rate) / (depth + 2.0)) - base
    pace = _logit((pace_skips + rate) / (pace_plays + 1.0)) - base
    habit_plays, habit_skips = (_decayed(sums, weight_60[:, None]) for sums in (habit_plays, habit_skips))
    shrunk = (habit_skips + 5.0 * rate[:, None]) / (habit_plays + 5.0)
    habits = _logit(shrunk) - base[:, None]

    own_plays, artist_plays = _decayed(memory[:, 0], weight_90), _decayed(memory[:, 3], weight_60)
    track_rate = _logit((_decayed(memory[:, 1], weight_90) + rate) / (own_plays + 1.0)) - base
    artist_rate = _logit((_decayed(memory[:, 4], weight_60) + 2.0 * rate) / (artist_plays + 2.0)) - base
    everyone = _logit(np.asarray((tracks[:, 1] + 5.0 * _PRIOR) / (tracks[:, 0] + 5.0)))
    everyone_artist = _logit(np.asarray((tracks[:, 3] + 5.0 * _PRIOR) / (tracks[:, 2] + 5.0)))

    gap = np.floor(gap_ms / _MINUTE_MS)
    damp = np.exp(-gap / 30.0)
    last = outcomes * damp[:, None]
    log_gap = np.log1p(np.minimum(gap, 100_000.0)) / 4.0
    never, never_artist = memory[:, 2] <= 0, memory[:, 5] <= 0
    since = np.where(never, 0.0, np.log1p(np.maximum(at_ms - memory[:, 2], 0.0) / _HOUR_MS) / 5.0)
    since_artist = np.where(never_artist, 0.0, np.log1p(np.maximum(at_ms - memory[:, 5], 0.0) / _HOUR_MS) / 5.0)
    angle = hour * (2.0 * np.pi / 24.0)
    columns = (
        *(base, recent, np.log1p(hour_plays) / 3.0, session, pace, np.log1p(pace_plays)),
        *(*habits.T, *(shares / 100.0 - 0.5).T * damp),
        *(track_rate, np.log1p(own_plays), artist_rate, np.log1p(artist_plays) / 2.0),
        *(everyone, np.log1p(tracks[:, 0]) / 3.0, everyone_artist, np.log1p(tracks[:, 4]) / 3.0),
        *last.T,
        *(last[:, 0] * last[:, 1], last[:, 0] * last[:, 1] * last[:, 2], log_gap, gap > 30.0, np.log1p(depth) / 3.0),
        *(since, never, since_artist, never_artist, memory[:, 6], np.sin(angle), np.cos(angle)),
        *(recent * track_rate, last[:, 0] * track_rate, last[:, 0] * artist_rate, outcomes[:, 0] * log_gap),
    )
    out = np.empty((len(memory), len(FEATURES)))
    for place, column in enumerate(columns):
        out[:, place] = column
    return out


def features_of(
    listener: Listener,
    table: TrackTable,
    rows: Rows,
    at_ms: int,
    hour: int | None = None,
    artists: Sequence[str | None] | None = None,
) -> Doubles:
    """The features of many candidates for one listener, float64[n, len(FEATURES)]; what serving asks.

    >>> table = TrackTable(dims=4)
    >>> features_of(Listener("ann"), table, np.array([0, 0], np.int32), 1_700_000_000_000).shape == (2, len(FEATURES))
    True
    """
    ids = [table.keys[row][2:] for row in rows.tolist()]
    if artists is None:
        artists = [table.keys[part][2:] or None for part in table.parts[rows, 1].tolist()]
    memory = np.array([memory_of(listener, *pair) for pair in zip(ids, artists, strict=True)], np.float64).reshape(
        -1, len(MEMORY)
    )
    return features(
        np.array([context_of(listener, at_ms, hour)], np.float64), memory, tracks_of(table, rows, float(at_ms))
    )
