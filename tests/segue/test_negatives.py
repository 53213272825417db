"""What negatives are worth: models that differ in them alone, and weights of channels that are learnt from them."""

from copy import deepcopy

import numpy as np
import pytest

from online_models.two_tower import HISTORY
from segue.evaluation.channel_fusion import Weights
from segue.evaluation.like_stream import Bootstrap
from segue.evaluation.negatives import HARD, IN_BATCH, KINDS, UNIFORM, Negatives
from segue.evaluation.scenarios.gains import add_gains
from segue.evaluation.scenarios.scenario import Report
from streams.messages import ListeningEvent, Track

TRACKS, LISTENERS = 60, 100


def play(user: int, track: int, n: int) -> ListeningEvent:
    return ListeningEvent(f"{user}-{n}", n, str(user), f"t{track}", "play")


@pytest.fixture(scope="module", name="once")
def _once() -> Negatives:
    """Each listener goes on from some track to the one after it."""
    negatives = Negatives([Track(f"t{n}", f"Track {n}") for n in range(TRACKS)], seed=1, batch=16)
    rng = np.random.default_rng(1)
    for user in range(LISTENERS):
        begin = int(rng.integers(0, TRACKS))
        for n in range(10):
            negatives.learn(play(user, (begin + n) % TRACKS, n))
    return negatives


@pytest.fixture
def taught(once: Negatives) -> Negatives:
    return deepcopy(once)


def test_every_kind_learns_what_comes_next(taught: Negatives) -> None:
    for n in range(3):
        taught.learn(play(-1, 20 + n, n))
    ranks = taught.ranks(play(-1, 23, 3), 5)

    assert ranks.keys() == KINDS.keys()
    assert min(ranks.values()) >= 0


def test_what_was_heard_is_not_listed(taught: Negatives) -> None:
    for n in range(40):
        taught.learn(play(-1, n, n))
    lists = taught.lists("-1", TRACKS)

    assert {len(rows) for rows in lists.values()} == {TRACKS - 40}
    assert set(taught.ranks(play(-1, 39, 40), TRACKS).values()) == {-1}


def test_kinds_differ_in_their_negatives_alone() -> None:
    towers = Negatives([Track("t1", "Blue", "a1", "Ann", ["folk"])], seed=1, batch=4).towers
    first = towers[UNIFORM]

    for tower in towers.values():
        np.testing.assert_array_equal(tower.table.vectors, first.table.vectors)
        assert (tower.history, tower.lr, tower.l2, tower.replays) == (HISTORY, first.lr, first.l2, first.replays)
    assert [(towers[name].uniform > 0, towers[name].hard > 0) for name in (IN_BATCH, UNIFORM, HARD)] == [
        (False, False),
        (True, False),
        (True, True),
    ]


def test_against_what_recall_returns_a_channel_that_proposed_all_of_it_earns_nothing() -> None:
    taken = np.array([[1.0, 1.0]])  # of two channels the first proposes whatever is recalled, the second what is taken
    by_recalled, by_random = Weights(np.ones(2)), Weights(np.ones(2))
    for _ in range(20):
        by_recalled.learn_one(np.concatenate([taken, np.tile([1.0, 0.0], (9, 1))]))
        by_random.learn_one(np.concatenate([taken, np.zeros((9, 2))]))

    assert by_recalled.of[0] == pytest.approx(1.0, abs=1e-9)
    assert by_recalled.of[1] > 1.5
    assert by_random.of[0] == by_random.of[1] > 1.5


def test_gains_are_over_the_first_method_and_of_the_same_guesses() -> None:
    report, base = Report(), np.tile([0.0, 1.0], 50)
    better = base.copy()
    better[::10] = 1.0
    add_gains(report, "made up", "hit", {"one": base, "an-other": better}, Bootstrap(range(100), 1), {"an-other": 2.0})
    figures = report.figures

    assert (figures["one_hit"], figures["an_other_hit"]) == (0.5, 0.6)
    assert figures["an_other_gain"] == pytest.approx(0.1)
    assert 0.0 < float(figures["an_other_gain_low"]) < 0.1 < float(figures["an_other_gain_high"]) < 0.2
    assert figures["an_other_us"] == 2.0
    assert "one_gain" not in figures
