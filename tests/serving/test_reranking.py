"""Re-ranking orders a list: each answers every place once, and better than it was in what it is for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.reranking.balance import balance
from serving.reranking.mmr import mmr
from serving.reranking.spacing import space_artists

SEEDED = settings(derandomize=True, deadline=None, max_examples=100, database=None)


@given(familiar=st.lists(st.booleans(), max_size=60), share=st.floats(0.0, 1.0))
@SEEDED
def test_balance_keeps_every_track_and_the_order_of_each_kind(familiar: list[bool], share: float) -> None:
    order = balance(np.array(familiar, np.bool_), share)

    assert sorted(order) == list(range(len(familiar)))
    for kind in (True, False):
        of_kind = [source for source in order if familiar[source] is kind]
        assert of_kind == sorted(of_kind)


@given(familiar=st.integers(1, 30), new=st.integers(1, 30), share=st.floats(0.0, 1.0))
@SEEDED
def test_every_beginning_holds_about_the_share_while_there_are_both_kinds(
    familiar: int, new: int, share: float
) -> None:
    kinds = np.array([True] * familiar + [False] * new)

    order = [bool(kinds[source]) for source in balance(kinds, share)]

    for size in range(1, len(order) + 1):
        if sum(order[:size]) < familiar and size - sum(order[:size]) < new:
            assert abs(sum(order[:size]) - share * size) <= 1.0


@given(artists=st.lists(st.integers(0, 6), max_size=50), spacing=st.integers(0, 8))
@SEEDED
def test_spacing_keeps_every_track_and_comes_too_near_only_where_nobody_else_is_left(
    artists: list[int], spacing: int
) -> None:
    order = space_artists(artists, spacing)

    assert sorted(order) == list(range(len(artists)))
    for place, source in enumerate(order):
        last = [artists[each] for each in order[max(0, place - spacing) : place]] if spacing else []
        if artists[source] and artists[source] in last:
            assert all(artists[each] and artists[each] in last for each in order[place:])


@given(artists=st.lists(st.integers(0, 6), max_size=50), spacing=st.integers(0, 8), size=st.integers(0, 60))
@SEEDED
def test_spacing_of_so_many_places_is_the_beginning_of_all(artists: list[int], spacing: int, size: int) -> None:
    assert space_artists(artists, spacing, size) == space_artists(artists, spacing)[:size]


def test_without_spacing_the_order_stays() -> None:
    assert space_artists([1, 1, 1, 2], 0) == [0, 1, 2, 3]


@given(n=st.integers(0, 40), strength=st.floats(0.0, 1.0), seed=st.integers(0, 1000))
@SEEDED
def test_diversity_keeps_every_track_and_the_best_first(n: int, strength: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    utility = np.sort(rng.random(n))[::-1].copy()

    order = mmr(utility, rng.normal(size=(n, 4)).astype(np.float32), strength, n)

    assert sorted(order.tolist()) == list(range(n))
    if n and strength < 1.0:
        assert order[0] == 0


@pytest.mark.parametrize(("strength", "expected"), [(0.0, [0, 1, 2]), (0.6, [0, 2, 1])])
def test_the_stronger_diversity_is_the_sooner_comes_what_is_unlike(strength: float, expected: list[int]) -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.05], [0.0, 1.0]], np.float32)

    assert mmr(np.array([1.0, 0.9, 0.7]), vectors, strength, 3).tolist() == expected


def test_diversity_answers_for_vectors_that_are_all_nothing() -> None:
    assert mmr(np.array([0.5, 0.4, 0.3]), np.zeros((3, 4), np.float32), 0.5, 3).tolist() == [0, 1, 2]


def test_diversity_looks_no_further_than_the_places_that_are_asked_for() -> None:
    assert len(mmr(np.linspace(1.0, 0.0, 10), np.eye(10, dtype=np.float32), 0.3, 4)) == 4
