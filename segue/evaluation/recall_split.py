"""A log split by listener: a fifth of what each one played is held out, the rest comes as plays in a random order; and what lists find again."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from segue.errors import InputError
from segue.importers import source_of
from streams.messages import ListeningEvent, Track

PARTS = 5  # one of so many parts of what a listener played is held out
LISTED = 20  # places of a list
APART_MS = 60_000


@dataclass(frozen=True, slots=True)
class Split:
    """tracks : the whole catalogue; plays : what is learnt, in its order, a minute apart; held : by listener, what is to be found again."""

    tracks: list[Track]
    plays: list[ListeningEvent]
    held: dict[str, list[str]]

    @property
    def after_ms(self) -> int:
        """A moment after all plays."""
        return self.plays[-1].at_ms + APART_MS


def read_split(path: Path, seed: int) -> Split:
    """A folder of Last.fm, each pair of listener and artist once; who played fewer than PARTS has nothing held out.

    Raises
    ------
    InputError
        where the folder or what it must hold is not there, or nobody has enough plays
    """
    if not path.exists():
        raise InputError(
            f"{path}: is not there, expected a folder with hetrec2011's user_artists.dat; say where it is with --data"
        )
    source, rng = source_of(path, "lastfm"), np.random.default_rng(seed)
    events, numbers_of = list(source.events(path)), dict[str, list[int]]()
    for number, event in enumerate(events):
        numbers_of.setdefault(event.user_id, []).append(number)
    drawn = {user: rng.permutation(numbers)[: len(numbers) // PARTS].tolist() for user, numbers in numbers_of.items()}
    held = {user: [events[number].track_id for number in numbers] for user, numbers in drawn.items() if numbers}
    if not held:
        raise InputError(f"{path}: nobody played {PARTS} artists, expected a listener who did")
    rest = sorted(set(range(len(events))).difference(*drawn.values()))
    start_ms = events[0].at_ms
    plays = [
        msgspec.structs.replace(events[number], at_ms=start_ms + APART_MS * place)
        for place, number in enumerate(rng.permutation(rest).tolist())
    ]
    return Split(list(source.tracks(path)), plays, held)


def recall(found: NDArray[np.generic], held: NDArray[np.generic]) -> float:
    """The share of what was held out that is among the first LISTED of a list.

    >>> recall(np.array([4, 7, 1]), np.array([7, 9]))
    0.5
    """
    return float(np.isin(held, found[:LISTED]).mean())
