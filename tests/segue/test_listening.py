"""`segue evaluate listening`: a seeded world, lives in it, and strategies that learn from what their own playlists bring about."""

import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from online_models.track import DAY_MS, Doubles
from segue.cli.main import app
from segue.evaluation.comparison import WATCHED
from segue.evaluation.listening import BUCKETS, Loop, by_bucket, live_through
from segue.evaluation.listening_bandits import Bandit, Demographic, MakePolicy, lin_ucb, thompson, ucb
from segue.evaluation.listening_start import LEAST, MetaStart
from segue.evaluation.listening_strategies import Content, Listed, Oracle, Popularity, Segue, TwoTower
from segue.evaluation.peers import installed
from segue.evaluation.scenarios import SCENARIOS
from segue.evaluation.scenarios.listening import (
    BASELINES,
    ITEMKNN,
    ORACLE,
    OURS,
    STARTS,
    UNEXPLORED,
    VOWPAL_WABBIT,
    strategies,
)
from segue.evaluation.scenarios.scenario import Options, Report
from segue.simulation.catalogue import TAGS
from segue.simulation.lives import Lives, Session
from segue.simulation.world import BEGIN_MS, PAUSE_MS, SIZE, Visit, World
from streams.messages import Profile, Track

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "cli-figures.md").read_text()
peers = pytest.mark.skipif(
    not installed("implicit") or not installed("vowpalwabbit"), reason="the extra `peers` is not installed"
)


class Scripted(Listed):
    """Scores every track as it is told."""

    def __init__(self, world: World, scores: Doubles) -> None:
        super().__init__(world.listeners, len(world.tracks))
        self.scores, self.told = scores, list[tuple[str, int]]()

    def release(self, tracks: Sequence[Track]) -> None:
        super().release(tracks)
        self.told += [("release", track.released_ms or 0) for track in tracks]

    def introduce(self, profile: Profile) -> None: ...

    def recommend(self, visit: Visit, request_id: str) -> list[int]:
        self.told.append(("visit", visit.at_ms))
        return super().recommend(visit, request_id)

    def score(self, visit: Visit) -> Doubles:
        return self.scores

    def learn_one(self, visit: Visit, track: int, completed: bool) -> None: ...


def world(seed: int = 1, listeners: int = 6) -> World:
    return World(seed, listeners=listeners)


def loop(of: World, strategy: object = None, *, lives: Lives | None = None) -> Loop:
    lives = lives or Lives(of)
    strategy = strategy or Scripted(of, np.random.default_rng(1).random(len(of.tracks)))
    return live_through(of, lives, strategy, lambda _done: None)  # type: ignore[arg-type]


def test_a_world_is_a_function_of_its_seed() -> None:
    first, second, other = world(), world(), world(2)

    assert first.tracks == second.tracks
    assert first.visits == second.visits
    assert np.array_equal(first.taste(first.visits[7]), second.taste(second.visits[7]))
    assert first.tracks != other.tracks


def test_visits_of_one_listener_do_not_overlap() -> None:
    of = world(listeners=30)
    at_ms = [sorted(visit.at_ms for visit in of.visits if visit.listener == one) for one in range(30)]

    assert min(np.diff(each).min() for each in at_ms) >= PAUSE_MS
    assert (SIZE + 1) * (int(of.durations_ms.max()) + 1000) < PAUSE_MS


def test_tastes_drift_from_visit_to_visit() -> None:
    of = world(listeners=30)
    near, far = (
        np.mean([np.corrcoef(of.taste(Visit(one, 0, 0)), of.taste(Visit(one, later, 0)))[0, 1] for one in range(30)])
        for later in (1, 14)
    )

    assert 0.2 < far < near < 0.999


def test_a_track_bores_after_it_was_heard_and_is_liked_more_when_it_comes_again_much_later() -> None:
    of = world()
    lives, visit = Lives(of), of.visits[-1]
    before = lives.liking(visit)
    track = int(np.isfinite(before).nonzero()[0][0])
    lives.live(visit, [track], "r")
    soon, late = (
        lives.liking(Visit(visit.listener, visit.number, visit.at_ms + days * DAY_MS))[track] for days in (0, 30)
    )

    assert soon < before[track] - 0.5
    assert late > before[track]


def test_what_stands_low_is_heard_less() -> None:
    of = world(listeners=20)
    lives, begun = Lives(of), np.zeros(SIZE)
    for visit in of.visits:
        playlist = np.flatnonzero(of.released_ms <= visit.at_ms)[:SIZE].tolist()
        session = lives.live(visit, playlist, "r")
        begun[: len(session.heard)] += 1

        assert session.heard == playlist[: len(session.heard)]
        assert [event.position for event in session.events if event.kind != "like"] == [
            None,
            *range(len(session.heard)),
        ]

    assert np.all(np.diff(begun) < 0)


def test_copies_that_get_the_same_playlists_live_the_same_lives() -> None:
    of = world()
    first, second = loop(of), loop(of)

    assert first == second


