"""`segue evaluate mixing`: serving's mix of several learners, beside one that learns all."""

import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from online_models.features import FEATURES
from online_models.ranker import OBJECTIVES
from segue.cli.main import app
from segue.evaluation.comparison import WATCHED
from segue.evaluation.examples import SKIP, Examples
from segue.evaluation.metrics import auc
from segue.evaluation.scenarios.mixing import CURVATURES, EXAMPLES, ONE, chances

PAGE = (Path(__file__).parents[2] / "docs" / "cli-figures.md").read_text()


def made_up(size: int, users: int) -> Examples:
    """Skips that one feature tells; which feature is told of, differs by listener."""
    rng = np.random.default_rng(1)
    owner = rng.integers(0, users, size)
    x = np.zeros((size, len(FEATURES)))
    x[np.arange(size), owner] = rng.normal(size=size)
    skipped = x.sum(1) + 0.5 * rng.normal(size=size) > 0.0
    labels = np.repeat(skipped[:, None], len(OBJECTIVES), axis=1).astype(np.float64)
    return Examples(
        x,
        labels,
        np.ones(labels.shape),
        labels,
        np.ones(size, np.bool_),
        np.arange(size),
        [f"u{each}" for each in owner.tolist()],
    )


def test_what_each_learner_knows_of_its_own_is_kept_by_curvatures_and_thinned_by_examples() -> None:
    examples = made_up(3000, 12)
    predicted = {name: each[1500:] for name, each in chances(examples).items()}
    areas = {name: auc(each, examples.labels[1500:, SKIP] > 0.0) for name, each in predicted.items()}

    assert areas[ONE] > 0.85
    assert abs(areas[CURVATURES] - areas[ONE]) < 0.01
    assert predicted[EXAMPLES].std() < 0.95 * predicted[CURVATURES].std()


def test_nobody_is_told_what_was_not_handed_out_yet() -> None:
    predicted = chances(made_up(1000, 12))

    for each in predicted.values():
        assert len(set(each[:512].tolist())) == 1
        assert len(set(each[512:].tolist())) > 400


def test_the_command_compares_them_and_explains_its_figures(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    argv = ["evaluate", "mixing", "--seeds", "1", "--listeners", "4", "--json", str(path)]
    result = CliRunner().invoke(app, argv)
    figures = json.loads(path.read_text())
    section = PAGE.partition("`mixing`, ")[2].partition("\n\n`")[0]

    assert result.exit_code == 0
    assert {each.name for each in WATCHED["mixing"]} <= figures.keys()
    for name in figures.keys() - {"scenario", "seed", "seeds"}:  # explained once for all scenarios
        measure = next((end for end in ("auc", "log_loss") if name.endswith(end)), None)
        assert f"`{name if measure is None else f'…_{measure}'}`" in section, name
