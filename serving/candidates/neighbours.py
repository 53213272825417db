"""The item neighbours of what the listener has heard over a long time: what followed it, and more so what came before it too."""

from online_models.colistening import score_neighbours
from online_models.row_sets import among
from online_models.track import Doubles, Rows
from serving.candidates.channel import best
from serving.candidates.long_view import long_view
from serving.slate import Query


def neighbours(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """By co-listening over everybody, from the last hundred tracks nearly alike; none of those themselves."""
    heard, weights = long_view(query)
    rows, scores = score_neighbours(query.replica.table, heard, weights)
    new = ~among(rows, heard)
    return best(rows[new], scores[new], limit)
