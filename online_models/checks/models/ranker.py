"""The ranker: each objective, and the average that serving multiplies with."""

from collections.abc import Iterator

import numpy as np

from online_models.checks.checkable import Checkable, Pattern
from online_models.checks.made_up import TIMES_MS, catalogue, hostile_listens, rows_of
from online_models.features import FEATURES, features_of
from online_models.listener import Listener
from online_models.ranker import BLOCK, OBJECTIVES, PRIORS, Objective, RankerMix
from online_models.track import Doubles

_DRAWN = np.random.default_rng(5).normal(size=(32, len(FEATURES)))
_KEY = BLOCK + OBJECTIVES[0].encode()


def hostile_features() -> Iterator[Doubles]:
    """The features that extreme times and durations lead to, float64[n, len(FEATURES)] each."""
    listener, table = Listener("ann"), catalogue(4)
    for event in hostile_listens():
        for at_ms in TIMES_MS:
            yield features_of(listener, table, rows_of(table, 4), at_ms)
        listener.learn_one(event)


def _predict(objective: Objective, values: Doubles) -> float:
    return objective.predict_one(values)


def _teach(objective: Objective, n: int) -> None:
    values = _DRAWN[n % len(_DRAWN)]
    objective.learn_one(values, bool(values[0] > 0.0), 1.0 + n % 3)


def _agree(objective: Objective) -> None:
    objective.learn_one(_DRAWN[0], True)


def _restore(objective: Objective) -> Objective:
    again = Objective(0.5, 0.05)
    again.restore(objective.encode())
    return again


def _hostile(objective: Objective) -> Iterator[Doubles]:
    for x in hostile_features():
        for values in x:
            yield np.array([objective.learn_one(values, True), _predict(objective, values)])


def _objective(name: str) -> Checkable[Objective]:
    return Checkable(
        name=f"ranker-{name}",
        make=lambda seed: Objective(PRIORS[name], 0.05),
        teach=_teach,
        ask=lambda objective: np.array([_predict(objective, values) for values in _DRAWN[:8]]),
        state=Objective.encode,
        low=0.0,
        high=1.0,
        restore=_restore,
        pattern=Pattern(teach=_agree, predict=lambda objective: _predict(objective, _DRAWN[0])),
        hostile=_hostile,
    )


def block(n: int, label: bool | None = None) -> bytes:
    """The block of a learner partition that saw n + 1 examples, all of them with `label` if it is given."""
    objective = Objective(PRIORS[OBJECTIVES[0]], 0.05)
    for place in range(n + 1):
        if label is None:
            _teach(objective, n + place)
        else:
            objective.learn_one(_DRAWN[0], label)
    return objective.encode()


def _apply(mix: RankerMix, n: int) -> None:
    mix.apply_row(n, _KEY, block(n))


def _restore_mix(mix: RankerMix) -> RankerMix:
    again = RankerMix()
    for n in mix.blocks[OBJECTIVES[0]]:
        _apply(again, n)
    return again


def _scores(mix: RankerMix, x: Doubles) -> Doubles:
    return np.concatenate(list(mix.score_many(x).values()))


OBJECTIVE_MODELS = tuple(_objective(name) for name in OBJECTIVES)

RANKER_MIX: Checkable[RankerMix] = Checkable(
    name="ranker-mix",
    make=lambda seed: RankerMix(),
    teach=_apply,
    ask=lambda mix: _scores(mix, _DRAWN),
    state=lambda mix: repr(mix.blocks).encode() + _scores(mix, _DRAWN).tobytes(),
    low=0.0,
    high=1.0,
    restore=_restore_mix,
    commutes=True,
    pattern=Pattern(
        teach=lambda mix: mix.apply_row(1000, _KEY, block(400, True)),
        predict=lambda mix: float(mix.score_many(_DRAWN[:1])[OBJECTIVES[0]][0]),
        lessons=1,
    ),
    hostile=lambda mix: (_scores(mix, x) for x in hostile_features()),
    empty=lambda mix: mix.score_many(np.zeros((0, len(FEATURES)))).values(),
)
