"""Others' bandits as players: River's LinUCB, and Vowpal Wabbit's SquareCB where it is installed (extra `peers`).

Each is fed as its documentation shows, and sees what Segue's policies see.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from online_models.track import Doubles
from segue.evaluation.bandit_players import Player
from segue.evaluation.bandit_worlds import ARMS, BanditWorld
from segue.evaluation.peers import installed
from segue.evaluation.squarecb import draw, labelled


class RiverLinUCB:
    """`river.bandit.LinUCBDisjoint` as it comes; a dictionary for each context."""

    def __init__(self, seed: int) -> None:
        from river import bandit

        self._policy: Any = bandit.LinUCBDisjoint(seed=seed)
        self._arms = range(ARMS)
        self._context: dict[int, float] = {}
        self._chosen = 0

    def choose(self, context: Doubles) -> int:
        self._context = dict(enumerate(context.tolist()))
        self._chosen = self._policy.pull(self._arms, context=self._context)
        return self._chosen

    def learn(self, reward: float) -> None:
        self._policy.update(self._chosen, self._context, reward)


class SquareCB:
    """`--cb_explore_adf --squarecb` of Vowpal Wabbit (Foster & Rakhlin 2020), context x arm features; the cost is minus the reward.

    options : more of them, see SQUARECB
    """

    def __init__(self, world: BanditWorld, seed: int, options: str) -> None:
        from vowpalwabbit import Workspace

        features = world.features
        described = [f"a{arm}" for arm in range(ARMS)] if features is None else [_words(each) for each in features]
        self._lines = [f"|A {words}" for words in described]
        self._vw: Any = Workspace(f"--cb_explore_adf --squarecb -q UA --quiet --random_seed {seed} {options}")
        self._rng = np.random.default_rng(seed)
        self._shared, self._chosen, self._propensity = "", 0, 1.0

    def choose(self, context: Doubles) -> int:
        self._shared = f"shared |U {_words(context)}"
        self._chosen, self._propensity = draw(self._vw.predict([self._shared, *self._lines]), self._rng)
        return self._chosen

    def learn(self, reward: float) -> None:
        lines = [self._shared, *self._lines]
        lines[1 + self._chosen] = labelled(lines[1 + self._chosen], -reward, self._propensity)
        self._vw.learn(lines)


def _words(values: Doubles) -> str:
    return " ".join(f"{place}:{value:.5g}" for place, value in enumerate(values.tolist()))


# as it comes, and the best in the linear and logistic world of seed 1 of gamma_scale 10, 100, 300, 1000, 10000 with rates .1, .5, 2, 4, 8
SQUARECB = {"vw-squarecb": "", "vw-squarecb-tuned": "--gamma_scale 1000 -l 8"}


def peer_players(world: BanditWorld, seed: int) -> dict[str, Callable[[], Player]]:
    """Makers of those that are installed, by name."""
    players: dict[str, Callable[[], Player]] = {"river-linucb": lambda: RiverLinUCB(seed)}
    if installed("vowpalwabbit"):
        for name, options in SQUARECB.items():
            players[name] = lambda options=options: SquareCB(world, seed, options)  # type: ignore[misc]
    return players
