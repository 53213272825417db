"""Which checks there are, and which of them fit a model."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from online_models.checks.checkable import Check, Checkable
from online_models.checks.learning import check_a_pattern_that_is_taught_is_predicted_more, check_bounds_are_kept
from online_models.checks.numbers import (
    check_answers_lie_in_their_range,
    check_hostile_numbers_give_finite_answers,
    check_questions_about_nothing_have_empty_answers,
)
from online_models.checks.state import (
    check_asking_changes_nothing,
    check_equal_seeds_give_equal_states,
    check_lessons_change_the_state,
    check_the_order_of_sums_does_not_matter,
    check_the_state_survives_its_rows,
    check_what_is_restored_learns_on_alike,
)

# each with the field of `Checkable` that it needs; those without one hold for every model
CHECKS: tuple[tuple[str | None, Callable[[Checkable[Any]], None]], ...] = (
    (None, check_asking_changes_nothing),
    (None, check_lessons_change_the_state),
    (None, check_equal_seeds_give_equal_states),
    (None, check_answers_lie_in_their_range),
    ("restore", check_the_state_survives_its_rows),
    ("restore", check_what_is_restored_learns_on_alike),
    ("commutes", check_the_order_of_sums_does_not_matter),
    ("pattern", check_a_pattern_that_is_taught_is_predicted_more),
    ("bounded", check_bounds_are_kept),
    ("hostile", check_hostile_numbers_give_finite_answers),
    ("empty", check_questions_about_nothing_have_empty_answers),
)


def yield_checks(models: Iterable[Checkable[Any]]) -> Iterator[Check]:
    """Every check that fits, of every model.

    >>> from online_models.checks.models import MODELS
    >>> checks = list(yield_checks(MODELS))
    >>> str(checks[0]), checks[0]()
    ('ranker: asking changes nothing', None)
    """
    for model in models:
        for needed, check in CHECKS:
            if needed is None or getattr(model, needed):
                yield Check(model.name, _sentence(check), partial(check, model))
        for particular in model.interface:
            yield Check(model.name, _sentence(particular), partial(particular, partial(model.make, 0)))


def _sentence(check: Callable[..., None]) -> str:
    return check.__name__.removeprefix("check_").replace("_", " ")
