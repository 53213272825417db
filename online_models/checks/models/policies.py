"""Bandits behind the interface `Policy`: LinUCB, Thompson sampling with and without context, UCB1."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import numpy as np

from online_models.bandits.bernoulli_thompson import BernoulliThompson
from online_models.bandits.contextual_thompson import ContextualThompson
from online_models.bandits.diagonal_logistic import DiagonalLogistic
from online_models.bandits.disjoint_regression import DisjointRegression
from online_models.bandits.linucb import LinUCB
from online_models.bandits.reward_model import RewardModel
from online_models.bandits.shared_regression import SharedRegression
from online_models.bandits.thompson import Thompson
from online_models.bandits.ucb import UCB1
from online_models.checks.checkable import Checkable, Pattern
from online_models.checks.made_up import restored, rows_of, table_state
from online_models.checks.policy import DIMS, POLICY_CHECKS, WHO, Played, contexts_of
from online_models.track import Doubles, TrackMeta, TrackTable

P = TypeVar("P", LinUCB, ContextualThompson)
ARMS = np.arange(5, dtype=np.int32)
FEATURES = np.concatenate([np.eye(5), np.ones((5, 1))], axis=1)
_CONTEXTS = contexts_of(8)


def _teach(played: Played, n: int) -> None:
    played.policy.learn_one(_CONTEXTS[n % 8], int(played.arms[n * n % 5]), float(n % 3 == 0))


def _hostile(played: Played) -> Iterator[Doubles]:
    rng = np.random.default_rng(1)
    for length in (0.0, 1e-300, 1e-9, 400.0):  # of a context
        for _ in range(3):
            played.policy.learn_one(WHO * length, int(played.arms[0]), 1.0)
        yield np.array(played.policy.choose(WHO * length, played.arms, rng))
        yield np.concatenate(played.policy.choose_many(WHO[None] * length, played.arms, rng))


def _empty(played: Played) -> Iterator[Doubles]:
    nothing = np.zeros((0, DIMS))
    played.policy.learn_many(nothing, ARMS[:0], np.zeros(0))
    yield played.policy.choose_many(nothing, played.arms, np.random.default_rng(1))[1]


def _bytes(state: Mapping[str, Doubles]) -> bytes:
    return b"".join(name.encode() + array.tobytes() for name, array in sorted(state.items()))


def _contextual(
    name: str, policy: Callable[[RewardModel], P], model: Callable[[], RewardModel], *, commutes: bool = True
) -> Checkable[Played]:
    """A policy that chooses by a model. Asked for the model's posterior and one choice."""

    def model_of(played: Played) -> RewardModel:
        assert isinstance(played.policy, LinUCB | ContextualThompson)
        return played.policy.model

    def ask(played: Played) -> Doubles:
        chosen = played.policy.choose(WHO, played.arms, np.random.default_rng(1))
        return np.concatenate([*model_of(played).posterior(WHO, played.arms), chosen])

    def restore(played: Played) -> Played:
        again = model()
        again.restore(model_of(played).state())
        return Played(policy(again), played.arms)

    return Checkable(
        name=name,
        make=lambda seed: Played(policy(model()), ARMS),
        teach=_teach,
        ask=ask,
        state=lambda played: _bytes(model_of(played).state()),
        restore=restore,
        commutes=commutes,
        pattern=Pattern(
            teach=lambda played: played.policy.learn_one(WHO, 4, 1.0),
            predict=lambda played: float(model_of(played).posterior(WHO, played.arms)[0][4]),
        ),
        hostile=_hostile,
        empty=_empty,
        interface=POLICY_CHECKS,
    )


def _shared() -> SharedRegression:
    return SharedRegression(FEATURES, DIMS)


def _disjoint() -> DisjointRegression:
    return DisjointRegression(len(ARMS), DIMS)


def _restored_ucb(played: Played) -> Played:
    assert isinstance(played.policy, UCB1)
    again = UCB1(len(ARMS))
    again.restore(played.policy.state())
    return Played(again, played.arms)


def _ucb_of(played: Played) -> UCB1:
    assert isinstance(played.policy, UCB1)
    return played.policy


def _ask_ucb(played: Played) -> Doubles:
    ucb = _ucb_of(played)
    chosen = ucb.choose(WHO, played.arms, np.random.default_rng(1))
    return np.concatenate([ucb.trials, ucb.rewards, chosen])


def _bernoulli(table: TrackTable) -> Played:
    return Played(BernoulliThompson(Thompson(table)), rows_of(table, 5))


def _table_of(played: Played) -> TrackTable:
    assert isinstance(played.policy, BernoulliThompson)
    return played.policy.thompson.table


def _rates(played: Played) -> Doubles:
    assert isinstance(played.policy, BernoulliThompson)
    alpha, beta = played.policy.thompson.posterior(played.arms)
    return alpha / (alpha + beta)


def _apart() -> TrackTable:
    """Tracks that share no artist, so that each one's trials are its own."""
    table = TrackTable(dims=4)
    for n in range(5):
        table.list_track(TrackMeta(f"t{n}", f"Title {n}", f"a{n}"))
    return table


LINUCB_DISJOINT = _contextual("linucb-disjoint", LinUCB, _disjoint)
LINUCB_SHARED = _contextual("linucb-shared", LinUCB, _shared)
THOMPSON_DISJOINT = _contextual("linear-thompson-disjoint", ContextualThompson, _disjoint)
THOMPSON_SHARED = _contextual("linear-thompson-shared", ContextualThompson, _shared)
THOMPSON_LOGISTIC = _contextual(
    "logistic-thompson",
    ContextualThompson,
    lambda: DiagonalLogistic(FEATURES, DIMS),
    commutes=False,  # each step starts where the last one led
)
UCB_1: Checkable[Played] = Checkable(
    name="ucb1",
    make=lambda seed: Played(UCB1(len(ARMS)), ARMS),
    teach=_teach,
    ask=_ask_ucb,
    state=lambda played: _bytes(_ucb_of(played).state()),
    low=0.0,
    restore=_restored_ucb,
    commutes=True,
    pattern=Pattern(
        teach=lambda played: played.policy.learn_one(WHO, 4, 1.0), predict=lambda played: float(_ask_ucb(played)[9])
    ),
    hostile=_hostile,
    empty=_empty,
    interface=POLICY_CHECKS,
)
BERNOULLI_THOMPSON: Checkable[Played] = Checkable(
    name="bernoulli-thompson",
    make=lambda seed: _bernoulli(_apart()),
    teach=_teach,
    ask=_rates,
    state=lambda played: table_state(_table_of(played)),
    low=0.0,
    high=1.0,
    restore=lambda played: _bernoulli(restored(_table_of(played))),
    commutes=True,
    pattern=Pattern(
        teach=lambda played: played.policy.learn_one(WHO, int(played.arms[4]), 1.0),
        predict=lambda played: float(_rates(played)[4]),
    ),
    hostile=_hostile,
    empty=_empty,
    interface=POLICY_CHECKS,
)
POLICIES = (
    LINUCB_DISJOINT,
    LINUCB_SHARED,
    THOMPSON_DISJOINT,
    THOMPSON_SHARED,
    THOMPSON_LOGISTIC,
    BERNOULLI_THOMPSON,
    UCB_1,
)
