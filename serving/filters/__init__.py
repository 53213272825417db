"""Filters: what must not be in a playlist. One a file; pure, total, vectorised: (query, candidates) -> bool[n], True to keep.

`FILTERS` is their order; what each removed is counted under its name.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from serving.filters.blocked import blocked
from serving.filters.just_heard import just_heard
from serving.filters.same_song import same_song
from serving.filters.unlisted import unlisted
from serving.slate import Candidates, Query

Filter = Callable[[Query, Candidates], NDArray[np.bool_]]

FILTERS: dict[str, Filter] = {
    "unlisted": unlisted,
    "blocked": blocked,
    "just-heard": just_heard,
    "same-song": same_song,
}
