"""Effects of tags: what plays say of each, held to the posterior that is summed up on a grid, and what is kept of many."""

import numpy as np
import pytest

from online_models.tag_effects import TAGS_MAX, VARIANCE, TagEffects


def heard(*plays: tuple[tuple[str, ...], bool], expected: float = 0.35) -> TagEffects:
    effects = TagEffects()
    for tags, skipped in plays:
        effects.learn_one(tags, skipped, expected)
    return effects


@pytest.mark.parametrize("skips", [0, 3, 12])
def test_an_effect_is_near_the_posterior_of_a_logistic_regression(skips: int) -> None:
    order = np.random.default_rng(skips).permutation(12) < skips
    grid = np.linspace(-6.0, 6.0, 4001)
    chances = 1.0 / (1.0 + np.exp(-(np.log(0.35 / 0.65) + grid)))
    density = np.exp(-(grid**2) / (2.0 * VARIANCE)) * chances**skips * (1.0 - chances) ** (12 - skips)
    mean = float((grid * density).sum() / density.sum())
    variance = float((grid**2 * density).sum() / density.sum() - mean**2)

    effects = heard(*((("folk",), skipped) for skipped in order.tolist()))

    assert effects.effect(("folk",))[0] == pytest.approx(mean, abs=0.15)
    assert effects.left("folk") == pytest.approx(variance / VARIANCE, abs=0.15)


def test_what_a_known_tag_explains_is_not_put_down_to_the_other() -> None:
    alone = heard(*[(("folk", "jazz"), True)] * 10)
    beside = heard(*[(("jazz",), True)] * 30, *[(("folk", "jazz"), True)] * 10)

    assert beside.effect(("folk",))[0] < alone.effect(("folk",))[0] - 0.05
    assert alone.effect(("folk",)) == alone.effect(("jazz",)) == alone.effect(("folk", "jazz"))


def test_of_many_tags_those_stay_of_which_most_is_known_and_asking_adds_none() -> None:
    effects = heard(*[((f"often {n}",), True) for n in range(TAGS_MAX) for _ in range(5)])
    for n in range(10 * TAGS_MAX):
        effects.learn_one((f"once {n}",), True, 0.35)
        assert len(effects.of) <= 2 * TAGS_MAX
    before = dict(effects.of)

    assert effects.effect(("never", "never heard")) == (0.0, 1.0)
    assert before == effects.of
    assert {f"often {n}" for n in range(TAGS_MAX)} <= set(effects.of)


def test_a_taste_that_changed_is_followed() -> None:
    effects = heard(*[(("folk",), False)] * 400, *[(("folk",), True)] * 40)

    assert effects.effect(("folk",))[0] > 0.3
