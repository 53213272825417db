"""Ranking: the objectives' probabilities of every candidate, blended into one utility."""

import numpy as np

from online_models.features import features_of
from serving.slate import Candidates, Query, Ranked

SIGNS = {"complete": 1.0, "skip": -1.0, "late_skip": -1.0, "share_heard": 1.0, "like": 1.0, "save": 1.0}


def rank(query: Query, candidates: Candidates) -> Ranked:
    """Score and sort. utility = next * share + what each objective adds, or a skip takes away: the surface's weight * probability."""
    replica, weights = query.replica, query.surface.weights
    objectives = replica.ranker.score_many(
        features_of(
            query.listener, replica.table, candidates.rows, query.at_ms, query.hour, surface=query.request.surface
        )
    )
    utility = weights["next"] * (candidates.fused / max(candidates.fused.max(initial=0.0), 1e-12))
    for name, sign in SIGNS.items():
        if weights[name]:
            utility += sign * weights[name] * objectives[name]
    return Ranked(candidates, utility, objectives).take(np.argsort(-utility, kind="stable"))


def unranked(candidates: Candidates) -> Ranked:
    """The candidates by their fused score alone, where there is no time for more."""
    return Ranked(candidates, candidates.fused, {})
