"""The curves of a replay, as one PNG: how good the guesses were over time, beside the baselines; and the frame of every PNG."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    with drawn(path, 2, 2) as panels:
        _draw_skips(panels[0, 0], seen)
        for panel, (name, measure) in zip(panels.flat[1:], _MEASURES.items(), strict=True):
            _draw_guesses(panel, seen, name, measure)
        for panel in panels[1]:
            panel.set_xlabel("events")


@contextmanager
def drawn(path: Path, rows: int, columns: int) -> Iterator[NDArray[np.object_]]:
    """A grid of panels that share the horizontal axis, [rows, columns]; the PNG is written when they are drawn."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    size = (12, 2 + 3 * rows)
    figure, panels = plt.subplots(rows, columns, figsize=size, constrained_layout=True, sharex=True, squeeze=False)
    try:
        yield panels
        figure.savefig(path, dpi=110)
    finally:
        plt.close(figure)


def _draw_skips(panel: Any, seen: Replay) -> None:
    predicted, skipped = np.array(seen.predicted), np.array(seen.skipped, np.bool_)
    edges = _edges(len(predicted), 50)
    values = [auc(predicted[first:last], skipped[first:last]) for first, last in itertools.pairwise(edges)]
    panel.plot(edges[1:], values, lw=2.5)
    panel.set(title="AUC of skips, predicted before each play", ylabel="AUC", ylim=(0.5, 1))


def _draw_guesses(panel: Any, seen: Replay, name: str, measure: Callable[[NDArray[np.int64]], float]) -> None:
    if seen.at:
        edges = _edges(len(seen.at), 1)
        at = [seen.at[last - 1] for last in edges[1:]]
        for method in METHODS:
            ranks = np.array(seen.ranks[method], np.int64)
            values = [measure(ranks[first:last]) for first, last in itertools.pairwise(edges)]
            panel.plot(at, values, label=method, lw=2.5 if method == "segue" else 1.2)
        panel.legend(frameon=False)
    panel.set(title=f"{name} of the next track, guessed before each play", ylabel=name, ylim=(0, None))


def _edges(size: int, smallest: int) -> list[int]:
    """The bounds of up to WINDOWS windows of `smallest` or more."""
    windows = min(WINDOWS, max(1, size // smallest))
    return np.linspace(0, size, windows + 1).astype(int).tolist() if size else [0]
