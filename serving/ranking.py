"""Ranking: the objectives' probabilities of every candidate, blended into one utility."""

import numpy as np

from online_models.features import features_of
from online_models.objectives import OBJECTIVE
from online_models.track import NO_ROWS, Rows
from serving.slate import Candidates, Query, Ranked

TIED = 9  # decimals: tracks that are alike keep their order, whatever a product's last bits are at their place in the matrix


def rank(query: Query, candidates: Candidates) -> Ranked:
    """Score and sort. utility = next * share + what each objective adds, or a skip takes away: the surface's weight * probability."""
    return rank_beside(query, candidates, NO_ROWS)[0]


def rank_beside(query: Query, candidates: Candidates, others: Rows) -> tuple[Ranked, Rows]:
    """The candidates ranked, and others int32[m] that no channel proposed, best first: scored in one pass, which costs little more than one of them."""
    replica, weights, size = query.replica, query.surface.weights, len(candidates)
    rows = np.concatenate([candidates.rows, others])
    objectives = replica.ranker.score_many(
        features_of(query.listener, replica.table, rows, query.at_ms, query.hour, query.request.surface)
    )
    utility = np.zeros(len(rows))
    utility[:size] = weights["next"] * (candidates.fused / max(candidates.fused.max(initial=0.0), 1e-12))
    for name, objective in OBJECTIVE.items():
        if weight := weights.get(name):
            utility += objective.sign * weight * objectives[name]
    order, after = (np.argsort(-part.round(TIED), kind="stable") for part in (utility[:size], utility[size:]))
    return Ranked(candidates, utility[:size], objectives).take(order), others[after]


def unranked(candidates: Candidates) -> Ranked:
    """The candidates by their fused score alone, where there is no time for more."""
    return Ranked(candidates, candidates.fused, {})