def test_completed_listens_are_what_the_chances_say() -> None:
    seen = loop(world(3, listeners=60))

    assert np.mean(seen.completed) == pytest.approx(np.mean(seen.expected), abs=0.15)


def test_who_knows_the_tastes_has_no_regret_and_all_others_have() -> None:
    of = world(listeners=20)
    lives = Lives(of)
    best, other = loop(of, Oracle(lives), lives=lives), loop(of)
    regrets = [np.mean(np.array(each.best) - np.array(each.expected)) for each in (best, other)]

    assert abs(regrets[0]) < 0.2
    assert regrets[1] > 1.5
    assert abs(np.mean(best.lost)) < 0.1 < 0.2 < np.mean(other.lost)  # one artist twice is liked less


def test_a_strategy_is_told_of_a_track_when_it_is_out_and_not_before() -> None:
    of = world()
    strategy = Scripted(of, of.released_ms.astype(np.float64))  # the newest first, so that one told too early is played
    loop(of, strategy)
    now_ms, releases = 0, 0
    for what, at_ms in strategy.told[::-1]:
        if what == "visit":
            now_ms = at_ms
        else:
            releases += at_ms > BEGIN_MS
            assert at_ms <= now_ms

    assert releases > 3


def test_listens_are_counted_by_how_known_the_track_and_the_listener_are() -> None:
    of = world(listeners=2)
    seen = loop(of)
    expected = list[int]()
    known = [0, 0]
    for whose, heard in zip(seen.listeners, seen.heard, strict=True):
        expected += [known[whose]] * heard
        known[whose] += heard + 1  # and one that they chose themselves

    assert expected == seen.plays
    assert len(seen.finished) == len(seen.impressions) == len(seen.new) == sum(seen.heard)
    assert 0 in seen.impressions
    assert max(seen.impressions) < len(of.visits)
    assert sum(seen.finished) == sum(seen.completed)


def test_buckets_hold_every_listen_once() -> None:
    counts = np.array([0, 1, 4, 5, 19, 20, 500])
    listens, shares = by_bucket(counts, np.array([1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]))

    assert listens.tolist() == [1, 2, 2, 2]
    assert shares.tolist() == [1.0, 0.5, 1.0, 0.5]
    assert len(BUCKETS) == 4


def test_segue_without_exploration_explores_nothing() -> None:
    of = world(listeners=3)
    offered = dict[str, int]()
    for name, settings in (("with", None), ("without", {"explore_every": 0})):
        strategy = Segue(1, settings)  # type: ignore[arg-type]
        loop(of, strategy)
        rows = [strategy.cluster.learner.listeners.get(f"u{one}") for one in range(3)]
        offered[name] = sum(len(row.offered) for row in rows)

    assert offered["with"] > offered["without"] == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda of: Popularity(20, 200),
        lambda of: Content(20, of.tags),
        lambda of: Demographic(20, 200),
        lambda of: Bandit(20, of.tags, 1, thompson),
        lambda of: MetaStart(20, of.tags),
    ],
    ids=["popularity", "content", "demographic", "thompson", "meta-start"],
)
def test_a_simple_strategy_does_better_than_chance(make: Callable[[World], Listed]) -> None:
    of = world(4, listeners=20)

    assert np.mean(loop(of, make(of)).completed) > 1.2 * np.mean(loop(of).completed)


@pytest.mark.parametrize("make", [ucb, lin_ucb, thompson])
def test_a_bandit_is_taught_each_listen_of_its_playlists_and_the_listeners_own(make: MakePolicy) -> None:
    of, taught = world(), list[tuple[int, float]]()
    strategy = Bandit(of.listeners, of.tags, 1, make)
    learn_one = strategy.policy.learn_one

    def noted(context: Doubles, arm: int, reward: float) -> None:
        taught.append((arm, reward))
        learn_one(context, arm, reward)

    strategy.policy.learn_one = noted  # type: ignore[method-assign]
    seen = loop(of, strategy)
    released = strategy.released

    assert len(taught) == sum(seen.heard) + len(of.visits)
    assert sum(reward for _, reward in taught) >= sum(seen.completed)
    assert all(released[arm] for arm, _ in taught)


def test_who_joins_begins_where_those_who_have_listened_for_long_ended_up() -> None:
    tags = np.eye(2, len(TAGS), dtype=np.bool_)[np.arange(40) % 2]  # two tags in turn; everybody completes the first
    learnt, guessed = (MetaStart(11, tags, meta=meta) for meta in (0.15, 0.0))
    for strategy in (learnt, guessed):
        strategy.release([Track(f"t{n}", "") for n in range(40)])
        for listener in range(10):
            strategy.introduce(Profile(user_id=f"u{listener}", favourite_tags=[TAGS[5]]))
            for track in range(2 * LEAST):
                strategy.learn_one(Visit(listener, 0, 0), track, track % 2 == 0)
            strategy.learn(Visit(listener, 0, 0), Session([], 0))
        strategy.introduce(Profile(user_id="u10", favourite_tags=[TAGS[5]]))
    strategy_tags = slice(3, 5)

    assert (learnt.start[:, strategy_tags] @ [1.0, -1.0] > 0.1).all()
    assert (guessed.start[:, strategy_tags] == 0.0).all()
    gaps = [np.diff(each.score(Visit(10, 0, 0))[:2])[0] for each in (learnt, guessed)]
    assert gaps[0] < gaps[1] - 0.1


