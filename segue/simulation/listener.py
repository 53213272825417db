"""One simulated listener: hidden tastes, boredom, moods; decides what happens to each track of a playlist."""

import numpy as np

from segue.simulation.catalogue import TAGS, Catalogue
from streams.messages import Context, ListeningEvent, Playlist, Profile, Track

_COUNTRIES = ("SE", "DE", "BR", "US", "JP")


class SimulatedListener:
    """Pure: time and playlists are given, events come back; the same seed lives the same life.

    >>> from segue.simulation.catalogue import make_catalogue
    >>> ann = SimulatedListener("ann", make_catalogue(1), seed=1)
    >>> ann.hear("t5", 1_700_000_000_000)[0].kind in ("play", "skip")
    True
    """

    def __init__(self, user_id: str, catalogue: Catalogue, *, seed: int) -> None:
        self.user_id, self.catalogue = user_id, catalogue
        self._rng = np.random.default_rng([seed, *user_id.encode()])
        loved = self._rng.choice(len(TAGS), 3, replace=False)
        self.taste = dict.fromkeys(TAGS, -1.0) | {
            TAGS[tag]: 2.0 - 0.5 * place for place, tag in enumerate(loved.tolist())
        }
        self._artists: dict[str, float] = {}
        self._heard: dict[str, int] = {}
        self.made = 0

    def profile(self) -> Profile:
        """What they tell about themselves: a country, and one tag that they love."""
        loved = max(self.taste, key=lambda tag: self.taste[tag])
        country = _COUNTRIES[int(self._rng.integers(len(_COUNTRIES)))]
        return Profile(user_id=self.user_id, country=country, favourite_tags=[loved])

    def liking(self, track: Track) -> float:
        """How much they like a track now, in logits: tags, artist, and boredom with what they hear too often."""
        if track.artist_id not in self._artists:
            self._artists[track.artist_id or ""] = float(self._rng.normal(0.0, 0.8))
        tags = float(np.mean([self.taste[tag] for tag in track.tags])) if track.tags else 0.0
        times = self._heard.get(track.track_id, 0)
        return (
            1.5 * tags
            + self._artists[track.artist_id or ""]
            + (0.3 if 0 < times < 6 else 0.0)
            - 0.15 * max(0, times - 6)
        )

    def pick(self) -> str:
        """A track that they come across by themselves, by how well known it is."""
        return self.catalogue.tracks[
            int(self._rng.choice(len(self.catalogue.tracks), p=self.catalogue.attraction))
        ].track_id

    def hear(
        self, track_id: str, at_ms: int, playlist: Playlist | None = None, position: int | None = None
    ) -> list[ListeningEvent]:
        """What they do with a track that begins now: a play or a skip, and a like now and then."""
        track = self.catalogue.track(track_id)
        liking = self.liking(track) if track is not None else 0.0
        stays = self._rng.random() < 1.0 / (1.0 + np.exp(-liking))
        duration_ms = (track.duration_ms if track is not None else None) or 200_000
        played_ms = duration_ms if stays else int(self._rng.integers(2_000, 29_000))
        self._heard[track_id] = self._heard.get(track_id, 0) + 1
        kinds = ["play" if stays else "skip"]
        if stays and liking > 1.0 and self._rng.random() < 0.15:
            kinds.append("like")
        return [self._event(track_id, at_ms, kind, played_ms, playlist, position) for kind in kinds]

    def _event(
        self, track_id: str, at_ms: int, kind: str, played_ms: int, playlist: Playlist | None, position: int | None
    ) -> ListeningEvent:
        self.made += 1
        heard = played_ms if kind in ("play", "skip") else None
        return ListeningEvent(
            event_id=f"{self.user_id}-{at_ms}-{self.made}",
            at_ms=at_ms,
            user_id=self.user_id,
            track_id=track_id,
            kind=kind,  # type: ignore[arg-type]
            played_ms=heard,
            request_id=playlist.request_id if playlist is not None else None,
            position=position,
            context=Context(surface=playlist.surface) if playlist is not None and playlist.surface else None,  # type: ignore[arg-type]
        )
