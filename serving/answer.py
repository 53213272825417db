"""The answer: the slate written out, with scores, channels and reasons."""

from serving.candidates.popular import country_of
from serving.slate import Place, Query, Ranked, Trace
from streams.messages import Playlist, Slot

MODEL = "segue-1"


def answer(
    query: Query, ranked: Ranked, slate: list[Place], arms: dict[str, str], level: str, trace: Trace, latency_ms: float
) -> Playlist:
    """The playlist message."""
    explain = query.request.explain
    return Playlist(
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
        reason=_reason(query, channels[0] if channels else "", meta.artist or ""),
        title=meta.title,
        artist=meta.artist or "",
    )


def _weight(query: Query, channel: str, score: float) -> float:
    return query.surface.channel_weights.get(channel, 0.0) * float(score)


def _reason(query: Query, channel: str, artist: str) -> str:
    table = query.replica.table
    last = table.meta.get(int(query.heard[0])) if len(query.heard) else None
    after = f"“{last.title}”" if last is not None else "what you just heard"
    country = country_of(query)
    return {
        "own-followers": f"you often play it around {after}",
        "followers": f"often heard after {after}",
        "two-tower": "close to what you heard lately",
        "favourites": "one of your favourites",
        "taste": f"more of your taste: {artist}" if artist else "more of your taste",
        "popular": f"popular in {country}" if country else "popular now",
        "fresh": "new here, close to your taste",
        "seeds": "goes with what you chose",
    }.get(channel, "")
