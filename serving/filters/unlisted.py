"""Unknown or removed tracks."""

import numpy as np
from numpy.typing import NDArray

from serving.slate import Candidates, Query


def unlisted(query: Query, candidates: Candidates) -> NDArray[np.bool_]:
    """Keep what the catalogue lists now."""
    listed: NDArray[np.bool_] = query.replica.table.listed[candidates.rows]
    return listed
