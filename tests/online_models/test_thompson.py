"""Thompson sampling: prior, posterior, propensity."""

import numpy as np
import pytest

from online_models.bandits.thompson import Thompson
from online_models.checks.made_up import catalogue, rows_of
from online_models.track import COLUMN, Rows, TrackMeta, TrackTable


def tried(table: TrackTable, rows: Rows, trials: float, successes: float, likes: float = 0.0) -> None:
    table.counts[np.ix_(rows, [COLUMN["trials"], COLUMN["successes"], COLUMN["likes"]])] = trials, successes, likes


def rates(bandit: Thompson, rows: Rows) -> list[float]:
    alpha, beta = bandit.posterior(rows)
    return (alpha / (alpha + beta)).tolist()


def test_unknown_track_starts_at_the_prior() -> None:
    table = TrackTable(dims=4)
    row = np.array([table.list_track(TrackMeta("t1", "Blue"))], np.int32)

    assert rates(Thompson(table, prior=0.3), row) == pytest.approx([0.3])


def test_new_track_starts_at_the_rate_of_its_artist_and_tags() -> None:
    table = TrackTable(dims=4)
    metas = (
        TrackMeta("t1", "", "a1", "", ["folk"]),
        TrackMeta("t2", "", "a2", "", ["jazz"]),
        TrackMeta("t3", "", "a1"),
    )
    rows = np.array([table.list_track(meta) for meta in metas], np.int32)
    tried(table, np.array([table.index("a:a1")], np.int32), 1000, 900)
    tried(table, np.array([table.index("g:jazz")], np.int32), 1000, 100)
    by_folk, by_jazz, by_artist = rates(Thompson(table), rows)

    assert by_folk == pytest.approx(0.9, abs=0.01)
    assert by_artist == pytest.approx(0.9, abs=0.01)
    assert by_jazz == pytest.approx(0.1, abs=0.01)


def test_own_trials_outweigh_the_prior() -> None:
    table = catalogue(1)
    row = rows_of(table, 1)
    tried(table, np.array([table.index("a:a0")], np.int32), 1000, 900)
    seen = []
    for trials in (0, 4, 100):
        tried(table, row, trials, 0)
        seen += rates(Thompson(table), row)

    assert seen[0] > 0.85 > 0.5 > seen[1] > 0.1 > seen[2]


def test_like_counts_as_a_success() -> None:
    table = catalogue(2)
    rows = rows_of(table, 2)
    tried(table, rows[:1], 10, 5, likes=5)
    tried(table, rows[1:], 10, 5)
    liked, plain = rates(Thompson(table), rows)

    assert liked > plain


def test_more_successes_than_trials_leave_a_proper_posterior() -> None:
    table = catalogue(1)
    tried(table, rows_of(table, 1), 2, 5)
    alpha, beta = Thompson(table).posterior(rows_of(table, 1))

    assert alpha[0] > 0.0
    assert beta[0] > 0.0


@pytest.mark.parametrize("seed", range(2))
def test_propensity_is_near_to_how_often_a_track_is_chosen(seed: int) -> None:
    table, rng = catalogue(), np.random.default_rng(seed)
    rows = rows_of(table)[:6]
    table.counts[rows, COLUMN["trials"]] = 20
    table.counts[rows, COLUMN["successes"]] = rng.integers(8, 13, 6)
    bandit = Thompson(table)
    choices = [bandit.choose(rows, rng) for _ in range(800)]
    for row in set(rows.tolist()):
        said = [propensity for chosen, propensity in choices if chosen == row]
        if len(said) > 50:
            assert np.mean(said) == pytest.approx(len(said) / 800, abs=0.045)


def test_choosing_some_is_choosing_one_after_the_other_from_those_that_are_left() -> None:
    table = catalogue()
    rows = rows_of(table)[:6]
    tried(table, rows[:3], 9, 4)  # the others have equal posteriors
    bandit, rng = Thompson(table), np.random.default_rng(2)
    expected, left = [], rows
    while len(left):
        expected.append(bandit.choose(left, rng))
        left = left[left != expected[-1][0]]

    assert Thompson(table).choose_some(rows, 10, np.random.default_rng(2)) == expected
    assert bandit.choose_some(rows, 2, np.random.default_rng(2)) == expected[:2]


def test_choosing_inserts_and_counts_nothing() -> None:
    table = catalogue()
    before = table.counts.copy()
    Thompson(table).choose(rows_of(table), np.random.default_rng(1))

    assert np.array_equal(before, table.counts)
