"""What the features are made of: plain numbers read from a listener, their memories and the track table, as they stand when something begins.

Times are taken to whole minutes after the last play (`whole_minutes_ms`): some logs know no more, and a finer one would tell how long this
play lasted. Sums are still forward-decayed (`track`); the arithmetic is `features`.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from online_models.listener import Listener
from online_models.recollection import HOUR_MS, NOTHING, OUTCOMES, PACE_MS, SESSION_GAP_MS, Memory, whole_minutes_ms
from online_models.row_sets import distinct
from online_models.tag_effects import VARIANCE
from online_models.track import COLUMN, HALF_LIFE_DAYS, Doubles, Rows, TrackTable, forward_decay

SURFACES = ("next-up", "daily-mix", "discover-weekly", "radio")
OFFER = ("shown", "position", *(f"surface_{surface.replace('-', '_')}" for surface in SURFACES))
CONTEXT = (
    *("at_ms", "hour", "gap_ms", "session_plays", "session_skips", "plays", "skips", "hour_plays", "hour_skips"),
    *("pace_plays", "pace_skips"),
    *(f"habit_plays_{table}" for table in range(4)),
    *(f"habit_skips_{table}" for table in range(4)),
    *(f"share_{lag}" for lag in (1, 2, 3)),
    *(f"outcome_{lag}" for lag in range(1, OUTCOMES + 1)),
    *("swift_1", "swift_2", "swift_3", "finishing", "ordered", "length_s", "skip_run", "play_run"),
    *("heard_1_s", "heard_2_s", "pause_ms", "number", "surprise"),
    *OFFER,
)
_NUMBERS = ("plays", "skips", "last_ms", "swift", "pull", "doubt", "ending", "number")
MEMORY = (
    *_NUMBERS,
    *(f"artist_{name}" for name in _NUMBERS),
    *("liked", "follows", "same_artist", "same_artist_2", "same_track"),
    *("tag_effect", "tag_doubt", "named_tag"),
    *("tally_pair", "tally_track", "tally_return"),
)
TRACK = ("plays", "skips", "artist_plays", "artist_skips", "likes")
_numbers = attrgetter(*_NUMBERS)
_NOTHING: tuple[float, ...] = _numbers(NOTHING)
_LIKED, _FOLLOWS, _SAME_TRACK = (MEMORY.index(name) for name in ("liked", "follows", "same_track"))
_TRACK, _ARTIST, _TAGS, _TALLIES = (
    slice(MEMORY.index(first), MEMORY.index(last) + 1)
    for first, last in (
        ("plays", "number"),
        ("artist_plays", "artist_number"),
        ("tag_effect", "named_tag"),
        ("tally_pair", "tally_return"),
    )
)
_SAME_ARTIST = MEMORY.index("same_artist"), MEMORY.index("same_artist_2")
# seen from years before an event (a late event, a replayed request) its weight is without bound
_EVERYBODYS_PLAYS_MAX = 1e9


def offer_of(position: int | None, surface: str | None) -> tuple[float, ...]:
    """How something came to be heard: from a list, at which place of it, on which surface; all 0 where nothing is known. Order: OFFER.

    >>> offer_of(3, "radio"), offer_of(None, None) == NOT_OFFERED
    ((True, 3, False, False, False, True), True)
    """
    if position is None and surface is None:
        return NOT_OFFERED
    return (position is not None, position or 0, *(surface == each for each in SURFACES))


NOT_OFFERED = (0.0,) * len(OFFER)


def context_of(
    listener: Listener, at_ms: int, hour: int | None = None, offer: tuple[float, ...] = NOT_OFFERED
) -> tuple[float, ...]:
    """A listener as they stand when something begins at `at_ms`; `hour` is local, 0 to 23, else UTC is taken. Order: CONTEXT."""
    whole_ms = whole_minutes_ms(at_ms - listener.last_ms)
    begun_ms, since_ms = listener.last_ms + whole_ms, max(0, whole_ms)
    hour = begun_ms // HOUR_MS % 24 if hour is None else hour
    fade, pace = 2.0 ** (-since_ms / HOUR_MS), 2.0 ** (-since_ms / PACE_MS)
    same_session = since_ms <= SESSION_GAP_MS
    endings, pause, pace_at, hour_at = listener.habit_places(at_ms)
    plays, skips = listener.habit_plays, listener.habit_skips
    return (
        begun_ms,
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
        *offer,
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
        *_numbers(track),
        *_numbers(artist),
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


def memories_of(listener: Listener, table: TrackTable, rows: Rows, at_ms: int) -> Doubles:
    """`memory_of` of many tracks of the table that may begin now, float64[n, len(MEMORY)]: what those of one artist or tag share is read once."""
    keys, liked = table.keys, listener.liked
    memory = np.zeros((len(rows), len(MEMORY)))
    ids = [keys[row][2:] for row in rows.tolist()]
    memory[:, _TRACK], there = _numbers_of(listener.tracks, ids)
    last = listener.recent[-1] if listener.recent else ""
    if last:
        memory[list(there), _FOLLOWS] = [track.before == last for track in there.values()]
    if last in ids:
        memory[:, _SAME_TRACK] = [track_id == last for track_id in ids]
    if liked:
        memory[:, _LIKED] = [track_id in liked for track_id in ids]
    artists, of_artist = distinct(table.parts[rows, 1])
    names = [keys[artist][2:] or None for artist in artists.tolist()]
    of_names, known = _numbers_of(listener.artists, names)
    memory[:, _ARTIST] = of_names[of_artist]
    for column, name in zip(_SAME_ARTIST, listener.last_artists, strict=True):
        if name is not None and name in names:
            memory[:, column] = of_artist == names.index(name)
    memory[:, _TAGS] = _tags_of(listener, table, rows)
    memory[:, _TALLIES] = _tallies_of(listener, at_ms, there, known, of_artist)
    return memory


def _numbers_of(known: Mapping[str, Memory], names: Sequence[str | None]) -> tuple[Doubles, dict[int, Memory]]:
    """Memories as numbers, float64[n, len(_NUMBERS)], and those that there are, by place."""
    there = {
        place: memory
        for place, name in enumerate(names)
        if name is not None and (memory := known.get(name)) is not None
    }
    numbers = np.empty((len(names), len(_NUMBERS)))
    numbers[:] = _NOTHING
    read = chain.from_iterable(map(_numbers, there.values()))
    numbers[list(there)] = np.fromiter(read, np.float64, len(there) * len(_NUMBERS)).reshape(-1, len(_NUMBERS))
    return numbers, there


def _tags_of(listener: Listener, table: TrackTable, rows: Rows) -> Doubles:
    """`TagEffects.effect` and `_named` of the tags of many tracks, float64[n, 3]."""
    tags = table.parts[rows, 2:] * table.listed[rows, None]
    once, places = distinct(tags.ravel())
    names, effects = [table.keys[tag][2:] for tag in once.tolist()], listener.tag_effects
    named = listener.profile.favourite_tags if listener.profile is not None else ()
    of_tag = np.array([(*effects.of_tag(name), effects.left(name) * (name in named)) for name in names]).reshape(-1, 3)
    of_tag[once == 0] = 0.0
    sums, count = of_tag[places].reshape(*tags.shape, 3).sum(1), (tags > 0).sum(1)
    columns: Doubles = sums / np.maximum(count, 1)[:, None]
    columns[:, 1] = np.where(count > 0, sums[:, 1] / (VARIANCE * np.maximum(count, 1)), 1.0)
    return columns


def _tallies_of(
    listener: Listener,
    at_ms: int,
    tracks: Mapping[int, Memory],
    artists: Mapping[int, Memory],
    of_artist: NDArray[np.intp],
) -> Doubles:
    """What is tallied of the situations in which many tracks would begin now, float64[n, 3].

    tracks : that the listener knows, by place; artists : that they know, by their number; of_artist : of each track its artist's number
    """
    begun, tally = listener.begun(at_ms), listener.tallies.get
    unheard = np.full(
        len(of_artist), tally(listener.situations(begun, NOTHING, NOTHING)[2], 0), np.float64
    )  # by artist
    for number, artist in artists.items():
        unheard[number] = tally(listener.situations(begun, NOTHING, artist)[2], 0)
    tallies = np.zeros((len(of_artist), 3))
    tallies[:, 2] = unheard[of_artist]
    numbers = of_artist.tolist()
    for place, track in tracks.items():
        keys = listener.situations(begun, track, artists.get(numbers[place], NOTHING))
        tallies[place] = [tally(key, 0) for key in keys]
    return tallies


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
