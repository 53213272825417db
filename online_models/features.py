"""Listener x track x context -> features: one function for learning and for serving; docs/features.md is their table.

Gathering (`gathering`) is cheap and per candidate; the arithmetic here is vectorised over all candidates of a request or all events of a
step. All is known when a play *begins*. Rates are shrunk to a prior, (skips + m * prior) / (plays + m), and enter as logits, those of a part
as the difference from the listener's; sums are forward-decayed (`track`).
"""

import numpy as np

from online_models.gathering import CONTEXT, MEMORY, OFFER, context_of, memories_of, offer_of, tracks_of
from online_models.listener import Listener
from online_models.recollection import FINISHED, OUTCOMES, PLAY_TALLIED, RATE, SESSION_GAP_MS, SKIPPED
from online_models.track import Doubles, Rows, TrackTable, forward_decay

TAGGED = ("tag_effect", "tag_doubt", "named_tag")
FEATURES = (
    *("listener_rate", "hour_rate", "hour_plays", "session_rate", "pace_rate", "pace_plays"),
    *("habit_endings", "habit_pause", "habit_pace", "habit_hour", "share_1", "share_2", "share_3"),
    *("listener_track_rate", "listener_track_plays", "listener_artist_rate", "listener_artist_plays"),
    *("track_rate", "track_plays", "artist_rate", "like_rate"),
    *(f"outcome_{lag}" for lag in range(1, OUTCOMES + 1)),
    *("outcome_1x2", "outcome_1x2x3", "gap", "new_session", "session_depth"),
    *("since_track", "new_track", "since_artist", "new_artist", "liked", "sin_hour", "cos_hour"),
    *("swift_1", "swift_2", "swift_3", "finishing", "ordered", "length", "skip_run", "play_run"),
    *("heard_1", "heard_2", "heard_1_instantly", "heard_1_briefly", "last_gap", "no_gap", "short_gap"),
    *("swift_track", "swift_artist", "track_finished", "track_skipped", "artist_finished", "artist_skipped"),
    *("track_ago", "artist_ago", "track_just_heard", "track_days_ago", "follows", "same_artist", "same_artist_2"),
    *("same_track", "track_pull", "artist_pull"),
    *(*TAGGED, "track_lately"),
    *("situation_pair", "situation_track", "situation_return", "surprise"),
    *OFFER,
    *("hour_rate_x_track", "outcome_x_track", "outcome_x_artist", "outcome_x_gap"),
    *("follows_x_outcome", "follows_x_track", "same_artist_x_outcome", "swift_x_pull", "new_x_swift", "swift_x_artist"),
)
_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000.0, 3_600_000.0, 86_400_000.0
# seen from years before an event (a late event, a replayed request) its weight is without bound, and a rate of 1 has no logit
_PLAYS_MAX = 1e6  # of one listener
_GAP_MINUTES_MAX = (
    3.0 * 24.0 * 60.0
)  # longer pauses are too rare to be learnt from, and are what somebody asks after who was away
_AT, _OF = {name: place for place, name in enumerate(CONTEXT)}, {name: place for place, name in enumerate(MEMORY)}
_HABIT_PLAYS, _HABIT_SKIPS, _SHARES, _OUTCOMES = (
    slice(_AT[first], _AT[last] + 1)
    for first, last in (
        ("habit_plays_0", "habit_plays_3"),
        ("habit_skips_0", "habit_skips_3"),
        ("share_1", "share_3"),
        ("outcome_1", f"outcome_{OUTCOMES}"),
    )
)


def _decayed(sums: Doubles, weight: Doubles) -> Doubles:
    decayed: Doubles = np.minimum(sums / weight, _PLAYS_MAX)
    return decayed


def _logit(rate: Doubles) -> Doubles:
    logit: Doubles = np.log(rate / (1.0 - rate))
    return logit


def _habit(tallies: Doubles, shrink: float, rate: Doubles, base: Doubles) -> Doubles:
    """The rate of a situation over the listener's, whose log odds `base` are."""
    plays = np.floor(tallies / PLAY_TALLIED)
    return _logit((tallies - plays * PLAY_TALLIED + shrink * rate) / (plays + shrink)) - base


