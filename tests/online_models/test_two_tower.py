"""The two-tower model: what it learns, the log-Q correction, and where new tracks stand."""

import numpy as np
import pytest

from online_models.checks.made_up import catalogue, rows_of
from online_models.track import COLUMN, Rows, TrackMeta, TrackTable
from online_models.two_tower import TwoTower


def plain_table(tracks: int) -> tuple[TrackTable, Rows]:
    """Tracks without artist and tags."""
    table = TrackTable(dims=8)
    return table, np.array([table.list_track(TrackMeta(f"t{n}", "")) for n in range(tracks)], np.int32)


def test_made_up_pattern_is_learnt() -> None:
    table, rows = plain_table(40)
    tower, rng = TwoTower(table, uniform=32, seed=1), np.random.default_rng(1)
    for _ in range(150):
        heard = rng.integers(0, 20, 32)
        tower.learn_many(rows[heard][:, None], rows[heard + 20])  # what follows track n is track n + 20
    best = [int(tower.score_many(rows[n : n + 1], rows).argmax()) for n in range(20)]

    assert best == list(range(20, 40))


@pytest.mark.parametrize(("uniform", "hard"), [(1, 0), (16, 0), (16, 64)])
def test_popular_track_scores_higher_by_the_log_of_how_often_it_is_heard(uniform: int, hard: int) -> None:
    table, rows = plain_table(100)
    tower, rng = TwoTower(table, uniform=uniform, hard=hard, l2=0.0, seed=1), np.random.default_rng(2)
    often = np.repeat([9.0, 1.0], 50) / 500  # half of the tracks is heard nine times as often as the other half
    table.counts[rows, COLUMN["plays"]] = 1e6 * often
    for _ in range(150):
        tower.learn_many(np.repeat(rows[:1, None], 16, axis=0), rows[rng.choice(100, 16, p=often)])
    scores = tower.score_many(rows[:1], rows)

    # log 9 is 2.2; without the correction it is 0.2 (uniform = 1), and -1.7 with its sign turned round
    assert scores[:50].mean() - scores[50:].mean() == pytest.approx(np.log(9.0), abs=0.3)


def test_hard_negatives_are_what_followed_the_listeners_tracks_and_told_of_in_log_q() -> None:
    table, rows = plain_table(300)
    tower = TwoTower(table, uniform=8, hard=32, seed=1)
    for _ in range(20):
        tower.learn_many(np.tile(rows[:1], (4, 1)), rows[1:5])
    candidates, often = tower._recalled(np.tile(rows[:1], (2, 1)), rows[[1, 200]])
    hard = candidates[2:]

    assert len(hard) > 20
    assert set(hard.tolist()) <= set(rows[1:5].tolist())
    assert often[0] > 1.0
    assert often[1] == 0.0
    assert not tower._expected.any()


def test_log_q_grows_with_popularity() -> None:
    table, rows = plain_table(10)
    table.counts[rows, COLUMN["plays"]] = np.arange(10) * 100
    tower = TwoTower(table, uniform=8)
    log_q = tower._log_q(rows, 32, len(tower._negatives()))

    assert (np.diff(log_q) > 0).all()


def test_log_q_is_zero_where_every_track_is_drawn_alike() -> None:
    table, rows = plain_table(10)
    table.counts[rows, COLUMN["plays"]] = 50
    tower = TwoTower(table, uniform=8)

    np.testing.assert_allclose(tower._log_q(rows, 32, len(tower._negatives())), 0.0, atol=1e-6)


def test_new_track_stands_near_the_tracks_of_its_artist_and_tags() -> None:
    table = catalogue()
    rows, rng = rows_of(table), np.random.default_rng(3)
    folk, jazz, tower = rows[0::3], rows[1::3], TwoTower(table, uniform=16, seed=3)
    for _ in range(150):
        for side in (folk, jazz):
            heard = rng.choice(side, (16, 4))
            tower.learn_many(heard[:, :3], heard[:, 3])
    new = [table.list_track(TrackMeta(f"new-{tag}", "New", f"nobody-{tag}", None, [tag])) for tag in ("folk", "jazz")]
    by_folk, by_jazz = (tower.score_many(side[:5], np.array(new, np.int32)) for side in (folk, jazz))

    assert by_folk[0] > by_folk[1]
    assert by_jazz[1] > by_jazz[0]


