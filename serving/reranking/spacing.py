"""Artist spacing: not the same artist again within some places."""

from collections import deque


def space_artists(artists: list[int], spacing: int, size: int | None = None) -> list[int]:
    """An order in which the next place goes to the best track whose artist is not among the last `spacing`; where there is none, to the best.

    artists : artist row of each, best first; 0 is nobody and needs no space
    size : places that are wanted; all without it

    >>> space_artists([1, 1, 2, 1, 3], 2)
    [0, 2, 4, 1, 3]
    """
    size = len(artists) if size is None else min(size, len(artists))
    if spacing <= 0:
        return list(range(size))
    left, order = list(range(len(artists))), list[int]()
    last: deque[int] = deque(maxlen=spacing)
    while len(order) < size:
        place = next(
            (place for place, source in enumerate(left) if not artists[source] or artists[source] not in last), 0
        )
        source = left.pop(place)
        order.append(source)
        last.append(artists[source])
    return order
