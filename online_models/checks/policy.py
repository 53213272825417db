"""The suite of `Policy`: each check takes a maker of new ones, with the arms that they know."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from online_models.bandits.policy import Policy
from online_models.track import Doubles, Rows

DIMS = 3
CHOICES = 1500
WHO = np.array([1.0, 0.4, -0.3])


@dataclass(slots=True)
class Played:
    """A policy and the arms int32[n] that it can be offered; contexts have DIMS features."""

    policy: Policy
    arms: Rows


def contexts_of(n: int) -> Doubles:
    """Contexts float64[n, DIMS], their first feature 1."""
    contexts = np.random.default_rng(7).normal(size=(n, DIMS)) * 0.5
    contexts[:, 0] = 1.0
    return contexts


def play(played: Played, trials: int, *, best: int = 2) -> None:
    """Let it learn of arms in turn, one of which is better than the others."""
    rng = np.random.default_rng(trials)
    for n, context in enumerate(contexts_of(trials)):
        place = n % len(played.arms)
        rate = 0.9 if place == best else 0.3
        played.policy.learn_one(context, int(played.arms[place]), float(rng.random() < rate))


def check_one_of_the_offered_arms_is_chosen(make: Callable[[], Played]) -> None:
    played, rng = make(), np.random.default_rng(1)
    offered = played.arms[[1, 3]]
    chosen = {played.policy.choose(WHO, offered, rng)[0] for _ in range(100)}
    chosen |= set(played.policy.choose_many(contexts_of(100), offered, rng)[0].tolist())

    assert chosen <= set(offered.tolist()), f"{chosen} chosen of {offered}"


def check_propensities_can_be_divided_by(make: Callable[[], Played]) -> None:
    for trials in (0, 300):
        played, rng = make(), np.random.default_rng(2)
        play(played, trials)
        one = [played.policy.choose(WHO, played.arms, rng)[1] for _ in range(100)]
        many = played.policy.choose_many(contexts_of(100), played.arms, rng)[1]

        assert 0.0 < min(one) <= max(one) <= 1.0, f"after {trials} lessons: {min(one)} to {max(one)}"
        assert 0.0 < many.min() <= many.max() <= 1.0, f"after {trials} lessons: {many.min()} to {many.max()}"


def check_a_propensity_is_how_often_an_arm_is_chosen(make: Callable[[], Played]) -> None:
    played, rng = make(), np.random.default_rng(3)
    play(played, 25)
    one = [played.policy.choose(WHO, played.arms, rng) for _ in range(CHOICES)]
    many = zip(*played.policy.choose_many(np.tile(WHO, (CHOICES, 1)), played.arms, rng), strict=True)
    for choices in (one, list(many)):
        for arm in played.arms.tolist():
            # an arm's choices, each divided by its propensity, sum to the number of choices wherever it can be chosen
            said = np.array([propensity for chosen, propensity in choices if chosen == arm])
            if len(said) > 200:
                often, weights = len(said) / CHOICES, np.where(said > 0.0, 1.0 / said, 0.0)

                assert abs(float(said.mean()) - often) < 0.06, f"arm {arm}: chosen {often}, said {said.mean()}"
                assert abs(float(weights.sum()) / CHOICES - 1.0) < 0.2, f"arm {arm}: weights {weights.sum() / CHOICES}"


def check_equal_generators_lead_to_equal_choices(make: Callable[[], Played]) -> None:
    played = make()
    play(played, 20)
    first = [played.policy.choose(WHO, played.arms, np.random.default_rng(seed)) for seed in range(20)]
    second = [played.policy.choose(WHO, played.arms, np.random.default_rng(seed)) for seed in range(20)]

    assert first == second, "the same generator leads to two choices"


def check_the_only_arm_is_chosen_for_certain(make: Callable[[], Played]) -> None:
    played = make()
    arm, propensity = played.policy.choose(WHO, played.arms[:1], np.random.default_rng(4))

    assert (arm, round(propensity, 9)) == (played.arms[0], 1.0), "there was nothing else to choose"


def check_the_better_arm_is_chosen_most(make: Callable[[], Played]) -> None:
    played, rng = make(), np.random.default_rng(5)
    play(played, 1000)
    one = [played.policy.choose(WHO, played.arms, rng)[0] for _ in range(200)]
    many = played.policy.choose_many(np.tile(WHO, (200, 1)), played.arms, rng)[0].tolist()

    assert min(one.count(played.arms[2]), many.count(played.arms[2])) > 120, "the best of five is not the most chosen"


def check_learning_many_is_learning_each(make: Callable[[], Played]) -> None:
    each, at_once, again = make(), make(), np.random.default_rng(6)
    contexts, places = contexts_of(60), again.integers(len(each.arms), size=60)
    rewards = again.integers(0, 2, 60).astype(float)
    for context, place, reward in zip(contexts, places, rewards, strict=True):
        each.policy.learn_one(context, int(each.arms[place]), float(reward))
    for first, last in ((0, 1), (1, 40), (40, 40), (40, 60)):
        at_once.policy.learn_many(contexts[first:last], at_once.arms[places[first:last]], rewards[first:last])
    seeds = range(30)
    first_choices = [each.policy.choose(WHO, each.arms, np.random.default_rng(seed)) for seed in seeds]
    other_choices = [at_once.policy.choose(WHO, at_once.arms, np.random.default_rng(seed)) for seed in seeds]

    assert [arm for arm, _ in first_choices] == [arm for arm, _ in other_choices], "learnt otherwise at once"
    assert np.allclose([p for _, p in first_choices], [p for _, p in other_choices], atol=1e-9), "other propensities"


def check_numbers_that_are_none_are_refused(make: Callable[[], Played]) -> None:
    played = make()
    play(played, 20)
    before = played.policy.choose(WHO, played.arms, np.random.default_rng(8))
    for reward in (float("nan"), float("inf")):
        try:
            played.policy.learn_one(WHO, int(played.arms[0]), reward)
        except ValueError:
            continue
        raise AssertionError(f"a reward of {reward} was learnt")

    assert before == played.policy.choose(WHO, played.arms, np.random.default_rng(8)), "what was refused was learnt"


POLICY_CHECKS = (
    check_one_of_the_offered_arms_is_chosen,
    check_propensities_can_be_divided_by,
    check_a_propensity_is_how_often_an_arm_is_chosen,
    check_equal_generators_lead_to_equal_choices,
    check_the_only_arm_is_chosen_for_certain,
    check_the_better_arm_is_chosen_most,
    check_learning_many_is_learning_each,
    check_numbers_that_are_none_are_refused,
)
