"""A rise of the loss is found, a fall and what stays as it is are not; and a ranker's steps are larger after it."""

import numpy as np
import pytest

from online_models.drift import Alarm, DriftWatch
from online_models.features import FEATURES
from online_models.ranker import OBJECTIVES, STEPS_BY, Ranker
from online_models.track import Doubles


def coins(rate: float, size: int, seed: int) -> Doubles:
    return np.float64(np.random.default_rng(seed).random((size, 1)) < rate)


def alarms_of(watch: DriftWatch, chance: float, labels: Doubles, step: int = 16) -> list[tuple[int, Alarm]]:
    """What a watch says of labels that are predicted by one chance, with the example at which it says so."""
    found = []
    for start in range(0, len(labels), step):
        part = labels[start : start + step]
        found += [
            (start + len(part), each)
            for each in watch.learn_many(np.full(part.shape, chance), part, np.ones(part.shape))
        ]
    return found


@pytest.mark.parametrize("step", [1, 16, 700])
def test_a_rise_is_found_soon_with_what_it_rose_from_and_to(step: int) -> None:
    usual, turned = coins(0.2, 3000, 1), coins(0.5, 2100, 2)
    watch = DriftWatch([0])

    assert alarms_of(watch, 0.2, usual, step) == []
    (at, alarm), *_ = alarms_of(watch, 0.2, turned, step)
    assert at <= 700
    assert alarm.before == pytest.approx(0.5, abs=0.03)
    assert alarm.recently == pytest.approx(0.8, abs=0.15)


def test_what_stays_as_it_is_is_no_alarm() -> None:
    assert [found for seed in range(10) if (found := alarms_of(DriftWatch([0]), 0.35, coins(0.35, 10_000, seed)))] == []


def test_learning_is_no_alarm() -> None:
    watch = DriftWatch([0])

    assert [alarms_of(watch, chance, coins(0.9, 3000, seed)) for seed, chance in enumerate((0.2, 0.5, 0.9))] == [
        [],
        [],
        [],
    ]


def test_a_fall_is_no_alarm_where_a_watch_has_just_begun() -> None:
    watch = DriftWatch([0])
    falling, rising = np.repeat([[0.1], [0.9]], 2048, axis=0), np.repeat([[0.9], [0.1]], 2048, axis=0)
    found = [
        watch.learn_many(chances, np.ones(chances.shape), np.ones(chances.shape))
        for chances in (falling, rising, falling, np.concatenate([rising, falling]))
    ]

    assert [len(each) for each in found] == [0, 1, 0, 1]
    assert all(alarm.before < alarm.recently for each in found for alarm in each)


def test_objectives_of_a_group_begin_anew_together_and_others_go_on() -> None:
    watch, size = DriftWatch([0, 0, 1]), 1024
    labels, weights = np.ones((size, 3)), np.ones((size, 3))
    watch.learn_many(np.full((size, 3), 0.9), labels, weights)
    found = watch.learn_many(np.full((size, 3), (0.9, 0.1, 0.9)), labels, weights)

    assert [alarm.place for alarm in found] == [1]
    assert (
        watch.learn_many(np.full((size, 3), (0.4, 0.1, 0.9)), labels, weights) == []
    )  # all that the first knows is this
    assert [alarm.place for alarm in watch.learn_many(np.full((size, 3), 0.1), labels, weights)] == [0, 2]


def test_examples_of_weight_zero_are_none() -> None:
    watch, ones = DriftWatch([0]), np.ones((4096, 1))
    watch.learn_many(0.9 * ones, ones, ones)

    assert watch.learn_many(0.1 * ones, ones, np.zeros(ones.shape)) == []


def turned(ranker: Ranker) -> tuple[Doubles, set[str]]:
    """Weights after labels that one feature told have turned, and the objectives of the alarms."""
    rng, alarms = np.random.default_rng(1), set[str]()
    weights = np.tile([float(name in ("complete", "skip")) for name in OBJECTIVES], (16, 1))
    for number in range(300):
        x = np.zeros((16, len(FEATURES)))
        x[:, 0] = rng.choice([-1.0, 1.0], 16)
        labels = np.repeat((x[:, :1] > 0.0) == (number < 200), len(OBJECTIVES), axis=1)
        ranker.learn_many(x, labels.astype(np.float64), weights)
        alarms |= {OBJECTIVES[alarm.place] for alarm in ranker.alarms}
    return ranker.model.w[:, 0], alarms


def test_after_an_alarm_a_ranker_learns_anew_sooner() -> None:
    (care, alarms), (none, same) = turned(Ranker()), turned(Ranker(loosened=1.0))

    assert alarms == same == {"complete", "skip"}
    assert (care[:2] < none[:2] - 0.1).all()


def test_loosening_leaves_no_direction_wider_than_nothing_known() -> None:
    ranker = Ranker()
    turned(ranker)
    optimizer = ranker.model.optimizer
    before = optimizer.inverse.copy()
    optimizer.loosen(STEPS_BY[0], 1e9)

    np.testing.assert_allclose(np.diagonal(optimizer.inverse[0]), 1.0 / optimizer.eps)
    assert np.linalg.eigvalsh(optimizer.inverse[0]).min() > 0.0
    assert optimizer.inverse[1].tolist() == before[1].tolist()
