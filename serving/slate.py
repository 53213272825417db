"""What the stages of the read path hand to each other: frozen, and columnar where there is one value a candidate."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from online_models.listener import Listener
from online_models.track import Doubles, Floats, Rows
from serving.favourites import Favourites
from serving.replica import Replica
from serving.surfaces.surface import Surface
from streams.messages import PlaylistRequest


@dataclass(frozen=True, slots=True)
class Query:
    """A request with all that is known when it is answered.

    heard : int32[h], rows of what the listener heard last, newest first
    vector : float32[dims], the listener tower
    new_rows, new_scores : int32[n], float64[n], the new tracks of the catalogue, and how likely this listener takes to each
    rng : seeded from the request, so that the same request draws the same
    """

    request: PlaylistRequest
    surface: Surface
    listener: Listener
    replica: Replica
    at_ms: int
    hour: int | None
    heard: Rows
    vector: Floats
    favourites: Favourites
    new_rows: Rows
    new_scores: Doubles
    rng: np.random.Generator


@dataclass(frozen=True, slots=True)
class Candidates:
    """Unique tracks that some channel proposed.

    rows : int32[n]; scores : float64[n, channels], each channel's between 0 and 1, 0 where it did not propose it
    fused : float64[n], the pre-ranking score
    """

    rows: Rows
    scores: Doubles
    fused: Doubles

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Candidates":
        """The candidates at some places, in that order."""
        return Candidates(self.rows[chosen], self.scores[chosen], self.fused[chosen])

    def where(self, kept: NDArray[np.bool_]) -> "Candidates":
        """Those of the candidates that are kept."""
        return self if kept.all() else self.take(kept)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Ranked:
    """Candidates with what the ranker says, best first.

    utility : float64[n]; objectives : probability by objective, of `share_heard` the mean, float64[n] each
    """

    candidates: Candidates
    utility: Doubles
    objectives: dict[str, Doubles]

    def take(self, chosen: NDArray[np.intp]) -> "Ranked":
        """The ranked at some places, in that order."""
        objectives = {name: values[chosen] for name, values in self.objectives.items()}
        return Ranked(self.candidates.take(chosen), self.utility[chosen], objectives)

    def __len__(self) -> int:
        return len(self.candidates)


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a slate before it is written out. source : place in the ranked list, -1 for an explored track."""

    row: int
    source: int
    propensity: float = 1.0


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened on the way, for `explain`: candidates by channel, and how many each filter removed."""

    proposed: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
