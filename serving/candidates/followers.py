"""What everybody heard after what this listener heard last."""

from online_models.colistening import score_followers
from online_models.track import Doubles, Rows
from serving.candidates.channel import NOTHING, best
from serving.slate import Query

FOLLOWED = 6  # of the last tracks


def followers(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """By co-listening over everybody, from the last six tracks."""
    if not len(query.heard):
        return NOTHING
    return best(*score_followers(query.replica.table, query.heard[:FOLLOWED]), limit)