def test_segue_and_its_tower_do_better_than_chance() -> None:
    of = world(5)
    chance = np.mean(loop(of).completed)

    assert np.mean(loop(of, Segue(1)).completed) > 1.3 * chance
    assert np.mean(loop(of, TwoTower(1)).completed) > chance


@peers
def test_item_neighbours_do_better_than_chance() -> None:
    from segue.evaluation.listening_peers import ItemKNN

    of = world(4, listeners=20)

    assert np.mean(loop(of, ItemKNN(20, 200)).completed) > 1.2 * np.mean(loop(of).completed)


@peers
def test_vowpal_wabbit_chooses_among_what_both_propose_and_learns_what_was_heard() -> None:
    from segue.evaluation.listening_peers import VowpalWabbit

    of = world(listeners=8)
    strategy, learnt = VowpalWabbit(8, 80, 1), list[str]()
    vw, recommend = strategy._vw, strategy.recommend
    strategy._vw = SimpleNamespace(predict=vw.predict, learn=lambda lines: (learnt.extend(lines), vw.learn(lines)))

    def within_proposed(visit: Visit, request_id: str) -> list[int]:
        proposed, playlist = strategy._candidates(visit), recommend(visit, request_id)
        assert set(playlist) < set(proposed) < set(strategy.neighbours.released.nonzero()[0].tolist())
        return playlist

    strategy.recommend = within_proposed  # type: ignore[method-assign]
    seen = loop(of, strategy)
    labelled = [line for line in learnt if not line.startswith("|")]

    assert len(labelled) == sum(seen.heard)
    assert sum(line.startswith("0:-1:") for line in labelled) == sum(seen.completed)
    assert all(0.0 < float(line.split(" ")[0].split(":")[2]) <= 1.0 for line in labelled)


@cache
def run() -> Report:
    return SCENARIOS["listening"].run(Options(seeds=2, listeners=2, peers=False), lambda *_: None)


def test_the_scenario_tells_strategies_apart_with_intervals() -> None:
    first = run()

    assert {each.name for each in WATCHED["listening"]} <= first.figures.keys()
    assert float(first.figures["oracle_regret"]) < float(first.figures["segue_regret"])
    low, mean, high = (float(first.figures[f"segue_completed{end}"]) for end in ("_low", "", "_high"))
    assert low < mean < high
    assert sum(int(n) for name, n in first.figures.items() if re.match("segue_new_listener_.*_listens", name)) > 100


def test_peers_that_are_not_installed_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segue.evaluation.scenarios.listening.installed", lambda package: package == "implicit")
    makers, missing = strategies(Options())

    assert ITEMKNN in makers
    assert VOWPAL_WABBIT not in makers
    assert missing == [
        "implicit or vowpalwabbit is not installed, so vw-squarecb did not play: pip install 'segue[peers]'"
    ]


def test_the_command_says_the_same_again_draws_its_curves_and_explains_its_figures(tmp_path: Path) -> None:
    path, png = tmp_path / "figures.json", tmp_path / "cold.png"
    argv = ["evaluate", "listening", "--listeners", "2", "--seeds", "2", "--no-peers"]
    done = CliRunner().invoke(app, [*argv, "--json", str(path), "--plot", str(png)], catch_exceptions=False)
    figures = json.loads(path.read_text())
    section = PAGE.partition("## `segue evaluate`")[2].partition("\n## ")[0]

    assert done.exit_code == 0
    assert "completed listens of a playlist" in done.output
    again = orjson.loads(orjson.dumps(run().figures))
    assert {name: figures[name] for name in figures if name in again} == again
    assert figures.keys() - again.keys() <= {"scenario"}
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "curves:" in done.output
    names = {name.replace("-", "_"): name for name in (*BASELINES, *STARTS, OURS, UNEXPLORED, ORACLE)}
    for figure in figures:
        strategy = next((each for each in sorted(names, key=len, reverse=True) if figure.startswith(f"{each}_")), None)
        if strategy is None or "_over_" in figure:
            assert f"`{figure.removesuffix('_low').removesuffix('_high')}`" in section, figure
            continue
        rest = re.sub(r"_(0|1_to_4|5_to_19|20_up)_(completed|listens|regret)$", r"_…_\2", figure.removeprefix(strategy))
        assert f"`…{rest}`" in section, rest
        assert f"`{names[strategy]}`" in section
    assert {ITEMKNN, VOWPAL_WABBIT}.isdisjoint(figures)


def test_sessions_are_of_the_listener_who_visits() -> None:
    of = world()
    session: Session = Lives(of).live(of.visits[0], [0, 1], "r")

    assert {event.user_id for event in session.events} == {f"u{of.visits[0].listener}"}
    assert len({event.event_id for event in session.events}) == len(session.events)
