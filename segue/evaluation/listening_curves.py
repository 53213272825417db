"""The cold-start curves of the scenario `listening` as one PNG: how new tracks and new listeners fare while they become known."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segue.evaluation.curves import drawn
from segue.evaluation.listening import BUCKETS

LEAST = 10  # listens of a point: of fewer nothing is drawn
_PANELS = {
    "new_track": ("new tracks", "visits that had heard the track, when the playlist was asked for"),
    "new_listener": ("new listeners", "tracks that the listener had heard, when they asked for the playlist"),
}
Curve = tuple[NDArray[np.int64], NDArray[np.float64]]


def draw(curves: dict[str, dict[str, Curve]], path: Path) -> None:
    """Shares of completed listens by bucket: of each strategy, of new tracks and of new listeners."""
    with drawn(path, 1, 2) as panels:
        for panel, (which, (title, counted)) in zip(panels[0], _PANELS.items(), strict=True):
            for name, of_strategy in curves.items():
                listens, shares = of_strategy[which]
                shown = np.where(listens >= LEAST, shares, np.nan)
                panel.plot(BUCKETS, shown, label=name, marker="o", lw=2.5 if name == "segue" else 1.2)
            panel.set(title=title, xlabel=counted, ylim=(0, 1))
        panels[0, 0].set_ylabel("share completed")
        panels[0, 1].legend(frameon=False)
