"""Sets of row numbers: what `np.unique` and `np.isin` answer for any array, for a few hundred rows in a part of the time."""

import numpy as np
from numpy.typing import NDArray

from online_models.track import Rows

_PLACE = 0xFFFFFFFF


def distinct(rows: Rows) -> tuple[Rows, NDArray[np.intp]]:
    """Each row once, ascending, and where each of `rows` stands among those: int32[m], intp[n]. No row is less than 0.

    >>> once, places = distinct(np.array([7, 3, 7], np.int32))
    >>> once.tolist(), places.tolist()
    ([3, 7], [1, 0, 1])
    """
    codes, first = _sorted(rows)
    places = np.empty(len(rows), np.intp)
    places[codes & _PLACE] = first.cumsum() - 1
    return (codes[first] >> 32).astype(np.int32), places


def firsts(values: Rows) -> NDArray[np.int64]:
    """Where each value stands first: int64[m], by ascending value. None is less than 0.

    >>> firsts(np.array([7, 3, 7], np.int32)).tolist()
    [1, 0]
    """
    codes, first = _sorted(values)
    return codes[first] & _PLACE


def _sorted(values: Rows) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Values and their places in one number each, ascending; and which of these are the first of their value."""
    codes = values.astype(np.int64) << 32 | np.arange(len(values))
    codes.sort()
    ordered, first = codes >> 32, np.empty(len(values), np.bool_)
    first[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return codes, first


def among(rows: Rows, others: Rows) -> NDArray[np.bool_]:
    """Whether each of `rows` is one of `others`, bool[n].

    >>> among(np.array([7, 3, 7], np.int32), np.array([9, 7], np.int32)).tolist()
    [True, False, True]
    """
    if not len(others):
        return np.zeros(len(rows), np.bool_)
    ordered = np.sort(others)
    found: NDArray[np.bool_] = ordered[np.searchsorted(ordered[:-1], rows)] == rows
    return found
