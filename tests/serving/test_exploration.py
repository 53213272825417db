"""Exploration: which new tracks a place is drawn from."""

import numpy as np
import pytest

from online_models.ranker import OBJECTIVES
from online_models.track import NO_ROWS, Doubles, Rows
from serving.candidates.fresh import fresh
from serving.exploration import LIKELY, POOL, explore, pool_of
from serving.ranking import rank_beside
from serving.slate import Candidates
from tests.builders import request
from tests.serving.worlds import UNKNOWN, query_of, world


@pytest.mark.parametrize(("size", "drawn_from"), [(10, LIKELY), (100, 20)])
def test_a_place_is_drawn_from_those_that_the_ranker_thinks_likeliest(
    size: int, drawn_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = query_of(world(), request(UNKNOWN, surface="daily-mix", size=size))
    pools, chances = list[Rows](), list[Doubles]()

    def choose(pool: Rows, _: int, __: np.random.Generator) -> list[tuple[int, float]]:
        pools.append(pool)
        return [(int(pool[0]), 1.0)]

    def says(x: Doubles) -> dict[str, Doubles]:
        chances.append(np.random.default_rng(len(x)).permutation(len(x)) / len(x))
        return dict.fromkeys(OBJECTIVES, np.zeros(len(x))) | {"complete": chances[-1], "skip": 1.0 - chances[-1]}

    monkeypatch.setattr(query.replica.bandit, "choose_some", choose)
    monkeypatch.setattr(query.replica.ranker, "score_many", says)
    nobody = Candidates(NO_ROWS, np.zeros((0, 0)), np.zeros(0))
    explored = explore(query, [], rank_beside(query, nobody, pool_of(query))[1])

    new = fresh(query, POOL)[0]
    likeliest = new[np.argsort(-chances[0])[:drawn_from]]
    assert likeliest.tolist() == pools[0].tolist()
    assert explored[0].row == likeliest[0]