def _flag(which: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> Doubles:
    return which.astype(np.float64)


def _columns(rows: Doubles, places: dict[str, int], *names: str) -> list[Doubles]:
    return [rows[:, places[name]] for name in names]


@np.errstate(over="ignore", invalid="ignore")
def features(context: Doubles, memory: Doubles, tracks: Doubles) -> Doubles:
    """The features, float64[n, len(FEATURES)].

    context : float64[n, len(CONTEXT)], or one row that holds for all
    memory : float64[n, len(MEMORY)]
    tracks : float64[n, len(TRACK)]
    """
    rate = _listener_rate(context)
    moment, own = _moment(context, rate), _own(context, memory, rate)
    columns = {**moment, **own, **_everybody(tracks)}
    gap, outcome = moment["gap"], context[:, _AT["outcome_1"]]
    columns |= {
        "hour_rate_x_track": moment["hour_rate"] * own["listener_track_rate"],
        "outcome_x_track": moment["outcome_1"] * own["listener_track_rate"],
        "outcome_x_artist": moment["outcome_1"] * own["listener_artist_rate"],
        "outcome_x_gap": outcome * gap,
        "follows_x_outcome": own["follows"] * moment["outcome_1"],
        "follows_x_track": own["follows"] * own["swift_track"],
        "same_artist_x_outcome": own["same_artist"] * moment["outcome_1"],
        "swift_x_artist": moment["swift_1"] * own["swift_artist"],
        "swift_x_pull": moment["swift_1"] * own["track_pull"],
        "new_x_swift": own["new_track"] * moment["swift_1"],
    }
    out = np.empty((len(memory), len(FEATURES)))
    for place, name in enumerate(FEATURES):
        out[:, place] = columns[name]
    return out


def _listener_rate(context: Doubles) -> Doubles:
    """Of skipping, by what the listener did in the last weeks, float64[n]."""
    at_ms, plays, skips = _columns(context, _AT, "at_ms", "plays", "skips")
    weight = forward_decay(at_ms, 30.0)
    rate: Doubles = (_decayed(skips, weight) + 5.0 * RATE) / (_decayed(plays, weight) + 5.0)
    return rate


def _moment(context: Doubles, rate: Doubles) -> dict[str, Doubles]:
    """How somebody listens now, whatever comes; float64[n] each, or [1]."""
    at_ms, hour, gap_ms, depth, session_skips = _columns(
        context, _AT, "at_ms", "hour", "gap_ms", "session_plays", "session_skips"
    )
    hour_plays, hour_skips, pace_plays, pace_skips = _columns(
        context, _AT, "hour_plays", "hour_skips", "pace_plays", "pace_skips"
    )
    base, weight_60 = _logit(rate), forward_decay(at_ms, 60.0)
    habit_plays, habit_skips = (
        _decayed(sums, weight_60[:, None]) for sums in (context[:, _HABIT_PLAYS], context[:, _HABIT_SKIPS])
    )
    habits = (_logit((habit_skips + 5.0 * rate[:, None]) / (habit_plays + 5.0)) - base[:, None]).T
    gap = np.floor(gap_ms / _MINUTE_MS)
    damp = np.exp(-gap / 30.0)
    shares, outcomes = (context[:, _SHARES] / 100.0 - 0.5).T * damp, context[:, _OUTCOMES].T * damp
    angle = hour * (2.0 * np.pi / 24.0)
    return {
        "listener_rate": base,
        "hour_rate": _logit((hour_skips + 2.0 * rate) / (hour_plays + 2.0)) - base,
        "hour_plays": np.log1p(hour_plays) / 3.0,
        "session_rate": _logit((session_skips + 2.0 * rate) / (depth + 2.0)) - base,
        "pace_rate": _logit((pace_skips + rate) / (pace_plays + 1.0)) - base,
        "pace_plays": np.log1p(pace_plays),
        **dict(zip(("habit_endings", "habit_pause", "habit_pace", "habit_hour"), habits, strict=True)),
        **{f"share_{lag}": share for lag, share in enumerate(shares, 1)},
        **{f"outcome_{lag}": outcome for lag, outcome in enumerate(outcomes, 1)},
        "outcome_1x2": outcomes[0] * outcomes[1],
        "outcome_1x2x3": outcomes[0] * outcomes[1] * outcomes[2],
        "gap": np.log1p(np.minimum(gap, _GAP_MINUTES_MAX)) / 4.0,
        "new_session": _flag(gap > SESSION_GAP_MS / _MINUTE_MS),
        "no_gap": _flag(gap < 1.0),
        "short_gap": _flag(gap < 10.0),
        "session_depth": np.log1p(depth) / 3.0,
        "sin_hour": np.sin(angle),
        "cos_hour": np.cos(angle),
        **{name: context[:, _AT[name]] for name in OFFER},
        "position": np.log1p(context[:, _AT["position"]]) / 3.0,
        **_streak(context),
    }


def _streak(context: Doubles) -> dict[str, Doubles]:
    """How the last plays went, by their number whatever the time between them."""
    heard_1, heard_2, length, pause_ms, skip_run, play_run = _columns(
        context, _AT, "heard_1_s", "heard_2_s", "length_s", "pause_ms", "skip_run", "play_run"
    )
    return {
        **{name: context[:, _AT[name]] - RATE for name in ("swift_1", "swift_2", "swift_3")},
        "finishing": context[:, _AT["finishing"]] - 0.5,
        "ordered": context[:, _AT["ordered"]],
        "surprise": context[:, _AT["surprise"]],
        "length": np.log1p(length) / 2.0 - 2.0,
        "skip_run": np.log1p(skip_run) / 2.0,
        "play_run": np.log1p(play_run) / 2.0,
        "heard_1": np.log1p(heard_1) / 2.0 - 2.0,
        "heard_2": np.log1p(heard_2) / 2.0 - 2.0,
        "heard_1_instantly": _flag(heard_1 < 1.5),
        "heard_1_briefly": _flag(heard_1 < 5.0),
        "last_gap": np.log1p(np.minimum(pause_ms / _MINUTE_MS, _GAP_MINUTES_MAX)) / 4.0,
    }


def _own(context: Doubles, memory: Doubles, rate: Doubles) -> dict[str, Doubles]:
    """What the listener did with the track and its artist before, float64[n] each."""
    at_ms, number = _columns(context, _AT, "at_ms", "number")
    base, weight_60, weight_90 = _logit(rate), forward_decay(at_ms, 60.0), forward_decay(at_ms, 90.0)
    columns: dict[str, Doubles] = {}
    for what, prefix, weight, shrink, doubt in (
        ("track", "", weight_90, 1.0, 0.3),
        ("artist", "artist_", weight_60, 2.0, 0.5),
    ):
        its_plays, its_skips, last_ms, swift, pull, doubts, ending, last = _columns(
            memory,
            _OF,
            *(prefix + name for name in ("plays", "skips", "last_ms", "swift", "pull", "doubt", "ending", "number")),
        )
        kept, never = _decayed(its_plays, weight), last_ms <= 0
        since_ms = np.maximum(at_ms - last_ms, 0.0)
        columns |= {
            f"listener_{what}_rate": _logit((_decayed(its_skips, weight) + shrink * rate) / (kept + shrink)) - base,
            f"listener_{what}_plays": np.log1p(kept) / (1.0 if what == "track" else 2.0),
            f"since_{what}": np.where(never, 0.0, np.log1p(since_ms / _HOUR_MS) / 5.0),
            f"new_{what}": _flag(never),
            f"swift_{what}": swift - RATE,
            f"{what}_pull": np.clip(pull / weight, -1e6, 1e6) / (_decayed(doubts, weight) + doubt),
            f"{what}_finished": _flag(~never & (ending == FINISHED)),
            f"{what}_skipped": _flag(~never & (ending == SKIPPED)),
            f"{what}_ago": np.where(never, 2.0, np.log1p(np.maximum(number - last, 0.0)) / 5.0),
        }
        if what == "track":
            columns["track_just_heard"] = _flag(~never & (number - last < 30.0))
            columns["track_lately"] = np.where(never, 0.0, np.exp2(-since_ms / (2.0 * _DAY_MS)))
            columns["track_days_ago"] = _flag(~never & (since_ms < 3.0 * _DAY_MS))
    for what, shrink in (("pair", 1.0), ("track", 1.0), ("return", 5.0)):
        columns[f"situation_{what}"] = _habit(memory[:, _OF[f"tally_{what}"]], shrink, rate, base)
    for name in ("liked", "follows", "same_artist", "same_artist_2", "same_track", *TAGGED):
        columns[name] = memory[:, _OF[name]]
    return columns


def _everybody(tracks: Doubles) -> dict[str, Doubles]:
    """What everybody did with the track and its artist, float64[n] each."""
    plays, skips, artist_plays, artist_skips, likes = tracks.T
    return {
        "track_rate": _logit(np.asarray((skips + 5.0 * RATE) / (plays + 5.0))),
        "track_plays": np.log1p(plays) / 3.0,
        "artist_rate": _logit(np.asarray((artist_skips + 5.0 * RATE) / (artist_plays + 5.0))),
        "like_rate": np.log1p(likes) / 3.0,
    }


def features_of(
    listener: Listener,
    table: TrackTable,
    rows: Rows,
    at_ms: int,
    hour: int | None = None,
    surface: str | None = None,
) -> Doubles:
    """The features of many candidates for one listener, float64[n, len(FEATURES)]; what serving asks, of each as if it stood first on `surface`.

    >>> table = TrackTable(dims=4)
    >>> features_of(Listener("ann"), table, np.array([0, 0], np.int32), 1_700_000_000_000).shape == (2, len(FEATURES))
    True
    """
    offer = offer_of(None if surface is None else 0, surface)
    context = np.array([context_of(listener, at_ms, hour, offer)], np.float64)
    tracks = tracks_of(table, rows, float(context[0, _AT["at_ms"]]))
    return features(context, memories_of(listener, table, rows, at_ms), tracks)
