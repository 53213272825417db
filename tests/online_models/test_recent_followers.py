"""What followed each track lately: what is told, how it fades, and how likely each is drawn."""

import numpy as np

from online_models.recent_followers import RecentFollowers
from online_models.track import Rows


def taught(
    pairs: list[tuple[int, int]], *, places: int = 4, seed: int = 1
) -> tuple[RecentFollowers, np.random.Generator]:
    """Followers that were told of pairs (heard, then), one after the other."""
    followers, rng = RecentFollowers(places=places), np.random.default_rng(seed)
    for heard, then in pairs:
        followers.add(np.array([[heard]], np.int32), np.array([then], np.int32), rng)
    return followers, rng


def test_what_is_drawn_followed_what_the_listener_heard() -> None:
    followers, rng = taught([(1, 11), (2, 12), (3, 13)] * 40)
    drawn, recalled, _ = followers.draw(np.array([[1, 2, 0]], np.int32), 50, rng)

    assert set(drawn.tolist()) == {11, 12}
    assert set(recalled.tolist()) <= {0, 11, 12}


def test_each_is_drawn_as_often_as_is_said() -> None:
    followers, rng = taught([(1, 11), (1, 12), (1, 12), (2, 11), (2, 13)] * 3, places=8)
    histories: Rows = np.array([[1, 2], [2, 1], [2, 0]], np.int32)
    drawn_of, expected = np.zeros(20), np.zeros(20)
    for _ in range(3000):
        drawn, recalled, chance = followers.draw(histories, 8, rng)
        drawn_of += np.bincount(drawn, minlength=20)
        expected += chance * np.bincount(recalled, minlength=20)

    np.testing.assert_allclose(drawn_of[11:14], expected[11:14], rtol=0.05)
    assert drawn_of[11:14].min() > 1000


def test_what_followed_long_ago_fades() -> None:
    followers, rng = taught([(1, 11)] * 50 + [(1, 12)] * 50)
    _, recalled, _ = followers.draw(np.array([[1]], np.int32), 1, rng)

    assert set(recalled.tolist()) == {12}


def test_nothing_is_drawn_of_what_is_not_known() -> None:
    followers, rng = taught([(1, 11)])
    drawn, _, _ = followers.draw(np.array([[0, 5], [7, 100_000]], np.int32), 20, rng)

    assert drawn.tolist() == []
