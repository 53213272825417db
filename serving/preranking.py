"""Pre-ranking: a cheap score cuts a thousand candidates to what the ranker can afford."""

import numpy as np

from serving.slate import Candidates

KEPT = 200


def prerank(candidates: Candidates, kept: int = KEPT) -> Candidates:
    """The best by the fused channel score, best first."""
    if len(candidates) > kept:
        candidates = candidates.take(np.argpartition(-candidates.fused, kept)[:kept])
    return candidates.take(np.argsort(-candidates.fused, kind="stable"))
