"""New tracks: what few have heard yet, nearest to the listener by artist and tags, those first that were liked when offered."""

from online_models.track import Doubles, Rows
from serving.candidates.channel import best
from serving.slate import Query


def fresh(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """The chance of a success by the bandit's posterior, times how near the track is."""
    return best(query.new_rows, query.new_scores, limit)
