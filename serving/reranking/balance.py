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
    have = 0
    while have < len(known) and len(order) - have < len(new):
        if have < share * (len(order) + 1):
            order.append(known[have])
            have += 1
        else:
            order.append(new[len(order) - have])
    return order + known[have:] + new[len(order) - have :]
