"""What the ranker predicts of a track, a row an objective: whatever else knows of objectives reads it here, and docs/features.md says it in words.

What each is worth is no business of this table: a surface weighs them (serving/surfaces/).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from numpy.typing import NDArray

COMPLETE = 90  # percent heard that are the whole track
LATE_MS = 30_000  # who leaves after so long, not at the end, skips late; what `skip` says, whoever produces it decides


class Events(NamedTuple):
    """A step's events in order, [n] each. measured : heard, and it is known how much; sampled : the weight of one that is heard and not liked."""

    shares: NDArray[Any]
    played_ms: NDArray[Any]
    played: NDArray[Any]
    skipped: NDArray[Any]
    heard: NDArray[Any]
    measured: NDArray[Any]
    liked: NDArray[Any]
    saved: NDArray[Any]
    sampled: NDArray[Any]


class Objective(NamedTuple):
    """One objective.

    prior : what is predicted before anything is learnt
    sign : of what it adds to the utility
    curvature : the first objective that learns from the same kinds of events, if not from each; they step by one curvature, its row is named after that
    examples : the labels, 0 to 1, and the weights of events; a weight of 0: no example
    skips : the part of a skip's starting weights that it starts with
    units : that an example adds to a histogram: 100 for a share, which is in percent
    """

    prior: float
    sign: float
    curvature: str
    examples: Callable[[Events], tuple[NDArray[Any], NDArray[Any]]]
    skips: float = 0.0
    units: int = 1


OBJECTIVE = {
    "complete": Objective(0.6, 1.0, "complete", lambda of: (of.played & (of.shares >= COMPLETE), of.heard), skips=-1.0),
    "skip": Objective(0.35, -1.0, "complete", lambda of: (of.skipped, of.heard), skips=1.0),
    "like": Objective(0.02, 1.0, "like", lambda of: (of.liked, of.sampled + of.liked)),
    "save": Objective(0.01, 1.0, "like", lambda of: (of.saved, of.sampled + of.saved)),
    "late_skip": Objective(
        *(0.1, -1.0, "complete"),
        lambda of: (
            of.heard & (of.shares < COMPLETE) & (of.played_ms >= LATE_MS),
            of.measured | (of.skipped & (of.played_ms > 0)),
        ),
    ),
    "share_heard": Objective(0.65, 1.0, "complete", lambda of: (of.shares / 100.0, of.measured), units=100),
}