def test_target_that_is_not_known_teaches_nothing() -> None:
    table = catalogue()
    before = table.vectors.copy()
    touched = TwoTower(table, uniform=8).learn_many(rows_of(table)[None, :3], np.zeros(1, np.int32))

    assert touched.tolist() == []
    assert np.array_equal(before, table.vectors)


def test_touched_rows_are_those_whose_vectors_changed() -> None:
    table = catalogue()
    rows, before = rows_of(table), table.vectors.copy()
    touched = TwoTower(table, uniform=4, seed=1).learn_many(rows[None, :3], rows[7:8])
    changed = np.flatnonzero((before != table.vectors).any(1))

    assert set(changed.tolist()) <= set(touched.tolist())
    assert {int(rows[0]), int(rows[7])} <= set(changed.tolist())


def test_row_zero_is_never_learnt() -> None:
    table = catalogue()
    rows, tower = rows_of(table), TwoTower(table, uniform=8)
    for n in range(10):
        tower.learn_many(np.array([[rows[n], 0, 0]], np.int32), rows[n + 1 : n + 2])

    assert not table.vectors[0].any()


def test_places_that_are_not_filled_do_not_count() -> None:
    table = catalogue()
    rows, tower = rows_of(table), TwoTower(table)
    short = tower.listener_vectors(rows[None, :3])
    padded = tower.listener_vectors(np.concatenate([rows[:3], np.zeros(9, np.int32)])[None, :])

    np.testing.assert_allclose(short, padded, rtol=1e-6)


def test_newest_track_weighs_most() -> None:
    weights = TwoTower(catalogue(), decay=0.5).pooling(np.ones((1, 4), np.int32))[0]

    np.testing.assert_allclose(weights[1:] / weights[:-1], 0.5, rtol=1e-6)
    assert np.linalg.norm(weights) == pytest.approx(1.0, abs=1e-5)


def test_scores_are_products_of_both_towers_and_the_bias() -> None:
    table = catalogue()
    rows, tower = rows_of(table), TwoTower(table)
    table.bias[rows] = np.arange(len(rows))
    expected = [
        float(table.out_vectors(rows[[n]])[0] @ tower.listener_vectors(rows[None, :5])[0] + n) for n in range(24)
    ]

    np.testing.assert_allclose(tower.score_many(rows[:5], rows), expected, rtol=1e-5)


def test_replaying_learns_more_of_the_same_examples() -> None:
    scores = {}
    for replays in (0, 3):
        table, rows = plain_table(20)
        tower = TwoTower(table, uniform=8, replays=replays, seed=1)
        for _ in range(10):
            tower.learn_many(rows[None, :1], rows[5:6])
        scores[replays] = float(tower.score_many(rows[:1], rows[5:6])[0])

    assert scores[3] > scores[0]


def test_replay_buffer_is_bounded() -> None:
    table = catalogue()
    rows, tower = rows_of(table), TwoTower(table, uniform=4, replays=1, replay_max=10)
    for _ in range(5):
        tower.learn_many(rows[:4, None], rows[4:8])

    assert len(tower.replay) == 10


def test_a_full_batch_is_not_followed_by_a_replay() -> None:
    table, rows = plain_table(20)
    histories, targets = np.tile(rows[:1], (6, 1)), np.tile(rows[5:6], 6)
    vectors = []
    for replays in (0, 5):
        table, rows = plain_table(20)
        tower = TwoTower(table, uniform=8, replays=replays, replay_batch=5, seed=1)
        for _ in range(3):
            tower.learn_many(histories, targets)
        vectors.append(table.vectors.copy())

    np.testing.assert_array_equal(vectors[0], vectors[1])
