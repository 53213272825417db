"""Ranking blends what the objectives say by the weights of the surface."""

from dataclasses import replace

import numpy as np
import pytest

from online_models.ranker import OBJECTIVES
from serving.ranking import rank, unranked
from serving.slate import Query
from tests.builders import request
from tests.serving.worlds import KNOWN, candidates, names, query_of, world

WEIGHTS = {"next": 0.05, "complete": 0.6, "skip": 0.4, "like": 0.3}  # of the daily mix
EVEN = {name: [0.5, 0.5, 0.5] for name in OBJECTIVES}
CHANGED = {"weights.save": 0.3, "weights.late_skip": 0.4, "weights.share_heard": 0.2}


def query_whose_ranker_says(monkeypatch: pytest.MonkeyPatch, objectives: dict[str, list[float]]) -> Query:
    """Of the daily mix as an experiment changes it, so that every objective weighs."""
    said = {name: np.array(values) for name, values in objectives.items()}
    query = query_of(world(), request(KNOWN, surface="daily-mix"))
    assert query.surface.weights == WEIGHTS
    query = replace(query, surface=query.surface.changed_by({**CHANGED}))
    monkeypatch.setattr(query.replica.ranker, "score_many", lambda _: said)
    return query


@pytest.mark.parametrize(
    ("objective", "values", "first"),
    [
        ("complete", [0.1, 0.9, 0.1], "t2"),
        ("skip", [0.9, 0.9, 0.1], "t3"),
        ("like", [0.1, 0.1, 0.9], "t3"),
        ("save", [0.1, 0.9, 0.1], "t2"),
        ("late_skip", [0.9, 0.1, 0.9], "t2"),
        ("share_heard", [0.1, 0.1, 0.9], "t3"),
    ],
)
def test_each_objective_pulls_in_its_direction(
    objective: str, values: list[float], first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = query_whose_ranker_says(monkeypatch, {**EVEN, objective: values})

    ranked = rank(query, candidates(world(), "t1", "t2", "t3", fused=[0.5, 0.5, 0.5]))

    assert names(world(), ranked.candidates.rows)[0] == first


def test_the_utility_is_the_weighted_sum_best_first(monkeypatch: pytest.MonkeyPatch) -> None:
    objectives = {"complete": [0.2, 0.9, 0.5], "skip": [0.7, 0.1, 0.3], "like": [0.0, 0.4, 0.1]}
    later = {"save": [0.1, 0.2, 0.0], "late_skip": [0.1, 0.0, 0.2], "share_heard": [0.3, 0.9, 0.6]}
    query = query_whose_ranker_says(monkeypatch, objectives | later)

    ranked = rank(query, candidates(world(), "t1", "t2", "t3", fused=[2.0, 1.0, 0.6]))

    shares = [1.0, 0.5, 0.3]
    expected = [
        0.05 * share + 0.6 * complete - 0.4 * skip + 0.3 * like + 0.3 * save - 0.4 * late_skip + 0.2 * share_heard
        for share, complete, skip, like, save, late_skip, share_heard in zip(
            shares, *objectives.values(), *later.values(), strict=True
        )
    ]
    assert names(world(), ranked.candidates.rows) == ["t2", "t3", "t1"]
    assert ranked.utility.tolist() == pytest.approx(sorted(expected, reverse=True))
    assert ranked.objectives["complete"].tolist() == [0.9, 0.5, 0.2]


def test_what_the_listener_always_skips_is_ranked_below_what_they_hear_out() -> None:
    query = query_of(world(), request(KNOWN, surface="daily-mix"))
    tracks = query.listener.tracks
    heard = [each for each, memory in tracks.items() if memory.count >= 2 and memory.skips == 0.0]
    skipped = [each for each, memory in tracks.items() if memory.count >= 2 and memory.skips == memory.plays]
    assert heard
    assert skipped

    some = [*heard, *skipped]
    ranked = rank(query, candidates(world(), *some, fused=[0.5] * len(some)))

    skips = dict(zip(names(world(), ranked.candidates.rows), ranked.objectives["skip"].tolist(), strict=True))
    assert np.mean([skips[each] for each in heard]) < np.mean([skips[each] for each in skipped])


def test_there_is_nothing_to_rank_among_no_candidates() -> None:
    query = query_of(world(), request(KNOWN))

    assert len(rank(query, candidates(world()))) == 0


def test_without_time_the_fused_score_is_the_order() -> None:
    ranked = unranked(candidates(world(), "t1", "t2", fused=[0.9, 0.4]))

    assert (names(world(), ranked.candidates.rows), ranked.objectives) == (["t1", "t2"], {})
