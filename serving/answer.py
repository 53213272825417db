"""The answer: the slate written out, with scores, channels and reasons."""

import msgspec
import numpy as np

from serving.candidates.followers import FOLLOWED
from serving.candidates.popular import country_of
from serving.slate import Place, Query, Ranked, Trace
from streams.messages import VALUE_BYTES_MAX, Playlist, Slot, encode

MODEL = "segue-1"
BYTES_MAX = VALUE_BYTES_MAX - 1000  # the worker still adds how fresh it is
ESCAPED, SLOT_BYTES = 6, 800  # bytes of a character in JSON, and of a slot without its texts, at most
_REASONS = {
    "two-tower": "close to what you heard lately",
    "favourites": "one of your favourites",
    "taste": "more of your taste",
    "popular": "popular now",
    "fresh": "new here, close to your taste",
    "seeds": "goes with what you chose",
}


def answer(
    query: Query, ranked: Ranked, slate: list[Place], arms: dict[str, str], level: str, trace: Trace, latency_ms: float
) -> Playlist:
    """The playlist message."""
    explain = query.request.explain
    made = Playlist(
        request_id=query.request.request_id,
        user_id=query.request.user_id,
        surface=query.request.surface,
        tracks=[_slot(query, ranked, place, number) for number, place in enumerate(slate)],
        arms=arms,
        model=MODEL,
        level=level,
        at_ms=query.at_ms,
        latency_ms=round(latency_ms, 3),
        seen_events=query.listener.events,
        removed=trace.removed if explain else {},
        channels=trace.proposed if explain else {},
    )
    return fitted(made)


def fitted(playlist: Playlist, bytes_max: int = BYTES_MAX) -> Playlist:
    """The playlist, without its last tracks where titles of thousands of bytes make it larger than a message may be."""
    texts = sum(len(each.title) + len(each.artist) + len(each.reason) + len(each.track_id) for each in playlist.tracks)
    if ESCAPED * texts + SLOT_BYTES * (len(playlist.tracks) + 1) <= bytes_max // 2:
        return playlist  # as every catalogue of titles has it: nothing is encoded twice
    while playlist.tracks and len(encode(playlist)) > bytes_max:
        playlist = msgspec.structs.replace(playlist, tracks=playlist.tracks[: len(playlist.tracks) * 9 // 10])
    return playlist


def _slot(query: Query, ranked: Ranked, place: Place, number: int) -> Slot:
    meta = query.replica.table.meta[place.row]
    if place.source < 0:
        return Slot(
            track_id=meta.track_id,
            rank=number,
            score=0.0,
            propensity=round(place.propensity, 4),
            explored=True,
            channels=["exploration"],
            reason="new: offered to a few listeners to learn who likes it",
            title=meta.title,
            artist=meta.artist or "",
        )
    scores = ranked.candidates.scores[place.source]
    names = list(query.surface.channels)
    channels = sorted(
        (name for name, score in zip(names, scores, strict=True) if score > 0),
        key=lambda name: -_weight(query, name, scores[names.index(name)]),
    )
    return Slot(
        track_id=meta.track_id,
        rank=number,
        score=round(float(ranked.utility[place.source]), 5),
        objectives={name: round(float(values[place.source]), 4) for name, values in ranked.objectives.items()},
        channels=channels,
        reason=_reason(query, channels[0] if channels else "", place.row, meta.artist or ""),
        title=meta.title,
        artist=meta.artist or "",
    )


def _weight(query: Query, channel: str, score: float) -> float:
    return query.surface.channel_weights.get(channel, 0.0) * float(score)


def _reason(query: Query, channel: str, row: int, artist: str) -> str:
    match channel:
        case "own-followers":
            return f"you often play it around {_title(query, _last_other(query, row))}"
        case "followers":
            return f"often heard after {_title(query, _followed(query, row))}"
        case "taste" if artist:
            return f"more of your taste: {artist}"
        case "popular" if country := country_of(query):
            return f"popular in {country}"
    return _REASONS.get(channel, "")


def _title(query: Query, row: int) -> str:
    meta = query.replica.table.meta.get(row)
    return f"“{meta.title}”" if meta is not None else "what you just heard"


def _last_other(query: Query, row: int) -> int:
    """What was heard last but the track itself, 0 for nothing."""
    return next((heard for heard in query.heard.tolist() if heard != row), 0)


def _followed(query: Query, row: int) -> int:
    """Which of the last tracks it most often followed, 0 for none."""
    table, heard = query.replica.table, query.heard[:FOLLOWED]
    weights = np.where(table.neighbours[heard] == row, table.neighbour_weights[heard], 0.0).max(1, initial=0.0)
    return int(heard[weights.argmax()]) if weights.any() else 0
