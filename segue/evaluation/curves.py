"""The curves of a replay, as one PNG: how good the guesses were over time, beside the baselines."""

import itertools
from pathlib import Path

import numpy as np

from segue.evaluation.metrics import auc
from segue.evaluation.replay import METHODS, Replay

WINDOWS = 40


def draw(seen: Replay, path: Path) -> None:
    """Hit rate by method, and skip AUC, over WINDOWS windows of events."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), constrained_layout=True)
    if seen.at:
        edges = np.linspace(0, len(seen.at), min(WINDOWS, len(seen.at)) + 1).astype(int)
        at = [seen.at[int(edge) - 1] for edge in edges[1:]]
        for method in METHODS:
            hits = np.array(seen.ranks[method]) >= 0
            left.plot(
                at,
                [hits[a:b].mean() for a, b in itertools.pairwise(edges)],
                label=method,
                lw=2 if method == "segue" else 1,
            )
        left.legend()
    left.set(title="next track among 20, guessed before each play", xlabel="events", ylabel="hit@20", ylim=(0, None))
    predicted, skipped = np.array(seen.predicted), np.array(seen.skipped, np.bool_)
    edges = np.linspace(0, len(predicted), min(WINDOWS, max(1, len(predicted) // 50)) + 1).astype(int)
    right.plot(edges[1:], [auc(predicted[a:b], skipped[a:b]) for a, b in itertools.pairwise(edges)])
    right.set(title="skip, predicted before each play", xlabel="plays", ylabel="AUC", ylim=(0.5, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)
