"""Factorisation machines against Rendle's equation pair by pair, against its slopes by finite differences, and against River's."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from river import facto

from online_models.dense_logistic import sigmoid
from online_models.factorisation_machine import FactorisationMachines
from online_models.track import Doubles

SIZE, SLOTS, FIELDS = 4, 6, 2


def made(priors: tuple[float, ...] = (0.4,), *, batch: int = 16) -> FactorisationMachines:
    return FactorisationMachines(SIZE, priors=priors, slots=SLOTS, factors=3, deviation=0.4, batch=batch, seed=1)


def examples(n: int, seed: int = 2) -> tuple[Doubles, Doubles, NDArray[np.intp]]:
    """Features, labels and identities; the two of one example never lie in one slot."""
    rng = np.random.default_rng(seed)
    identities = np.stack([rng.integers(0, 3, n), rng.integers(3, SLOTS, n)], 1)
    return rng.normal(size=(n, SIZE)), (rng.random((n, 1)) < 0.5).astype(np.float64), identities


def whole(x: Doubles, identities: NDArray[np.intp]) -> Doubles:
    """Each example with its identities as ones among zeros, float64[n, SIZE + SLOTS]."""
    return np.concatenate([x, np.eye(SLOTS)[identities].sum(1)], 1)


def odds(intercept: float, parameters: Doubles, x: Doubles) -> float:
    """The equation as it is written; parameters : float64[SIZE + SLOTS, 1 + factors]."""
    pairs = combinations(range(len(x)), 2)
    together = sum(parameters[i, 1:] @ parameters[j, 1:] * x[i] * x[j] for i, j in pairs)
    return float(intercept + parameters[:, 0] @ x + together)


def slope(intercept: float, parameters: Doubles, x: Doubles, label: float) -> Doubles:
    """Of the log loss of an example in each parameter, by central differences."""

    def loss(parameters: Doubles) -> float:
        chance = sigmoid(np.array([odds(intercept, parameters, x)]))[0]
        return float(-np.log(chance if label else 1.0 - chance))

    slopes, width = np.zeros_like(parameters), 1e-5
    for place in np.ndindex(*parameters.shape):
        step = np.zeros_like(parameters)
        step[place] = width
        slopes[place] = (loss(parameters + step) - loss(parameters - step)) / (2.0 * width)
    return slopes


def parameters_of(machines: FactorisationMachines) -> Doubles:
    return np.concatenate([machines.dense[0], machines.slotted[0]])


def test_chances_are_those_of_the_equation() -> None:
    machines, (x, y, identities) = made(), examples(40)
    machines.learn_many(x, y, np.ones(y.shape), identities)
    expected = [odds(float(machines.intercepts[0]), parameters_of(machines), row) for row in whole(x, identities)]

    np.testing.assert_allclose(machines.predict_many(x, identities)[:, 0], sigmoid(np.array(expected)), rtol=1e-10)


def test_examples_one_by_one_are_adagrad_along_the_slopes() -> None:
    machines, (x, y, identities) = made(batch=1), examples(12)
    expected, intercept = parameters_of(machines), float(machines.intercepts[0])
    squares = np.ones_like(expected)
    for row, label in zip(whole(x, identities), y[:, 0].tolist(), strict=True):
        slopes = slope(intercept, expected, row, label)
        intercept -= 0.01 * float(sigmoid(np.array([odds(intercept, expected, row)]))[0] - label)
        squares += slopes * slopes
        expected = expected - 0.03 * slopes / np.sqrt(squares)
    machines.learn_many(x, y, np.ones(y.shape), identities)

    np.testing.assert_allclose(parameters_of(machines), expected, atol=1e-8)
    assert machines.intercepts[0] == pytest.approx(intercept, abs=1e-8)


def test_a_micro_batch_is_one_step_along_the_sum_of_its_slopes() -> None:
    machines, (x, y, identities) = made(), examples(16)
    before, intercept = parameters_of(machines), float(machines.intercepts[0])
    each = np.array(
        [
            slope(intercept, before, row, label)
            for row, label in zip(whole(x, identities), y[:, 0].tolist(), strict=True)
        ]
    )
    # a dense feature's square is that of the sum, a slot's the sum of the squares
    squares = np.concatenate([np.square(each[:, :SIZE].sum(0)), np.square(each[:, SIZE:]).sum(0)])
    machines.learn_many(x, y, np.ones(y.shape), identities)

    np.testing.assert_allclose(parameters_of(machines), before - 0.03 * each.sum(0) / np.sqrt(1.0 + squares), atol=1e-8)


def test_chances_are_rivers_with_the_same_factors() -> None:
    machines, (x, y, identities) = made(), examples(30)
    machines.learn_many(x, y, np.ones(y.shape), identities)
    river = facto.FMClassifier(n_factors=3)
    river.intercept = float(machines.intercepts[0])
    for place, row in enumerate(parameters_of(machines)):
        river.weights[place], river.latents[place] = float(row[0]), row[1:]
    asked = [{place: value for place, value in enumerate(row) if value} for row in whole(x, identities).tolist()]

    np.testing.assert_allclose(
        machines.predict_many(x, identities)[:, 0], [river.predict_proba_one(each)[True] for each in asked], rtol=1e-9
    )


def test_machines_side_by_side_learn_as_each_alone() -> None:
    both, (x, y, identities) = made((0.4, 0.4)), examples(50)
    alone = [made(), made()]
    for place in range(2):
        alone[place].dense[0], alone[place].slotted[0] = both.dense[place], both.slotted[place]
    labels, weights = (
        np.concatenate([y, 1.0 - y], 1),
        np.random.default_rng(3).integers(0, 3, (50, 2)).astype(np.float64),
    )
    together = both.learn_many(x, labels, weights, identities)
    apart = [
        machines.learn_many(x, labels[:, [place]], weights[:, [place]], identities)
        for place, machines in enumerate(alone)
    ]

    assert together.tolist() == np.concatenate(apart, 1).tolist()
    assert [parameters_of(machines).tolist() for machines in alone] == [
        np.concatenate([both.dense[place], both.slotted[place]]).tolist() for place in range(2)
    ]


def test_an_example_without_weight_teaches_nothing() -> None:
    machines, before, (x, y, identities) = made(), made(), examples(20)
    machines.learn_many(x, y, np.zeros(y.shape), identities)

    assert parameters_of(machines).tolist() == parameters_of(before).tolist()
    assert machines.intercepts.tolist() == before.intercepts.tolist()


def test_a_label_may_be_a_share_whose_mean_is_predicted() -> None:
    machines, (x, _, _) = made(), examples(4000)
    shares = np.random.default_rng(3).uniform(0.5, 0.9, (len(x), 1))
    predicted = machines.learn_many(x, shares, np.ones(shares.shape))

    assert predicted[-1000:].mean() == pytest.approx(0.7, abs=0.03)


def test_what_depends_on_an_identity_is_learnt_by_identities_alone() -> None:
    told, blind, (x, _, identities) = made(), made(), examples(3000)
    y = ((identities[:, 0] == 1) == (identities[:, 1] == 4))[:, None].astype(np.float64)  # of no identity by itself
    weights = np.ones(y.shape)
    with_identities, without = told.learn_many(x, y, weights, identities), blind.learn_many(x, y, weights)
    right = [float(((each[-500:] > 0.5) == (y[-500:] > 0.5)).mean()) for each in (with_identities, without)]

    assert right[0] > 0.95 > 0.75 > right[1]
