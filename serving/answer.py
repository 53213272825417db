"""The answer: the slate written out, with scores, channels and reasons."""

from functools import cached_property
from operator import itemgetter

import msgspec
import numpy as np

from serving.candidates.followers import FOLLOWED
from serving.candidates.popular import country_of
from serving.candidates.seeds import named_seeds
from serving.slate import Place, Query, Ranked, Trace
from streams.messages import VALUE_BYTES_MAX, Playlist, Slot, encode

MODEL = "segue-1"
BYTES_MAX = VALUE_BYTES_MAX - 1000  # the worker still adds how fresh it is
ESCAPED, SLOT_BYTES = 6, 800  # bytes of a character in JSON, and of a slot without its texts, at most
_REASONS = {
    "two-tower": "close to what you heard lately",
    "long-term": "close to what you have heard for long",
    "companions": "others heard it after what you heard lately",
    "neighbours": "heard by others who heard what you have heard",
    "same-artist": "of an artist that you heard just now",
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
    explain, slots = query.request.explain, _Slots(query, ranked, len(slate))
    made = Playlist(
        request_id=query.request.request_id,
        user_id=query.request.user_id,
        surface=query.request.surface,
        tracks=[slots.slot(place, number) for number, place in enumerate(slate)],
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


class _Slots:
    """Writes the slots of one answer; what all of them ask is looked up once."""

    def __init__(self, query: Query, ranked: Ranked, size: int) -> None:
        self.meta = query.replica.table.meta
        self._utility = np.round(ranked.utility[:size], 5).tolist()
        objectives = np.round(np.array([values[:size] for values in ranked.objectives.values()]).T, 4).tolist()
        self._objectives = [dict(zip(ranked.objectives, each, strict=True)) for each in objectives]
        self._scores = ranked.candidates.scores[:size].tolist()
        weights = query.surface.channel_weights
        self._names = list(query.surface.channels)
        self._weights = [weights.get(name, 0.0) for name in self._names]
        self._country, self._query = country_of(query), query
        self._heard = query.heard.tolist()
        self._table = query.replica.table

    def slot(self, place: Place, number: int) -> Slot:
        """One place of the list."""
        meta = self.meta[place.row]
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
        at, artist = place.source, meta.artist or ""
        shares = zip(self._weights, self._scores[at], self._names, strict=True)
        proposed = [(-weight * score, name) for weight, score, name in shares if score > 0.0]
        channels = [name for _, name in sorted(proposed, key=itemgetter(0))]
        return Slot(
            track_id=meta.track_id,
            rank=number,
            score=self._utility[at],
            objectives=self._objectives[at] if self._objectives else {},
            channels=channels,
            reason=self._reason(channels[0] if channels else "", place.row, artist),
            title=meta.title,
            artist=artist,
        )

    def _reason(self, channel: str, row: int, artist: str) -> str:
        match channel:
            case "own-followers":
                return f"you often play it around {self._title(self._last_other(row))}"
            case "followers":
                return f"often heard after {self._title(self._followed.get(row, 0))}"
            case "same-artist" if artist:
                return f"more of {artist}"
            case "taste" if artist:
                return f"more of your taste: {artist}"
            case "popular" if self._country:
                return f"popular in {self._country}"
            case "seeds" if not self._chosen:
                return "goes with what you heard last"
            case "fresh" if not self._heard:
                return "new here"
        return _REASONS.get(channel, "")

    def _title(self, row: int) -> str:
        meta = self.meta.get(row)
        return f"“{meta.title}”" if meta is not None else "what you just heard"

    def _last_other(self, row: int) -> int:
        """What was heard last but the track itself, 0 for nothing."""
        return next((heard for heard in self._heard if heard != row), 0)

    @cached_property
    def _chosen(self) -> bool:
        """Whether the request names a track that is known."""
        return bool(len(named_seeds(self._query)))

    @cached_property
    def _followed(self) -> dict[int, int]:
        """Which of the last tracks each follower most often followed; of two that are equal, the newer."""
        table, heard = self._table, np.array(self._heard[:FOLLOWED], np.int32)
        order = np.argsort(table.neighbour_weights[heard].ravel()[::-1], kind="stable")
        followers, source = table.neighbours[heard].ravel()[::-1][order], np.repeat(heard, table.neighbours_max)[::-1]
        return dict(zip(followers.tolist(), source[order].tolist(), strict=True))
