"""The curves of a replay, as one PNG: how good the guesses were over time, beside the baselines."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.evaluation.metrics import auc, hit_rate, ndcg
from segue.evaluation.replay import METHODS, Replay

WINDOWS = 40
_MEASURES: dict[str, Callable[[NDArray[np.int64]], float]] = {
    "HR@10": lambda ranks: hit_rate(ranks, 10),
    "Recall@20": lambda ranks: hit_rate(ranks, 20),
    "NDCG@10": lambda ranks: ndcg(ranks, 10),
}


def draw(seen: Replay, path: Path) -> None:
    """Skip AUC, and hit rate, recall and NDCG of the next track by method, over WINDOWS windows of the log."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(12, 8), constrained_layout=True, sharex=True)
    _draw_skips(panels[0, 0], seen)
    for panel, (name, measure) in zip(panels.flat[1:], _MEASURES.items(), strict=True):
        if seen.at:
            edges = _edges(len(seen.at), 1)
            at = [seen.at[last - 1] for last in edges[1:]]
            for method in METHODS:
                ranks = np.array(seen.ranks[method], np.int64)
                values = [measure(ranks[first:last]) for first, last in itertools.pairwise(edges)]
                panel.plot(at, values, label=method, lw=2.5 if method == "segue" else 1.2)
            panel.legend(frameon=False)
        panel.set(title=f"{name} of the next track, guessed before each play", ylabel=name, ylim=(0, None))
    for panel in panels[1]:
        panel.set_xlabel("events")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_skips(panel: Any, seen: Replay) -> None:
    predicted, skipped = np.array(seen.predicted), np.array(seen.skipped, np.bool_)
    edges = _edges(len(predicted), 50)
    values = [auc(predicted[first:last], skipped[first:last]) for first, last in itertools.pairwise(edges)]
    panel.plot(edges[1:], values, lw=2.5)
    panel.set(title="AUC of skips, predicted before each play", ylabel="AUC", ylim=(0.5, 1))


def _edges(size: int, smallest: int) -> list[int]:
    """The bounds of up to WINDOWS windows of `smallest` or more."""
    windows = min(WINDOWS, max(1, size // smallest))
    return np.linspace(0, size, windows + 1).astype(int).tolist() if size else [0]
