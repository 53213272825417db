"""How much more a listener skips each tag than the moment leads to expect: the random effects of a logistic regression of their own.

For what is new to somebody: of tracks and artists that they know, their memories say more. A tag's effect is a Gaussian over log odds, and each
play updates those of its tags at once, by assumed-density filtering (Graepel et al. 2010; MacKay 1992 for the mean of a logistic over a Gaussian).
"""

from collections.abc import Sequence
from math import exp, log, sqrt

TAGS_MAX = 32  # of a listener; twice as many may be held, then those of which least is known go
VARIANCE = 0.5  # of an effect, before anything is known
_DRIFT = 0.005 * VARIANCE  # that a play of a tag gives back: tastes change
_FLATTENED = 3.14159 / 8.0  # how much a logistic is flattened by the variance of its log odds


class TagEffects:
    """The effects of one listener; asking adds none.

    of : mean and variance of each tag's effect, in log odds of a skip

    >>> effects = TagEffects()
    >>> for _ in range(20):
    ...     effects.learn_one(("folk", "jazz"), True, 0.3)
    ...     effects.learn_one(("jazz",), False, 0.3)
    >>> effects.effect(("folk",))[0] > 0.5, effects.effect(("jazz",))[0] < 0.0, effects.effect(("dub",))
    (True, True, (0.0, 1.0))
    """

    __slots__ = ("of",)

    def __init__(self) -> None:
        self.of: dict[str, tuple[float, float]] = {}

    def learn_one(self, tags: Sequence[str], skipped: bool, expected: float) -> None:
        """Take a play of a track of some tags, with the chance of a skip that the moment led to expect, between 0 and 1."""
        share, odds, doubt, known = 1.0 / len(tags), log(expected / (1.0 - expected)), 0.0, self.of
        effects = []
        for tag in tags:
            mean, variance = known.get(tag, (0.0, VARIANCE))
            variance = min(VARIANCE, variance + _DRIFT)
            odds += share * mean
            doubt += share * share * variance
            effects.append((tag, mean, variance))
        chance = 1.0 / (1.0 + exp(-odds / sqrt(1.0 + _FLATTENED * doubt)))
        curvature = chance * (1.0 - chance)
        step = (skipped - chance) / (1.0 + curvature * doubt)
        narrowing = curvature / (1.0 + curvature * doubt)
        for tag, mean, variance in effects:
            moved = share * variance
            known[tag] = mean + moved * step, variance - moved * moved * narrowing
        if len(known) > 2 * TAGS_MAX:
            self.of = dict(sorted(known.items(), key=lambda entry: entry[1][1])[:TAGS_MAX])

    def effect(self, tags: Sequence[str]) -> tuple[float, float]:
        """Of a track of some tags: the mean of their effects, and the share of their variance that is left; (0, 1) of a track without any."""
        mean, left, known = 0.0, 0.0, self.of
        for tag in tags:
            of_tag, variance = known.get(tag, _UNKNOWN)
            mean += of_tag
            left += variance
        return (mean / len(tags), left / (VARIANCE * len(tags))) if tags else (0.0, 1.0)

    def of_tag(self, tag: str) -> tuple[float, float]:
        """Mean and variance of a tag's effect, as before anything is known where it was never heard."""
        return self.of.get(tag, _UNKNOWN)

    def left(self, tag: str) -> float:
        """The share of a tag's variance that is left: 1 while it was never heard."""
        return self.of_tag(tag)[1] / VARIANCE


_UNKNOWN = (0.0, VARIANCE)
