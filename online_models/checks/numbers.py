"""Checks of the numbers that a model answers with."""

from typing import TypeVar

import numpy as np

from online_models.checks.checkable import Checkable
from online_models.checks.state import LESSONS, taught

M = TypeVar("M")


def check_answers_lie_in_their_range(model: Checkable[M]) -> None:
    for lessons in (0, 1, LESSONS):
        answers = model.ask(taught(model, lessons))

        assert np.isfinite(answers).all(), f"not finite after {lessons} lessons: {answers[~np.isfinite(answers)]}"
        outside = answers[(answers < model.low) | (answers > model.high)]
        assert not len(outside), f"outside of [{model.low}, {model.high}] after {lessons} lessons: {outside}"


def check_hostile_numbers_give_finite_answers(model: Checkable[M]) -> None:
    assert model.hostile is not None
    learner = taught(model)
    for place, answers in enumerate(model.hostile(learner)):
        assert np.isfinite(answers).all(), f"hostile question {place}: {answers[~np.isfinite(answers)]}"
    after = model.ask(learner)

    assert np.isfinite(after).all(), "an ordinary question, after the hostile ones, has an answer that is not finite"


def check_questions_about_nothing_have_empty_answers(model: Checkable[M]) -> None:
    assert model.empty is not None
    for lessons in (0, LESSONS):
        for place, answers in enumerate(model.empty(taught(model, lessons))):
            assert answers.size == 0, f"question {place} is about nothing, and is answered {answers}"
