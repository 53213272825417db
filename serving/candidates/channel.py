"""What a channel is, and how the proposals of several become one list."""

from collections.abc import Callable, Mapping

import numpy as np

from online_models.row_sets import distinct
from online_models.track import NO_ROWS, Doubles, Rows
from serving.slate import Candidates, Query

# (query, how many at most) -> (rows int32[m], scores float64[m]); total: it answers for any query, with nothing where it knows nothing
Channel = Callable[[Query, int], tuple[Rows, Doubles]]

NOTHING: tuple[Rows, Doubles] = (NO_ROWS, np.zeros(0))


def best(rows: Rows, scores: Doubles, limit: int) -> tuple[Rows, Doubles]:
    """The `limit` best of a proposal, best first."""
    if len(rows) > limit:
        chosen = (-scores).argpartition(limit)[:limit]
        rows, scores = rows[chosen], scores[chosen]
    order = (-scores).argsort(kind="stable")
    return rows[order], scores[order]


def propose(query: Query, channels: Mapping[str, Channel]) -> tuple[Candidates, dict[str, int]]:
    """Ask every channel of the surface; answers the merged candidates and how many each proposed.

    A channel's scores are brought to (0, 1] by its greatest; where they are not positive, by rank.
    """
    names = list(query.surface.channels)
    proposals = [channels[name](query, query.surface.channels[name]) for name in names]
    rows, places = distinct(np.concatenate([rows for rows, _ in proposals]))
    columns = np.repeat(np.arange(len(names)), [len(proposed) for proposed, _ in proposals])
    scores = np.zeros((len(rows), len(names)))
    scores[places, columns] = np.concatenate([_share(values) for _, values in proposals])
    weights = np.array([query.surface.channel_weights.get(name, 0.0) for name in names])
    candidates = Candidates(rows, scores, scores @ weights)
    return candidates, {name: len(proposed) for name, (proposed, _) in zip(names, proposals, strict=True)}


def _share(values: Doubles) -> Doubles:
    if not len(values):
        return values
    if values.min() > 0.0:
        shares: Doubles = values / values.max()
        return shares
    ranks = np.empty(len(values))
    ranks[(-values).argsort(kind="stable")] = 1.0 - np.arange(len(values)) / len(values)
    return ranks
