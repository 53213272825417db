"""Bernoulli Thompson sampling as a `Policy`: the posterior, the draw and the propensity of `thompson`, learning from rewards.

In Segue itself the keeper counts trials and successes; this is for whoever has rewards in hand. It looks at no context but the catalogue's: an
arm starts at the rate of its artist and tags.
"""

import numpy as np

from online_models.bandits.reward_model import checked
from online_models.bandits.thompson import Thompson
from online_models.track import COLUMN, Doubles, Rows

_TRIALS = [COLUMN["trials"], COLUMN["successes"]]


class BernoulliThompson:
    """Arms are rows of tracks in `thompson.table`; a reward is a success, or a share of one.

    Propensities are integrated by quadrature, exact to .001 as `Thompson` has it.

    >>> from online_models.track import TrackMeta, TrackTable
    >>> table, rng = TrackTable(dims=4), np.random.default_rng(1)
    >>> arms = np.array([table.list_track(TrackMeta(name, "", artist)) for name, artist in ("1a", "2b", "3b")], np.int32)
    >>> policy = BernoulliThompson(Thompson(table))
    >>> for _ in range(50):
    ...     policy.learn_one(np.zeros(0), int(arms[1]), 1.0)
    >>> alpha, beta = policy.thompson.posterior(arms)
    >>> (alpha / (alpha + beta)).round(1).tolist()  # the third is by the artist of the second
    [0.3, 1.0, 0.9]
    """

    def __init__(self, thompson: Thompson) -> None:
        self.thompson = thompson

    def choose(self, context: Doubles, arms: Rows, rng: np.random.Generator) -> tuple[int, float]:
        return self.thompson.choose(arms, rng)

    def choose_many(self, contexts: Doubles, arms: Rows, rng: np.random.Generator) -> tuple[Rows, Doubles]:
        alpha, beta = self.thompson.posterior(arms)
        places = rng.beta(alpha, beta, (len(contexts), len(arms))).argmax(1)
        propensities = np.zeros(len(arms))
        for place in np.unique(places).tolist():
            propensities[place] = self.thompson.propensity(alpha, beta, place)
        return arms[places], propensities[places]

    def learn_one(self, context: Doubles, arm: int, reward: float) -> None:
        self.learn_many(context[None], np.array([arm], np.int32), np.array([reward]))

    def learn_many(self, contexts: Doubles, arms: Rows, rewards: Doubles) -> None:
        checked(0.0, float(rewards.sum()))
        if len(rewards) and not 0.0 <= rewards.min() <= rewards.max() <= 1.0:
            raise ValueError(f"rewards from {rewards.min()} to {rewards.max()}: expected 0 to 1")
        table = self.thompson.table
        parts = table.parts[arms]
        learnt = np.stack([np.ones(len(rewards)), rewards], 1)
        for column in parts.T:
            known = column > 0
            np.add.at(table.counts, (column[known][:, None], _TRIALS), learnt[known])
