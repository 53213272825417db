"""Off-policy evaluation: right on made-up logs whose truth is known, on real ones within the interval, and doubtful where it should be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segue.errors import InputError
from segue.evaluation.ope import (
    NORMAL,
    Doubles,
    Estimate,
    Interval,
    Logged,
    cross_fitted,
    doubly_robust,
    fit_rates,
    ips,
    snips,
)
from segue.evaluation.open_bandit import OpenBandit, load_open_bandit, shown_shares

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[3] / "shared" / "data" / "obd_small"
ACTIONS, GROUPS = 5, 3
MEANS = np.random.default_rng(3).uniform(0.1, 0.9, (GROUPS, ACTIONS))
LOGGING = np.random.default_rng(4).dirichlet(np.full(ACTIONS, 2.0), GROUPS)
TARGET = MEANS**2 / (MEANS**2).sum(1, keepdims=True)  # of a policy that has learnt something
TRUTH = float((TARGET * MEANS).sum(1).mean())  # groups come equally often


def made_up(n: int, seed: int) -> tuple[Logged, np.ndarray]:
    """A log of the logging policy, and the group of each row."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(GROUPS, size=n)
    actions = (LOGGING[groups].cumsum(1) > rng.random((n, 1))).argmax(1)
    rewards = (rng.random(n) < MEANS[groups, actions]).astype(float)
    return Logged(actions, rewards, LOGGING[groups, actions]), groups


def estimates(log: Logged, groups: np.ndarray, interval: Interval = NORMAL) -> dict[str, Estimate]:
    target = TARGET[groups]
    chosen = target[np.arange(len(log)), log.actions]
    predicted = cross_fitted(log, fit_rates(log, ACTIONS, groups))
    return {
        "ips": ips(log, chosen, interval=interval),
        "snips": snips(log, chosen, interval=interval),
        "dr": doubly_robust(log, target, predicted, interval=interval),
    }


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_estimate_is_right_on_average_and_its_interval_as_often_as_it_says(name: str) -> None:
    seen = [estimates(*made_up(500, seed))[name] for seed in range(300)]
    values = np.array([each.value for each in seen])
    covered = np.mean([each.low <= TRUTH <= each.high for each in seen])

    assert abs(values.mean() - TRUTH) < 3.0 * values.std() / np.sqrt(len(values)) + 0.002
    assert 0.91 <= covered <= 0.99


def test_mean_of_the_log_is_not_what_is_asked() -> None:
    log, _ = made_up(20_000, 1)

    assert abs(float(log.rewards.mean()) - TRUTH) > 0.03  # else the test above would show nothing


def test_doubly_robust_is_narrower() -> None:
    seen = estimates(*made_up(2000, 1))

    assert seen["dr"].high - seen["dr"].low < 0.9 * (seen["ips"].high - seen["ips"].low)


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_bootstrap_and_normal_interval_are_near(name: str) -> None:
    log, groups = made_up(2000, 2)
    normal, bootstrap = estimates(log, groups)[name], estimates(log, groups, Interval(bootstrap=500))[name]

    assert normal.value == bootstrap.value
    assert (bootstrap.low, bootstrap.high) == pytest.approx((normal.low, normal.high), abs=0.01)


def test_doubly_robust_is_right_where_only_the_propensities_or_only_the_model_is() -> None:
    log, groups = made_up(40_000, 3)
    rows = np.arange(len(log))
    wrong_model = doubly_robust(log, TARGET[groups], np.full((len(log), ACTIONS), 0.9))
    wrong = Logged(log.actions, log.rewards, np.sqrt(log.propensities))
    wrong_propensities = doubly_robust(wrong, TARGET[groups], MEANS[groups])

    assert wrong_model.value == pytest.approx(TRUTH, abs=0.02)
    assert wrong_propensities.value == pytest.approx(TRUTH, abs=0.02)
    assert abs(ips(wrong, TARGET[groups][rows, log.actions]).value - TRUTH) > 0.02


def test_evaluating_the_logs_own_policy_is_its_mean() -> None:
    log, _ = made_up(1000, 4)
    for estimate in (ips(log, log.propensities), snips(log, log.propensities)):
        assert estimate.value == pytest.approx(log.rewards.mean())
        assert estimate.effective_samples == pytest.approx(1000.0)
        assert estimate.warnings == ()


def test_row_is_predicted_by_a_model_that_has_not_seen_it() -> None:
    log = Logged(np.zeros(20, np.int64), np.arange(20.0), np.ones(20))

    def fit(rows: np.ndarray) -> Callable[[np.ndarray], Doubles]:
        assert len(rows) == 16
        return lambda asked: np.array([[float(row in rows)] for row in asked.tolist()])

    assert cross_fitted(log, fit)[:, 0].tolist() == [0.0] * 20


def test_rates_are_drawn_to_those_of_the_action() -> None:
    log = Logged(np.array([0] * 90 + [1] * 10), np.array([1.0] * 90 + [0.0] * 10), np.full(100, 0.5))
    table = fit_rates(log, 2, np.array([0] * 99 + [1]), strength=10.0)(np.arange(100))(np.array([0, 99]))

    assert table[:, 0] == pytest.approx([0.999, 0.99])
    assert table[0, 1] < table[1, 1] == pytest.approx(0.45 * 10 / 11, abs=1e-9)


