"""`segue evaluate`: scenarios run, say the same twice, and every figure is on its page."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from segue.cli.evaluate import ScenarioName
from segue.cli.main import app
from segue.evaluation.bandit_peers import SQUARECB, RiverLinUCB, SquareCB
from segue.evaluation.bandit_players import Player, our_players
from segue.evaluation.bandit_worlds import ARMS, DIMS, KINDS, bandit_world
from segue.evaluation.comparison import WATCHED
from segue.evaluation.metrics import mean_interval
from segue.evaluation.peers import installed
from segue.evaluation.scenarios import SCENARIOS
from segue.evaluation.scenarios.bandits import NO_VOWPAL_WABBIT, play
from segue.evaluation.scenarios.scenario import Options

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "cli-figures.md").read_text()
vowpal_wabbit = pytest.mark.skipif(not installed("vowpalwabbit"), reason="the extra `peers` is not installed")


def run(rounds: int = 40, *, peers: bool = False) -> dict[str, float | int | str]:
    return SCENARIOS["bandits"].run(Options(seed=1, seeds=2, rounds=rounds, peers=peers), lambda *_: None).figures


def test_every_scenario_has_its_name_on_the_command_line() -> None:
    assert {name.value for name in ScenarioName} == set(SCENARIOS)


def test_regret_is_the_same_twice() -> None:
    first, second = (
        {name: value for name, value in run().items() if "regret" in name and np.isfinite(value)} for _ in range(2)
    )

    assert first == second
    assert len(first) > 40
    assert {each.name.replace("_of_random", "_regret") for each in WATCHED["bandits"]} <= first.keys()


def test_worlds_are_functions_of_their_seed() -> None:
    for kind in KINDS:
        first, second, other = (bandit_world(kind, seed, 50) for seed in (1, 1, 2))

        assert np.array_equal(first.rewards, second.rewards)
        assert not np.array_equal(first.rewards, other.rewards)
        assert first.contexts.shape == (50, DIMS)
        assert first.means.shape == first.rewards.shape == (50, ARMS)
        assert (first.features is None) == (kind == "disjoint")


@pytest.mark.parametrize("kind", KINDS)
def test_rewards_are_what_the_means_say(kind: str) -> None:
    world = bandit_world(kind, 1, 2000)

    assert (world.rewards - world.means).mean(0) == pytest.approx(np.zeros(ARMS), abs=0.06)
    assert world.random_regret > world.fixed_regret > 0.0


class Knows:
    """Plays what is the best, or the worst."""

    def __init__(self, means: np.ndarray, best: bool) -> None:
        self.arms = iter((means if best else -means).argmax(1).tolist())

    def choose(self, context: np.ndarray) -> int:
        return int(next(self.arms))

    def learn(self, reward: float) -> None: ...


def test_regret_is_the_distance_from_the_best_arm() -> None:
    world = bandit_world("linear", 1, 30)

    assert play(world, Knows(world.means, True))[0] == 0.0
    assert play(world, Knows(world.means, False))[0] == pytest.approx((world.means.max(1) - world.means.min(1)).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_our_players_learn(kind: str) -> None:
    world = bandit_world(kind, 3, 1500)
    for name, make in our_players(world, 1).items():
        if name in ("linucb-shared", "thompson-shared", "thompson-logistic", "linucb-disjoint"):
            assert play(world, make())[0] < 0.6 * world.random_regret, name


def learns(player: Player) -> None:
    """Two arms are told apart."""
    context = np.zeros(DIMS)
    context[0] = 1.0
    chosen = []
    for _ in range(300):
        arm = player.choose(context)
        assert 0 <= arm < ARMS
        player.learn(1.0 if arm < 50 else 0.0)
        chosen.append(arm < 50)

    assert np.mean(chosen[-50:]) > 0.6


def test_river_plays() -> None:
    learns(RiverLinUCB(1))


@vowpal_wabbit
@pytest.mark.parametrize("options", SQUARECB.values())
@pytest.mark.parametrize("kind", ["linear", "disjoint"])
def test_vowpal_wabbit_plays(kind: str, options: str) -> None:
    player = SquareCB(bandit_world(kind, 1, 1), 1, options)
    for _ in range(3):
        assert 0 <= player.choose(np.ones(DIMS)) < ARMS
        player.learn(0.5)


def test_a_peer_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("segue.evaluation.bandit_peers", "segue.evaluation.scenarios.bandits"):
        monkeypatch.setattr(f"{module}.installed", lambda _package: False)
    report = SCENARIOS["bandits"].run(Options(seeds=1, rounds=2), lambda *_: None)

    assert report.notes[0] == NO_VOWPAL_WABBIT
    assert [note.partition(" has ")[0] for note in report.notes[1:]] == [
        "linear world: linucb-shared",
        "logistic world: linucb-shared",
        "disjoint world: linucb-disjoint",
    ]
    ours, river = report.figures["linear_linucb_shared_regret"], report.figures["linear_river_linucb_regret"]
    assert report.figures["linear_over_river_linucb_regret_ratio"] == pytest.approx(ours / river)
    assert report.figures["linear_over_river_linucb_speed_ratio"] > 1.0
    assert all(f"_{name}`" in PAGE for name in ("regret_ratio", "speed_ratio"))
    assert "linear_river_linucb_regret" in report.figures
    assert not any("vw" in name for name in report.figures)


def test_the_command_prints_tables_and_writes_figures_that_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    argv = ["evaluate", "bandits", "--rounds", "3", "--seeds", "1", "--no-peers", "--json", str(path)]
    done = CliRunner().invoke(app, argv, catch_exceptions=False)
    figures = json.loads(path.read_text())

    assert done.exit_code == 0
    assert "linear world" in done.output
    assert figures["scenario"] == "bandits"
    assert figures["linear_ucb1_regret_low"] is None  # there is no interval over one seed
    section = PAGE.partition("## `segue evaluate`")[2].partition("\n## ")[0]
    for name in figures:
        world, _, rest = name.partition("_")
        if world in KINDS:
            suffix = re.search(r"_(regret|regret_low|regret_high|of_random|decisions_per_s|rounds_per_s)$", name)
            assert suffix is not None, name
            assert f"_{suffix[1]}`" in section
            assert f"`{rest.removesuffix(suffix[0]).replace('_', '-')}`" in section
        else:
            assert f"`{name}`" in section


@pytest.mark.parametrize("scenario", sorted(set(SCENARIOS) - {"drift", "listening"}))
def test_curves_of_a_scenario_that_draws_none_are_refused(scenario: str, tmp_path: Path) -> None:
    argv = ["evaluate", scenario, "--rounds", "1", "--data", str(tmp_path), "--plot", str(tmp_path / "curves.png")]
    done = CliRunner().invoke(app, argv)

    assert done.exit_code == 2
    assert f"{scenario} draws no curves" in done.output


def test_interval_over_runs_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = [low <= 0.0 <= high for _, low, high in (mean_interval(rng.normal(size=4)) for _ in range(2000))]

    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)
