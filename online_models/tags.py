"""The tags of a track as one object that the catalogue and everybody's events share: a history is thousands of events of a few hundred tags.

Only equal tags are shared, nothing is made distinct or cut here.
"""

SHARED_MAX = 16_384
_shared: dict[tuple[str, ...], tuple[str, ...]] = {}


def shared(tags: tuple[str, ...]) -> tuple[str, ...]:
    """The same tags, where it can be as the object of before; of more than `SHARED_MAX` it begins anew.

    >>> one, other = (tuple(text.split()) for text in ("folk slow", "folk slow"))
    >>> one is other, shared(one) is shared(other)
    (False, True)
    """
    known = _shared.get(tags)
    if known is None:
        if len(_shared) >= SHARED_MAX:
            _shared.clear()
        known = _shared[tags] = tags
    return known
