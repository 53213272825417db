"""Checks of what a model holds: what changes it, what does not, and how it is written and read again."""

from typing import TypeVar

import numpy as np

from online_models.checks.checkable import Checkable

M = TypeVar("M")
LESSONS = 24


def taught(model: Checkable[M], lessons: int = LESSONS) -> M:
    """A new one that has learnt the first lessons."""
    learner = model.make(0)
    for n in range(lessons):
        model.teach(learner, n)
    return learner


def check_asking_changes_nothing(model: Checkable[M]) -> None:
    for lessons in (0, LESSONS):
        learner = taught(model, lessons)
        before = model.state(learner)
        first = model.ask(learner)
        second = model.ask(learner)

        assert before == model.state(learner), f"after {lessons} lessons the state is another once it was asked"
        assert np.array_equal(first, second), "the same question has two answers"


def check_lessons_change_the_state(model: Checkable[M]) -> None:
    assert model.state(taught(model, 0)) != model.state(taught(model)), (
        "nothing was learnt, or `state` does not show it"
    )


def check_equal_seeds_give_equal_states(model: Checkable[M]) -> None:
    first, second = taught(model), taught(model)

    assert model.state(first) == model.state(second), "the same seed and lessons lead to two states"
    assert np.array_equal(model.ask(first), model.ask(second)), "the same seed and lessons lead to two answers"


def check_the_state_survives_its_rows(model: Checkable[M]) -> None:
    assert model.restore is not None
    for lessons in (0, 1, LESSONS):
        learner = taught(model, lessons)
        again = model.restore(learner)

        assert np.array_equal(model.ask(learner), model.ask(again)), f"rows written after {lessons} lessons lost some"


def check_what_is_restored_learns_on_alike(model: Checkable[M]) -> None:
    assert model.restore is not None
    learner = taught(model)
    again = model.restore(learner)
    for n in range(LESSONS, 2 * LESSONS):
        model.teach(learner, n)
        model.teach(again, n)

    assert np.allclose(model.ask(learner), model.ask(again), rtol=1e-9, atol=0.0), "the restored one learns otherwise"


def check_the_order_of_sums_does_not_matter(model: Checkable[M]) -> None:
    forward, shuffled = taught(model), model.make(0)
    for n in np.random.default_rng(1).permutation(LESSONS).tolist():
        model.teach(shuffled, n)

    assert np.allclose(model.ask(forward), model.ask(shuffled), rtol=1e-9, atol=1e-12), "another order, other answers"
