"""Bandits: posteriors are those of the direct formulas, propensities those of Monte Carlo, and the better arm is found."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from online_models.bandits.bernoulli_thompson import BernoulliThompson
from online_models.bandits.contextual_thompson import ContextualThompson
from online_models.bandits.diagonal_logistic import DiagonalLogistic, settled
from online_models.bandits.disjoint_regression import DisjointRegression
from online_models.bandits.linucb import LinUCB
from online_models.bandits.policy import drawn, drawn_many, greatest, greatest_many
from online_models.bandits.reward_model import Noise, RewardModel, root_of
from online_models.bandits.shared_regression import SharedRegression
from online_models.bandits.thompson import Thompson
from online_models.bandits.ucb import UCB1
from online_models.checks.made_up import catalogue, rows_of
from online_models.track import COLUMN, Doubles, Rows

ARMS, DIMS, SIZE = 6, 3, 4
ALL = np.arange(ARMS, dtype=np.int32)
Examples = tuple[Doubles, Rows, Doubles]


def examples(n: int, seed: int = 1) -> Examples:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, DIMS)), rng.integers(ARMS, size=n).astype(np.int32), rng.normal(size=n)


def features(seed: int = 2) -> Doubles:
    return np.random.default_rng(seed).normal(size=(ARMS, SIZE))


def learnt(model: RewardModel, told: Examples) -> RewardModel:
    for context, arm, reward in zip(*told, strict=True):
        model.learn_one(context, int(arm), float(reward))
    return model


def regressed(joint: Doubles, rewards: Doubles, ridge: float) -> tuple[Doubles, Doubles]:
    """Theta and the inverse of the precision, by the formula."""
    inverse = np.linalg.inv(np.eye(joint.shape[1]) * ridge + joint.T @ joint)
    return inverse @ joint.T @ rewards, inverse


@given(n=st.integers(0, 60), seed=st.integers(0, 1000), ridge=st.sampled_from([0.1, 1.0, 10.0]))
@settings(max_examples=40, deadline=None)
def test_shared_posterior_is_that_of_the_direct_inverse(n: int, seed: int, ridge: float) -> None:
    told, arms = examples(n, seed), features(seed)
    model = SharedRegression(arms, DIMS, ridge=ridge, noise=0.3, noise_strength=float("inf"), refresh_every=17)
    learnt(model, told)
    joint = np.array([np.kron(x, arms[arm]) for x, arm in zip(*told[:2], strict=True)]).reshape(n, DIMS * SIZE)
    theta, inverse = regressed(joint, told[2], ridge)
    context = np.array([0.5, -1.0, 2.0])
    asked = np.array([np.kron(context, arm) for arm in arms])
    for mean, deviation in (
        model.posterior(context, ALL),
        [each[0] for each in model.posterior_many(context[None], ALL)],
    ):
        assert mean == pytest.approx(asked @ theta, abs=1e-9)
        assert deviation == pytest.approx(0.3 * np.sqrt(np.diag(asked @ inverse @ asked.T)), abs=1e-9)


@given(n=st.integers(0, 60), seed=st.integers(0, 1000), pooled=st.booleans())
@settings(max_examples=40, deadline=None)
def test_disjoint_posterior_is_that_of_the_direct_inverse(n: int, seed: int, pooled: bool) -> None:
    told, ridge = examples(n, seed), 2.0
    model = DisjointRegression(
        ARMS, DIMS, ridge=ridge, pooled=pooled, noise=0.3, noise_strength=float("inf"), refresh_every=5
    )
    learnt(model, told)
    context, prior = np.array([0.5, -1.0, 2.0]), regressed(told[0], told[2], ridge)[0] * pooled
    for offered in (ALL, ALL[[4, 1]]):
        mean, deviation = model.posterior(context, offered)
        means, deviations = model.posterior_many(context[None], offered)
        for place, arm in enumerate(offered):
            mine = told[1] == arm
            theta, inverse = regressed(told[0][mine], told[2][mine], ridge)
            theta = theta + ridge * inverse @ prior

            assert mean[place] == pytest.approx(context @ theta, abs=1e-9)
            assert deviation[place] == pytest.approx(0.3 * np.sqrt(context @ inverse @ context), abs=1e-9)
        assert means[0] == pytest.approx(mean, abs=1e-12)
        assert deviations[0] == pytest.approx(deviation, abs=1e-12)


@pytest.mark.parametrize("name", ["shared", "disjoint"])
def test_noise_is_learnt(name: str) -> None:
    told = examples(3000)
    told[2][:] = 0.2 * told[2] + told[0] @ np.array([0.3, -0.2, 0.1])
    arms = np.ones((ARMS, 1))
    model = SharedRegression(arms, DIMS) if name == "shared" else DisjointRegression(ARMS, DIMS)
    learnt(model, told)

    assert np.sqrt(model.noise.variance) == pytest.approx(0.2, rel=0.05)


def test_noise_that_is_believed_for_ever_stays() -> None:
    noise = Noise(0.3, float("inf"))
    noise.learn_many(np.full(1000, 1e3), 0.0)

    assert noise.variance == pytest.approx(0.09)


@pytest.mark.parametrize("seed", range(3))
def test_many_updates_stay_as_exact_as_the_sums(seed: int) -> None:
    rng, model = np.random.default_rng(seed), SharedRegression(np.ones((1, 1)), DIMS, refresh_every=1024)
    count = 5_000  # over four inversions; the slow test below goes all the way
    contexts = rng.normal(size=(count, DIMS)) * np.array([1.0, 1e-3, 30.0])
    for context in contexts:
        model.learn_one(context, 0, 1.0)

    assert np.abs(model.inverse @ model.precision - np.eye(DIMS)).max() < 1e-6


@pytest.mark.slow
def test_a_hundred_thousand_updates_stay_as_exact_as_the_sums() -> None:
    rng, model = np.random.default_rng(1), SharedRegression(np.ones((1, 1)), DIMS)
    truth, count = np.array([0.5, -0.3, 0.02]), 100_000
    contexts = rng.normal(size=(count, DIMS)) * np.array([1.0, 1e-2, 30.0])
    rewards = contexts @ truth + rng.normal(size=count)
    for context, reward in zip(contexts, rewards.tolist(), strict=True):
        model.learn_one(context, 0, reward)
    theta, inverse = regressed(contexts, rewards, 1.0)

    assert model.theta == pytest.approx(theta, rel=1e-6)
    assert model.inverse == pytest.approx(inverse, rel=1e-6, abs=1e-12)
    assert (np.linalg.eigvalsh(model.inverse) > 0.0).all()


def test_the_inversion_from_the_sums_ends_what_rounding_added_up_to() -> None:
    model = SharedRegression(np.ones((1, 1)), DIMS, refresh_every=10)
    for context in examples(9)[0]:
        model.learn_one(context, 0, 1.0)
    model.inverse *= 1.5  # as if rounding had
    model.learn_one(np.ones(DIMS), 0, 1.0)

    assert model.inverse @ model.precision == pytest.approx(np.eye(DIMS), abs=1e-12)


@given(n=st.integers(1, 25), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_logistic_step_is_the_minimum_of_its_loss(n: int, seed: int) -> None:
    contexts, arms, normal = examples(n, seed)
    model = DiagonalLogistic(features(seed) * 2.0, DIMS, ridge=0.5)
    rewards = (normal > 0.0).astype(float)
    learnt(model, (contexts[:-1], arms[:-1], rewards[:-1]))
    before, precision = model.weights.ravel().copy(), model.precision.ravel().copy()
    joint = np.kron(contexts[-1], model.features[arms[-1]])
    model.learn_one(contexts[-1], int(arms[-1]), rewards[-1])

    chance = 1.0 / (1.0 + np.exp(-model.weights.ravel() @ joint))
    slope = precision * (model.weights.ravel() - before) - (rewards[-1] - chance) * joint  # 0 at the one minimum

    assert slope == pytest.approx(np.zeros(len(joint)), abs=1e-9)
    assert model.precision.ravel() == pytest.approx(precision + chance * (1.0 - chance) * joint**2)


@given(before=st.floats(-200.0, 200.0), spread=st.floats(0.0, 1e6), reward=st.sampled_from([0.0, 0.3, 1.0]))
@example(before=50.0, spread=1000.0, reward=0.0)  # Newton alone leaps to and fro for ever
@example(before=-3.266, spread=20.24, reward=1.0)  # and so it does within a bracket
@settings(deadline=None)
def test_logistic_score_settles_from_everywhere(before: float, spread: float, reward: float) -> None:
    score = settled(before, spread, reward)
    chance = 1.0 / (1.0 + np.exp(-np.clip(score, -700.0, 700.0)))
    slope = 1.0 + spread * chance * (1.0 - chance)

    assert abs(score - before - spread * (reward - chance)) / slope < 1e-6 * (1.0 + abs(score))


@pytest.mark.parametrize("reward", [-0.1, 1.1])
def test_logistic_model_refuses_what_is_no_share_of_a_success(reward: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 1"):
        DiagonalLogistic(features(), DIMS).learn_one(np.ones(DIMS), 0, reward)


MODELS = {
    "shared": lambda: SharedRegression(features(), DIMS),
    "disjoint": lambda: DisjointRegression(ARMS, DIMS),
    "logistic": lambda: DiagonalLogistic(features(), DIMS),
}


@pytest.mark.parametrize("name", MODELS)
def test_features_that_are_too_long_or_nan_are_refused_and_change_nothing(name: str) -> None:
    model = MODELS[name]()
    before = {key: array.copy() for key, array in model.state().items()}
    for context in (np.full(DIMS, 1e9), np.full(DIMS, np.nan)):
        with pytest.raises(ValueError, match="scale them"):
            model.learn_one(context, 0, 1.0)
        with pytest.raises(ValueError, match="scale them"):
            model.learn_many(context[None], ALL[:1], np.ones(1))

    assert all(np.array_equal(before[key], array) for key, array in model.state().items())


@pytest.mark.parametrize("name", MODELS)
def test_a_context_of_nan_is_refused_by_every_choice(name: str) -> None:
    for policy in (LinUCB(MODELS[name]()), ContextualThompson(MODELS[name]())):
        with pytest.raises((ValueError, AssertionError)):
            policy.choose(np.full(DIMS, np.nan), ALL, np.random.default_rng(1))


@pytest.mark.parametrize("name", MODELS)
def test_draws_have_the_moments_of_the_posterior(name: str) -> None:
    model, rng, context = MODELS[name](), np.random.default_rng(1), np.array([1.0, -0.5, 0.3])
    told = examples(40)
    learnt(model, (told[0], told[1], (told[2] > 0.0).astype(float)))
    mean, deviation = model.posterior(context, ALL)
    for scores in (
        model.draw(context, ALL, 20_000, rng),
        model.draw_many(np.stack([-context, context]), ALL, 20_000, rng)[1],
    ):
        assert scores.mean(0) == pytest.approx(mean, abs=0.03)
        assert scores.std(0) == pytest.approx(deviation, rel=0.03)


def test_draws_of_like_arms_move_together_only_where_they_are_shared() -> None:
    same = np.ones((2, 2))
    rng = np.random.default_rng(1)
    shared = SharedRegression(same, 1).draw(np.ones(1), ALL[:2], 100, rng)
    apart = DisjointRegression(2, 1).draw(np.ones(1), ALL[:2], 100, rng)

    assert shared[:, 0] == pytest.approx(shared[:, 1])
    assert abs(np.corrcoef(apart.T)[0, 1]) < 0.3


def test_root_of_a_flat_covariance_is_one() -> None:
    flat = np.ones((3, 3))
    root = root_of(flat)

    assert root.T @ root == pytest.approx(flat, abs=1e-6)
    assert root_of(np.zeros((3, 3))) == pytest.approx(np.zeros((3, 3)), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", MODELS)
def test_thompson_propensity_is_that_of_monte_carlo(name: str, seed: int) -> None:
    model, rng, context = MODELS[name](), np.random.default_rng(seed), np.array([1.0, -0.5, 0.3])
    told = examples(60, seed)
    learnt(model, (told[0], told[1], (told[2] > 0.0).astype(float)))
    truth = np.bincount(model.draw(context, ALL, 40_000, rng).argmax(1), minlength=ARMS) / 40_000
    policy = ContextualThompson(model, draws=32, epsilon=0.1)
    choices = [policy.choose(context, ALL, rng) for _ in range(3000)]
    for arm in ALL:
        said = [propensity for chosen, propensity in choices if chosen == arm]
        expected = 0.9 * truth[arm] + 0.1 / ARMS

        assert len(said) / 3000 == pytest.approx(expected, abs=0.035)
        if model.independent:
            assert said == pytest.approx([expected] * len(said), abs=0.01)
        elif len(said) > 100:  # given the draws it is exact, so that weights average 1
            assert sum(1.0 / each for each in said) / 3000 == pytest.approx(1.0, abs=0.2)


def test_greatest_says_how_often_it_chooses_each() -> None:
    scores, rng = np.array([0.3, 0.9, 0.9, -1.0]), np.random.default_rng(1)
    expected = np.array([0.05, 0.45, 0.45, 0.05])
    one = [greatest(scores, 0.2, rng) for _ in range(6000)]
    many = list(zip(*greatest_many(np.tile(scores, (6000, 1)), 0.2, rng), strict=True))
    for choices in (one, many):
        often = np.bincount([place for place, _ in choices], minlength=4) / 6000

        assert often == pytest.approx(expected, abs=0.025)
        assert all(propensity == pytest.approx(expected[place]) for place, propensity in choices)


@given(n=st.integers(1, 8), draws=st.integers(1, 40), epsilon=st.sampled_from([0.0, 0.3, 1.0]), seed=st.integers(0, 99))
@settings(deadline=None)
def test_drawn_says_the_share_of_the_draws(n: int, draws: int, epsilon: float, seed: int) -> None:
    winners = np.random.default_rng(seed).integers(n, size=draws).astype(np.int32)
    for place, propensity in (
        drawn(winners, n, epsilon, np.random.default_rng(seed)),
        [each[0] for each in drawn_many(winners[None], n, epsilon, np.random.default_rng(seed))],
    ):
        assert propensity == pytest.approx((1.0 - epsilon) * (winners == place).mean() + epsilon / n)
        assert epsilon > 0.0 or propensity >= 1.0 / draws


def test_ucb1_tries_everything_first_and_then_what_auer_says() -> None:
    policy, rng, nobody = UCB1(3, epsilon=0.0), np.random.default_rng(1), np.zeros(0)
    for _ in range(3):
        policy.learn_one(nobody, policy.choose(nobody, ALL[:3], rng)[0], 1.0)

    assert policy.trials.tolist() == [1.0, 1.0, 1.0]

    policy.learn_one(nobody, 0, 0.0)

    assert policy.scores(ALL[:3]) == pytest.approx(
        [0.5 + np.sqrt(np.log(4.0)), *[1.0 + np.sqrt(2.0 * np.log(4.0))] * 2]
    )


def test_ucb1_learns_every_one_of_many() -> None:
    policy = UCB1(3)
    policy.learn_many(np.zeros((4, 0)), np.array([1, 1, 2, 1], np.int32), np.array([1.0, 0.5, 0.25, 0.0]))

    assert policy.trials.tolist() == [0.0, 3.0, 1.0]
    assert policy.rewards.tolist() == [0.0, 1.5, 0.25]
    assert policy.tried == 4.0


def test_bernoulli_thompson_counts_for_the_track_its_artist_and_its_tags() -> None:
    table = catalogue(6)
    rows = rows_of(table, 6)
    policy = BernoulliThompson(Thompson(table))
    policy.learn_many(np.zeros((2, 0)), rows[[0, 0]], np.array([1.0, 0.0]))
    counted = [table.counts[table.index(key), COLUMN["trials"]] for key in ("t:t0", "a:a0", "g:folk", "t:t5", "a:a1")]

    assert counted == [2.0, 2.0, 2.0, 0.0, 0.0]
    assert table.counts[table.index("a:a0"), COLUMN["successes"]] == 1.0
    assert table.counts[0].sum() == 0.0


def test_propensity_of_the_beta_posterior_is_the_same_without_the_rivals_that_surely_lose() -> None:
    bandit = Thompson(catalogue())
    alpha, beta = np.array([40.0, 30.0, 2.0, 1.0]), np.array([20.0, 30.0, 400.0, 4000.0])
    draws = np.random.default_rng(1).beta(alpha, beta, (200_000, 4)).argmax(1)
    for place in (0, 1):
        assert bandit.propensity(alpha, beta, place) == pytest.approx((draws == place).mean(), abs=0.004)


@pytest.mark.parametrize("policy", [LinUCB, ContextualThompson])
@pytest.mark.parametrize("name", MODELS)
def test_regret_ends(name: str, policy: type[LinUCB] | type[ContextualThompson]) -> None:
    rng, rounds = np.random.default_rng(1), 1500
    arms = np.concatenate([np.ones((ARMS, 1)), np.random.default_rng(2).normal(size=(ARMS, SIZE - 1))], 1)
    w = rng.normal(size=(DIMS, SIZE))
    models = {
        "shared": lambda: SharedRegression(arms, DIMS),
        "disjoint": lambda: DisjointRegression(ARMS, DIMS),
        "logistic": lambda: DiagonalLogistic(arms, DIMS),
    }
    chooser, regrets = policy(models[name]()), []
    for _ in range(rounds):
        context = np.concatenate([[1.0], rng.normal(size=DIMS - 1)])
        means = 1.0 / (1.0 + np.exp(-(context @ w @ arms.T)))
        arm, _ = chooser.choose(context, ALL, rng)
        chooser.learn_one(context, arm, float(rng.random() < means[arm]))
        regrets.append(means.max() - means[arm])

    assert np.mean(regrets[-500:]) < 0.5 * np.mean(regrets[:50]) + 0.02


@pytest.mark.parametrize("epsilon", [-0.1, 1.1])
def test_a_share_of_random_choices_is_a_share(epsilon: float) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        UCB1(3, epsilon=epsilon)
