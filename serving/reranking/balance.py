"""Familiar and new: the share of each that a surface wants, spread over the list."""

import numpy as np
from numpy.typing import NDArray


def balance(familiar: NDArray[np.bool_], share: float) -> list[int]:
    """An order in which every beginning of the list holds about `share` familiar tracks, as long as there are both kinds.

    >>> balance(np.array([True, True, True, False, False]), 0.5)
    [0, 3, 1, 4, 2]
    """
    known, new = np.flatnonzero(familiar).tolist(), np.flatnonzero(~familiar).tolist()
    order: list[int] = []
    while known or new:
        wanted = len(order) + 1
        have = sum(bool(familiar[source]) for source in order)
        take_known = bool(known) and (not new or have < share * wanted)
        order.append(known.pop(0) if take_known else new.pop(0))
    return order
