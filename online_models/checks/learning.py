"""Checks of learning: that it happens, and that it stays within its bounds."""

from typing import TypeVar

from online_models.checks.checkable import Checkable
from online_models.checks.state import taught

M = TypeVar("M")


def check_a_pattern_that_is_taught_is_predicted_more(model: Checkable[M]) -> None:
    assert model.pattern is not None
    for lessons in (0, 10):
        learner = taught(model, lessons)
        before = model.pattern.predict(learner)
        for _ in range(model.pattern.lessons):
            model.pattern.teach(learner)
        after = model.pattern.predict(learner)

        assert after > before, f"predicted {before} before it was taught, {after} after, expected more"


def check_bounds_are_kept(model: Checkable[M]) -> None:
    assert model.bounded is not None
    learner = model.bounded.make()
    for n in range(model.bounded.lessons):
        model.bounded.teach(learner, n)
        for name, (held, most) in model.bounded.sizes(learner).items():
            assert held <= most, f"{name}: holds {held} after lesson {n}, may hold {most}"
    for name, (held, most) in model.bounded.sizes(learner).items():
        assert held > most // 2, f"{name}: holds {held} of {most} after all lessons, too few of them to show a bound"
