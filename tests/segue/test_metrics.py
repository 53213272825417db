"""Measures against what one counts by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from segue.evaluation.metrics import auc, calibration_error, hit_rate, log_loss, ndcg


def pairs_in_order(predicted: NDArray[np.float64], label: NDArray[np.bool_]) -> float:
    """AUC by looking at every pair of a positive and a negative."""
    won = [
        1.0 if high > low else 0.5 if high == low else 0.0
        for high in predicted[label].tolist()
        for low in predicted[~label].tolist()
    ]
    return sum(won) / len(won)


@pytest.mark.parametrize("levels", [2, 5, 1000], ids="levels-{}".format)
@pytest.mark.parametrize("seed", range(8), ids="seed-{}".format)
def test_auc_is_the_share_of_pairs_in_the_right_order_and_ties_count_half(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    predicted = rng.integers(0, levels, 60) / levels
    label = rng.random(60) < 0.2 + 0.5 * predicted
    label[:2] = True, False

    assert pairs_in_order(predicted, label) == pytest.approx(auc(predicted, label), abs=1e-12)


@pytest.mark.parametrize("label", [[True, True], [False, False], []], ids=str)
def test_auc_of_one_outcome_alone_is_nothing(label: list[bool]) -> None:
    assert math.isnan(auc(np.full(len(label), 0.5), np.array(label, np.bool_)))


def test_auc_does_not_change_under_what_keeps_the_order() -> None:
    rng = np.random.default_rng(1)
    predicted, label = rng.random(200), rng.random(200) < 0.4

    assert auc(predicted, label) == auc(predicted**3 / 7.0, label)
    assert auc(predicted, label) == pytest.approx(1.0 - auc(-predicted, label))


def test_log_loss_of_a_coin_is_the_log_of_two() -> None:
    assert log_loss(np.full(10, 0.5), np.arange(10) % 2 == 0) == pytest.approx(math.log(2.0))


def test_log_loss_of_a_certain_mistake_is_great_and_finite() -> None:
    assert log_loss(np.array([1.0]), np.array([False])) == pytest.approx(-math.log(1e-9))


def test_calibration_is_the_distance_between_what_was_said_and_what_was_seen() -> None:
    predicted = np.array([0.1] * 10 + [0.9] * 10)
    label = np.array([True] * 3 + [False] * 7 + [True] * 5 + [False] * 5)

    assert calibration_error(predicted, label) == pytest.approx(0.5 * 0.2 + 0.5 * 0.4)


def test_who_says_what_is_seen_is_calibrated() -> None:
    predicted = np.repeat([0.25, 0.75], 100)
    label = np.concatenate([np.arange(100) < 25, np.arange(100) < 75])

    assert calibration_error(predicted, label) == pytest.approx(0.0)


def test_a_certain_prediction_falls_into_the_last_bin() -> None:
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0.0


@pytest.mark.parametrize(
    ("ranks", "k", "expected"),
    [([0, 1, 9, 10, -1], 10, 0.6), ([0], 1, 1.0), ([1], 1, 0.0), ([-1, -1], 5, 0.0)],
    ids=str,
)
def test_hit_rate_is_the_share_of_targets_among_the_first_k(ranks: list[int], k: int, expected: float) -> None:
    assert hit_rate(np.array(ranks), k) == expected


@pytest.mark.parametrize(
    ("ranks", "k", "expected"),
    [
        ([0], 10, 1.0),
        ([1], 10, 1.0 / math.log2(3)),
        ([9], 10, 1.0 / math.log2(11)),
        ([10], 10, 0.0),
        ([-1], 10, 0.0),
        ([0, 2, -1, 50], 10, (1.0 + 0.5) / 4.0),
    ],
    ids=str,
)
def test_ndcg_of_one_target_falls_with_the_log_of_its_place(ranks: list[int], k: int, expected: float) -> None:
    assert ndcg(np.array(ranks), k) == pytest.approx(expected)


def test_measures_of_nothing_are_nothing() -> None:
    nothing, none = np.zeros(0), np.zeros(0, np.bool_)

    measured = [log_loss(nothing, none), calibration_error(nothing, none)]
    measured += [hit_rate(np.zeros(0, np.int64), 10), ndcg(np.zeros(0, np.int64), 10)]

    assert all(math.isnan(each) for each in measured)
