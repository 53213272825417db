"""What everybody heard after what this listener heard lately: as `followers`, but over more tracks, so that their order matters less."""

from online_models.colistening import score_followers
from online_models.track import Doubles, Rows
from serving.candidates.channel import NOTHING, best
from serving.slate import Query

HEARD, FADES, POWER = 20, 0.9, 0.5  # last tracks; of one against the one after it; see `score_followers`


def companions(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """By co-listening over everybody, from the last twenty tracks."""
    if not len(query.heard):
        return NOTHING
    scored = score_followers(query.replica.table, query.heard[:HEARD], lag_decay=FADES, power=POWER)
    return best(*scored, limit)
