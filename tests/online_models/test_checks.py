"""Every model of the project passes every check that fits it; and the checks find what is wrong with broken models."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from online_models.checks import MODELS, Check, Checkable, yield_checks
from online_models.checks.state import check_equal_seeds_give_equal_states, check_the_state_survives_its_rows
from online_models.checks.suite import CHECKS
from online_models.checks.vector_index import VECTOR_INDEX_CHECKS
from online_models.index.exact import ExactIndex
from online_models.track import Floats, Rows

BY_NAME = {model.name: model for model in MODELS}


@pytest.mark.parametrize("check", list(yield_checks(MODELS)), ids=str)
def test_model(check: Check) -> None:
    check()


def failures(model: Checkable[Any]) -> set[str]:
    failed = set()
    for check in yield_checks([model]):
        try:
            check()
        except AssertionError:
            failed.add(check.sentence)
    return failed


def test_every_check_is_run_on_some_model() -> None:
    sentences = {check.sentence for check in yield_checks(MODELS)}
    expected = {check.__name__.removeprefix("check_").replace("_", " ") for _, check in CHECKS}

    assert expected <= sentences


def test_names_of_checks_are_unique() -> None:
    names = [str(check) for check in yield_checks(MODELS)]

    assert len(set(names)) == len(names)


def test_scoring_that_inserts_is_found() -> None:
    model = BY_NAME["co-listening"]

    def ask(table: Any) -> Any:
        table.add(f"t:unknown-{len(table)}")
        return model.ask(table)

    assert failures(replace(model, ask=ask)) == {"asking changes nothing"}


def test_rows_that_lose_something_are_found() -> None:
    model = BY_NAME["thompson"]
    broken = replace(model, restore=lambda bandit: model.make(0))

    assert failures(broken) == {"the state survives its rows", "what is restored learns on alike"}


def test_curvatures_that_are_lost_are_found() -> None:
    model = BY_NAME["ranker-mix"]
    restored: Any = model.restore

    def restore(mix: Any) -> Any:
        again = restored(mix)
        for by_partition in again.precisions.values():
            by_partition.clear()
        return again

    with pytest.raises(AssertionError, match="rows written after 24 lessons lost some"):
        check_the_state_survives_its_rows(replace(model, restore=restore))


def test_a_model_that_does_not_learn_is_found() -> None:
    broken = replace(BY_NAME["ranker"], teach=lambda objective, n: None)

    assert failures(broken) == {"lessons change the state"}


def test_a_pattern_that_is_not_learnt_is_found() -> None:
    model = BY_NAME["ranker"]
    assert model.pattern is not None
    broken = replace(model, pattern=replace(model.pattern, teach=lambda objective: None))

    assert failures(broken) == {"a pattern that is taught is predicted more"}


def test_sums_that_depend_on_their_order_are_found() -> None:
    broken = replace(BY_NAME["ranker"], commutes=True)  # a gradient step is no sum

    assert failures(broken) == {"the order of sums does not matter"}


def test_a_bound_that_is_not_kept_is_found() -> None:
    model = BY_NAME["track-table"]
    assert model.bounded is not None
    broken = replace(model, bounded=replace(model.bounded, sizes=lambda table: {"entities_max": (len(table), 10)}))

    assert failures(broken) == {"bounds are kept"}


def test_answers_outside_of_their_range_are_found() -> None:
    broken = replace(BY_NAME["ranker"], low=0.9)

    assert failures(broken) == {"answers lie in their range"}


def test_answers_that_are_not_finite_are_found() -> None:
    broken = replace(BY_NAME["ranker-mix"], hostile=lambda mix: [np.array([np.nan])])

    assert failures(broken) == {"hostile numbers give finite answers"}


def test_randomness_without_a_seed_is_found() -> None:
    model, seeds = BY_NAME["two-tower"], iter(range(10**6))
    broken = replace(model, make=lambda seed: model.make(next(seeds)))

    with pytest.raises(AssertionError, match="the same seed and lessons lead to two states"):
        check_equal_seeds_give_equal_states(broken)


class _KeepsRemoved(ExactIndex):
    def remove_many(self, rows: Rows) -> None:
        pass


class _WorstFirst(ExactIndex):
    def search(self, vector: Floats, n: int) -> tuple[Rows, Floats]:
        rows, scores = super().search(vector, n)
        return rows[::-1], scores[::-1]


def test_an_index_that_answers_removed_rows_is_found() -> None:
    broken = replace(BY_NAME["exact-index"], make=lambda seed: _KeepsRemoved(dims=8), interface=VECTOR_INDEX_CHECKS)

    assert "removed rows are never answered" in failures(broken)


def test_an_index_that_answers_the_worst_first_is_found() -> None:
    broken = replace(BY_NAME["exact-index"], make=lambda seed: _WorstFirst(dims=8))

    assert "the nearest come best first" in failures(broken)


def test_a_propensity_that_is_not_the_truth_is_found() -> None:
    model = BY_NAME["thompson"]

    def make(seed: int) -> Any:
        bandit = model.make(seed)
        honest = bandit.choose
        bandit.choose = lambda rows, rng: (honest(rows, rng)[0], 1.0)
        return bandit

    assert "a propensity is how often a track is chosen" in failures(replace(model, make=make))
