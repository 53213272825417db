"""The suite of bandits: each check takes a maker of new ones."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from online_models.checks.made_up import rows_of
from online_models.track import COLUMN, Rows, TrackTable

OFFERED = 5
CHOICES = 400


class Bandit(Protocol):
    """Chooses one of some tracks, by what the table counts of their trials."""

    table: TrackTable

    def choose(self, rows: Rows, rng: np.random.Generator) -> tuple[int, float]:
        """One of the tracks int32[n], n > 0, and the probability of choosing it."""


def offer(bandit: Bandit, place: int, trials: int, successes: int) -> Rows:
    """Give a track of the catalogue its trials; answers the rows of all that are offered."""
    rows = rows_of(bandit.table)
    bandit.table.counts[rows[place], [COLUMN["trials"], COLUMN["successes"]]] += trials, successes
    return rows[:OFFERED]


def check_one_of_the_offered_is_chosen(make: Callable[[], Bandit]) -> None:
    bandit, rng = make(), np.random.default_rng(1)
    rows = offer(bandit, 0, 0, 0)
    chosen = {bandit.choose(rows, rng)[0] for _ in range(100)}

    assert chosen <= set(rows.tolist()), "a track was chosen that was not offered"


def check_propensities_are_probabilities_above_zero(make: Callable[[], Bandit]) -> None:
    bandit, rng = make(), np.random.default_rng(2)
    rows = offer(bandit, 0, 200, 190)
    propensities = [bandit.choose(rows, rng)[1] for _ in range(100)]

    assert all(0.0 < propensity <= 1.0 for propensity in propensities), "an inverse propensity could not be taken"


def check_a_propensity_is_how_often_a_track_is_chosen(make: Callable[[], Bandit]) -> None:
    bandit, rng = make(), np.random.default_rng(3)
    for place, (trials, successes) in enumerate([(10, 6), (10, 5), (10, 4), (4, 2), (0, 0)]):
        rows = offer(bandit, place, trials, successes)
    choices = [bandit.choose(rows, rng) for _ in range(CHOICES)]
    for row in rows.tolist():
        said = [propensity for chosen, propensity in choices if chosen == row]
        often = len(said) / CHOICES

        assert not said or abs(float(np.mean(said)) - often) < 0.08, f"row {row}: chosen {often}, said {np.mean(said)}"


def check_equal_generators_choose_alike(make: Callable[[], Bandit]) -> None:
    bandit = make()
    rows = offer(bandit, 1, 3, 2)
    first = [bandit.choose(rows, np.random.default_rng(seed)) for seed in range(20)]
    second = [bandit.choose(rows, np.random.default_rng(seed)) for seed in range(20)]

    assert first == second, "the same generator leads to two choices"


def check_the_only_track_is_chosen_for_certain(make: Callable[[], Bandit]) -> None:
    bandit = make()
    rows = offer(bandit, 0, 0, 0)[:1]

    assert bandit.choose(rows, np.random.default_rng(4)) == (rows[0], 1.0), "there was nothing else to choose"


def check_what_succeeds_is_chosen_more(make: Callable[[], Bandit]) -> None:
    bandit, rng = make(), np.random.default_rng(5)
    offer(bandit, 0, 60, 6)
    rows = offer(bandit, 1, 60, 54)
    chosen = [bandit.choose(rows[:2], rng)[0] for _ in range(100)]

    assert chosen.count(rows[1]) > 95, f"of 100 choices the better track had {chosen.count(rows[1])}"


def check_what_was_never_offered_keeps_a_chance(make: Callable[[], Bandit]) -> None:
    bandit, rng = make(), np.random.default_rng(6)
    for place in range(OFFERED - 1):
        rows = offer(bandit, place, 10, 4)
    chosen = [bandit.choose(rows, rng)[0] for _ in range(200)]

    assert rows[OFFERED - 1] in chosen, "a track that nobody knows is never tried"


BANDIT_CHECKS = (
    check_one_of_the_offered_is_chosen,
    check_propensities_are_probabilities_above_zero,
    check_a_propensity_is_how_often_a_track_is_chosen,
    check_equal_generators_choose_alike,
    check_the_only_track_is_chosen_for_certain,
    check_what_succeeds_is_chosen_more,
    check_what_was_never_offered_keeps_a_chance,
)
