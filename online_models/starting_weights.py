"""The weights that a ranker has before it has learnt anything: what is likely of any audience, so that the first lists are not made of noise.

Features that are log odds of a skip count for what they say, less where several say the same of one track; the steps go on from there.
"""

from collections.abc import Sequence

import numpy as np

from online_models.track import Doubles

SKIP_WEIGHTS = {"tag_effect": 1.0, "named_tag": -2.0, "track_rate": 0.5, "artist_rate": 0.3, "track_lately": 0.7}
_SIGNS = {"skip": 1.0, "complete": -1.0}


def starting_weights(objectives: Sequence[str], features: Sequence[str]) -> Doubles:
    """float64[objectives, features]: SKIP_WEIGHTS for a skip, the opposite for a track that is completed, else 0.

    >>> starting_weights(["complete", "skip", "like"], ["gap", "tag_effect"]).tolist()
    [[0.0, -1.0], [0.0, 1.0], [0.0, 0.0]]
    """
    skip = np.array([SKIP_WEIGHTS.get(name, 0.0) for name in features])
    weights: Doubles = np.array([_SIGNS.get(name, 0.0) for name in objectives])[:, None] * skip + 0.0
    return weights
