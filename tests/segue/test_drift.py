"""`segue evaluate drift`: worlds whose tastes turn are the same until then, and the care of the ranker shows."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from segue.cli.main import app
from segue.evaluation.comparison import WATCHED
from segue.evaluation.scenarios.drift import Course
from segue.simulation.listens import Turned, listens
from segue.simulation.lives import Lives
from segue.simulation.world import World

PAGE = (Path(__file__).parents[2] / "docs" / "cli-figures.md").read_text()


def test_a_turned_world_is_the_same_until_it_turns() -> None:
    world = World(1, listeners=6, visits=10)
    turned_ms = world.visits[30].at_ms
    calm, turned = (list(listens(world, lives, 1)) for lives in (Lives(world), Turned(world, turned_ms)))
    same = [event for event in calm if event.at_ms < turned_ms]

    assert len(same) > 50
    assert turned[: len(same)] == same
    assert turned != calm


def test_the_plays_until_the_loss_is_back_are_counted_to_the_end_of_a_window() -> None:
    losses = np.concatenate([np.full(4000, 0.5), np.full(700, 0.8), np.full(2000, 0.5)])
    course = Course(losses, 4000, None, 0)

    assert course.before == 0.5
    assert course.back_after == 700 + 500 - int(500 * 0.025 / 0.3)
    assert Course(losses[:4700], 4000, None, 0).back_after == 700


@pytest.mark.slow
def test_the_command_shows_both_rankers_draws_them_and_explains_its_figures(tmp_path: Path) -> None:
    path, png = tmp_path / "figures.json", tmp_path / "curves.png"
    argv = ["evaluate", "drift", "--seeds", "1", "--listeners", "40", "--json", str(path), "--plot", str(png)]
    result = CliRunner().invoke(app, argv)
    figures = json.loads(path.read_text())
    section = PAGE.partition("`drift`, made-up worlds")[2].partition("\n\n`")[0]

    assert result.exit_code == 0
    assert png.stat().st_size > 10_000
    assert {each.name for each in WATCHED["drift"]} <= figures.keys()
    assert figures["turns_found"] == 1
    assert figures["care_log_loss_after"] < figures["no_care_log_loss_after"]
    assert figures["care_log_loss_before"] == figures["no_care_log_loss_before"]
    for name in figures.keys() - {"scenario", "seed", "seeds"}:  # explained once for all scenarios
        shown = f"…_{name.removeprefix('no_').removeprefix('care_')}" if "care_" in name else name
        assert f"`{shown}`" in section, name