def test_clipped_weights_are_told_and_narrow_the_interval() -> None:
    log, groups = made_up(2000, 5)
    target = TARGET[groups][np.arange(2000), log.actions]
    free, cut = ips(log, target), ips(log, target, clip=1.5)

    assert free.clipped == 0.0 < cut.clipped
    assert any("were cut to 1.5" in warning for warning in cut.warnings)
    assert cut.high - cut.low < free.high - free.low
    assert cut.value < free.value
    assert cut.effective_samples > free.effective_samples


def test_policies_that_are_far_apart_are_told() -> None:
    log = Logged(np.array([1] * 995 + [0] * 5), np.ones(1000), np.array([0.995] * 995 + [0.005] * 5))
    estimate = snips(log, np.array([0.0] * 995 + [1.0] * 5))

    assert estimate.effective_samples == pytest.approx(5.0)
    assert any(warning.startswith("5 effective samples of 1000 rows") for warning in estimate.warnings)


def test_propensities_that_are_not_those_of_the_log_are_told() -> None:
    log, groups = made_up(5000, 6)
    wrong = Logged(log.actions, log.rewards, log.propensities**2)
    estimate = ips(wrong, TARGET[groups][np.arange(5000), log.actions])

    assert any("expected 1: propensities are not those of the log" in warning for warning in estimate.warnings)


def test_no_row_that_the_policy_would_choose_is_nan_and_not_an_error() -> None:
    log = Logged(np.zeros(10, np.int64), np.ones(10), np.full(10, 0.5))

    assert np.isnan(snips(log, np.zeros(10)).value)
    assert ips(log, np.zeros(10)).value == 0.0


@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.1, float("nan")])
def test_what_is_no_propensity_is_refused(propensity: float) -> None:
    with pytest.raises(ValueError, match=r"row 1 has propensity .*: expected above 0, at most 1"):
        Logged(np.array([0, 0]), np.ones(2), np.array([0.5, propensity]))


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="expected the same number"):
        Logged(np.array([0, 0]), np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="one a row of the log"):
        ips(Logged(np.array([0, 0]), np.ones(2), np.ones(2)), np.ones(3))


def test_log_of_the_open_bandit_dataset_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "bts" / "men"
    folder.mkdir(parents=True)
    file = folder / "men.csv"
    file.write_text(
        ",timestamp,item_id,position,click,propensity_score\n0,2019,2,3,0,0.5\n1,2019,1,1,1,0.25\n2,2019,2,3,0,0.5\n"
    )
    seen = load_open_bandit(tmp_path, "bts", "men")

    assert seen.items == 3
    assert seen.positions.tolist() == [2, 0, 2]
    assert seen.log.rewards.tolist() == [0.0, 1.0, 0.0]
    assert seen.log.propensities.tolist() == [0.5, 0.25, 0.5]
    assert shown_shares(seen).tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]

    file.write_text(file.read_text().replace("0.25", "often"))
    with pytest.raises(InputError, match=r"men\.csv, line 3: propensity_score='often'"):
        load_open_bandit(tmp_path, "bts", "men")

    file.write_text(file.read_text().replace("often", "0"))
    with pytest.raises(InputError, match=r"men\.csv: row 1 has propensity 0"):
        load_open_bandit(tmp_path, "bts", "men")

    with pytest.raises(InputError, match="is not there"):
        load_open_bandit(tmp_path, "bts", "women")


def probabilities(seen: OpenBandit, policy: str) -> Doubles:
    """Of each item at each position, float64[positions, items]."""
    return shown_shares(seen) if policy == "bts" else np.full((3, seen.items), 1.0 / seen.items)


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="the real logs are not beside the project")
@pytest.mark.parametrize("campaign", ["all", "men"])
@pytest.mark.parametrize(("logged", "asked"), [("random", "bts"), ("bts", "random")])
def test_real_policy_is_estimated_from_the_others_log_within_the_interval(
    logged: str, asked: str, campaign: str
) -> None:
    seen, other = (load_open_bandit(DATA, policy, campaign) for policy in (logged, asked))
    assert len(seen.log) == len(other.log) == 10_000
    truth = float(other.log.rewards.mean())
    target = probabilities(other, asked)[seen.positions]
    chosen = target[np.arange(len(seen.log)), seen.log.actions]
    predicted = cross_fitted(seen.log, fit_rates(seen.log, seen.items, seen.positions))
    for estimate in (ips(seen.log, chosen), snips(seen.log, chosen), doubly_robust(seen.log, target, predicted)):
        assert estimate.low <= truth <= estimate.high
        assert estimate.high - estimate.low < 0.01, "an interval that holds everything says nothing"
        assert 300.0 < estimate.effective_samples < 3000.0
        assert ("effective samples" in " ".join(estimate.warnings)) == ((logged, campaign) == ("bts", "all"))
