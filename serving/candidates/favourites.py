"""What the listener plays again and again, and what they liked."""

import numpy as np

from online_models.track import DAY_MS, Doubles, Rows
from serving.candidates.channel import best
from serving.slate import Query

RESTS_MS = DAY_MS / 144.0  # ten minutes, until a favourite may come again


def favourites(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """The favourites; what was heard a moment ago waits."""
    known = query.favourites
    scores = known.likings * np.clip((query.at_ms - known.last_ms) / RESTS_MS, 0.0, 1.0)
    chosen = scores > 0.0
    return best(known.rows[chosen], scores[chosen], limit)
