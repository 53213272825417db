"""What every player of Vowpal Wabbit's SquareCB does with its chances and its lines; which actions and features there are is the player's."""

from collections.abc import Sequence

import numpy as np

LEAST_CHANCE = 1e-6  # Vowpal Wabbit divides a cost by the chance


def draw(chances: Sequence[float], rng: np.random.Generator) -> tuple[int, float]:
    """A place by its chances, which need not sum to 1, and its chance.

    >>> draw([0.0, 1.0, 0.0], np.random.default_rng(1))
    (1, 1.0)
    """
    sums = np.array(chances).cumsum()
    place = min(int(sums.searchsorted(rng.random() * sums[-1], side="right")), len(sums) - 1)
    return place, max(float(chances[place]), LEAST_CHANCE)


def labelled(line: str, cost: float, chance: float) -> str:
    """The line of the action that was chosen, with what it cost.

    >>> labelled("|A 1:0.5", -1.0, 0.25)
    '0:-1:0.25 |A 1:0.5'
    """
    return f"0:{cost:.5g}:{chance:.5g} {line}"
