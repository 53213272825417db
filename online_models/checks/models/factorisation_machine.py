"""Factorisation machines, two of them, with identities in few slots."""

from collections.abc import Iterator

import numpy as np

from online_models.checks.checkable import Checkable, Pattern
from online_models.checks.models.ranker import hostile_features
from online_models.factorisation_machine import FactorisationMachines
from online_models.features import FEATURES
from online_models.track import Doubles

_DRAWN = np.random.default_rng(6).normal(size=(32, len(FEATURES)))
_SLOTS = 64
_IDENTITIES = np.random.default_rng(7).integers(0, _SLOTS, (32, 3))


def _make(seed: int) -> FactorisationMachines:
    return FactorisationMachines(len(FEATURES), priors=[0.6, 0.35], slots=_SLOTS, seed=seed)


def _teach(machines: FactorisationMachines, n: int, label: bool | None = None) -> None:
    at = [n % len(_DRAWN)]
    labels = np.full((1, 2), _DRAWN[n % len(_DRAWN), 0] > 0.0 if label is None else label, np.float64)
    machines.learn_many(_DRAWN[at], labels, np.full((1, 2), 1.0 + n % 3), _IDENTITIES[at])


def _state(machines: FactorisationMachines) -> bytes:
    held = machines.intercepts, machines.dense, machines.slotted, machines.dense_squares, machines.slotted_squares
    return b"".join(each.tobytes() for each in held)


def _hostile(machines: FactorisationMachines) -> Iterator[Doubles]:
    for x in hostile_features():
        labels, identities = np.ones((len(x), 2)), np.zeros((len(x), 3), np.intp)
        learnt = machines.learn_many(x, labels, np.ones(labels.shape), identities)
        yield np.concatenate([learnt, machines.predict_many(x, identities)])


FACTORISATION_MACHINES: Checkable[FactorisationMachines] = Checkable(
    name="factorisation-machines",
    make=_make,
    teach=_teach,
    ask=lambda machines: machines.predict_many(_DRAWN[:8], _IDENTITIES[:8]),
    state=_state,
    low=0.0,
    high=1.0,
    pattern=Pattern(
        teach=lambda machines: _teach(machines, 0, True),
        predict=lambda machines: float(machines.predict_many(_DRAWN[:1], _IDENTITIES[:1])[0, 0]),
    ),
    hostile=_hostile,
    empty=lambda machines: [machines.predict_many(np.zeros((0, len(FEATURES))))],
)
