"""The curves of the scenario `drift` as one PNG: the log loss of skips over time, with the ranker's care and without."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from online_models.track import Doubles
from segue.evaluation.curves import drawn

SMOOTHED = 500  # plays of a mean


def draw(losses: dict[str, Sequence[Doubles]], turns: Sequence[int], path: Path) -> None:
    """A panel for each world, side by side, the turn at 0."""
    with drawn(path, 1, len(turns)) as panels:
        for world, (panel, turn) in enumerate(zip(panels[0], turns, strict=True)):
            for name, of_worlds in losses.items():
                means = np.convolve(of_worlds[world], np.full(SMOOTHED, 1.0 / SMOOTHED), "valid")
                panel.plot(
                    np.arange(len(means)) + SMOOTHED - turn, means, label=name, lw=2.5 if name == "care" else 1.2
                )
            panel.axvline(0, color="grey", lw=0.8)
            panel.set(xlabel="plays since tastes turned")
        panels[0, 0].set_ylabel(f"log loss of skips, mean of {SMOOTHED} plays")
        panels[0, -1].legend(frameon=False)
