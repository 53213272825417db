"""Ranking: the objectives' probabilities of every candidate, blended into one utility."""

import numpy as np

from online_models.features import features_of
from online_models.objectives import OBJECTIVE
from serving.slate import Candidates, Query, Ranked


def rank(query: Query, candidates: Candidates) -> Ranked:
    """Score and sort. utility = next * share + what each objective adds, or a skip takes away: the surface's weight * probability."""
    replica, weights = query.replica, query.surface.weights
    objectives = replica.ranker.score_many(
        features_of(query.listener, replica.table, candidates.rows, query.at_ms, query.hour)
    )
    utility = weights["next"] * (candidates.fused / max(candidates.fused.max(initial=0.0), 1e-12))
    for name, objective in OBJECTIVE.items():
        if weight := weights.get(name):
            utility += objective.sign * weight * objectives[name]
    return Ranked(candidates, utility, objectives).take(np.argsort(-utility, kind="stable"))


def unranked(candidates: Candidates) -> Ranked:
    """The candidates by their fused score alone, where there is no time for more."""
    return Ranked(candidates, candidates.fused, {})
