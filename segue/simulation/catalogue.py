"""A made-up catalogue: artists with a few tags each, tracks with titles, popularity that falls off as in life."""

from dataclasses import dataclass

import numpy as np

from streams.messages import Track

TAGS = (
    "ambient",
    "blues",
    "classical",
    "dub",
    "electro",
    "folk",
    "funk",
    "grunge",
    "house",
    "indie",
    "jazz",
    "metal",
    "pop",
    "punk",
    "soul",
    "techno",
)
_FIRST = (
    "Amber",
    "Silent",
    "Golden",
    "Broken",
    "Electric",
    "Hollow",
    "Northern",
    "Paper",
    "Velvet",
    "Wild",
    "Distant",
    "Burning",
    "Little",
    "Neon",
)
_SECOND = (
    "River",
    "Garden",
    "Engine",
    "Harbour",
    "Letters",
    "Mirror",
    "Season",
    "Signal",
    "Stone",
    "Summer",
    "Tide",
    "Window",
    "Winter",
    "Wolves",
)
_SONG = (
    "Again",
    "Before Dawn",
    "Carousel",
    "Falling",
    "Glass",
    "Homeward",
    "In Colour",
    "Leaving",
    "Lights",
    "Moth",
    "Rain",
    "Run",
    "Slowly",
    "Stay",
)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Tracks, and what the simulation knows of them. attraction : float64[n], how well known each is, sums to one."""

    tracks: list[Track]
    attraction: np.ndarray[tuple[int], np.dtype[np.float64]]

    def track(self, track_id: str) -> Track | None:
        """A track by id."""
        number = int(track_id[1:]) if track_id[:1] == "t" and track_id[1:].isdecimal() else len(self.tracks)
        return self.tracks[number] if number < len(self.tracks) else None


def make_catalogue(seed: int, *, tracks: int = 1500, artists: int = 120) -> Catalogue:
    """The same for the same seed."""
    rng = np.random.default_rng(seed)
    names = [
        f"{_FIRST[n % len(_FIRST)]} {_SECOND[n // len(_FIRST) % len(_SECOND)]}"
        for n in rng.permutation(artists).tolist()
    ]
    tags = [list(dict.fromkeys(rng.choice(TAGS, 3, p=_uneven(rng)).tolist())) for _ in range(artists)]
    owner = rng.integers(0, artists, tracks)
    rows = []
    for number, artist in enumerate(owner.tolist()):
        title = f"{_FIRST[int(rng.integers(len(_FIRST)))]} {_SONG[int(rng.integers(len(_SONG)))]}"
        duration_ms = int(rng.integers(120, 360)) * 1000
        rows.append(
            Track(
                track_id=f"t{number}",
                title=f"{title} {number}",
                artist_id=f"a{artist}",
                artist=names[artist],
                tags=tags[artist],
                duration_ms=duration_ms,
            )
        )
    attraction = 1.0 / (rng.permutation(tracks) + 10.0)
    return Catalogue(rows, attraction / attraction.sum())


def _uneven(rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    weights = rng.gamma(0.3, size=len(TAGS)) + 1e-3
    uneven: np.ndarray[tuple[int], np.dtype[np.float64]] = weights / weights.sum()
    return uneven
