"""The weights that a ranker has before it has learnt anything: what is likely of any audience, so that the first lists are not made of noise.

Features that are log odds of a skip count for what they say, less where several say the same of one track; the steps go on from there.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from online_models.objectives import OBJECTIVE
from online_models.recollection import RATE
from online_models.track import Doubles

SKIP_WEIGHTS = {"tag_effect": 1.0, "named_tag": -2.0, "track_rate": 0.5, "artist_rate": 0.3, "track_lately": 0.7}
_UNHEARD = {name: np.log(RATE / (1.0 - RATE)) for name in ("track_rate", "artist_rate")}  # all other features say 0


def starting_weights(objectives: Sequence[str], features: Sequence[str]) -> Doubles:
    """float64[objectives, features]: SKIP_WEIGHTS for a skip, the opposite for a track that is completed, else 0.

    >>> starting_weights(["complete", "skip", "like"], ["gap", "tag_effect"]).tolist()
    [[0.0, -1.0], [0.0, 1.0], [0.0, 0.0]]
    """
    skip = np.array([SKIP_WEIGHTS.get(name, 0.0) for name in features])
    weights: Doubles = np.array([OBJECTIVE[name].skips for name in objectives])[:, None] * skip + 0.0
    return weights


def starting_intercepts(priors: Mapping[str, float], features: Sequence[str]) -> Doubles:
    """float64[objectives]: with the starting weights they predict the prior of each objective where nobody heard a track, and nobody knows the listener.

    >>> starting_intercepts({"like": 0.5, "skip": 0.5}, ["gap", "track_rate"]).round(2).tolist()
    [0.0, 0.31]
    """
    rates, unheard = np.array(list(priors.values())), np.array([_UNHEARD.get(name, 0.0) for name in features])
    intercepts: Doubles = np.log(rates / (1.0 - rates)) - starting_weights(list(priors), features) @ unheard
    return intercepts
