"""Pre-ranking: a cheap score cuts a thousand candidates to what the ranker can afford."""

from serving.slate import Candidates

KEPT = 200  # at most


def kept_for(size: int) -> int:
    """How many are ranked for a list of so many: four for each place, and a hundred at least, so that re-ranking has a choice."""
    return min(KEPT, max(100, 4 * size))


def prerank(candidates: Candidates, kept: int = KEPT) -> Candidates:
    """The best by the fused channel score, best first."""
    if len(candidates) > kept:
        candidates = candidates.take((-candidates.fused).argpartition(kept)[:kept])
    return candidates.take((-candidates.fused).argsort(kind="stable"))
