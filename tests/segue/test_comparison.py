"""Figures of two runs: what is worse by more than it may be is said, and nothing else."""

import json
from pathlib import Path

import pytest

from segue.cli import main
from segue.errors import InputError
from segue.evaluation.comparison import WATCHED, Value, compare

BASE: dict[str, Value] = {"scenario": "likes", "seed": 1, "tracks": 9000}
BASE |= {each.name: 0.1 for each in WATCHED["likes"]}
SKIPS: dict[str, Value] = {"scenario": "skips", "seed": 1}
SKIPS |= {each.name: 0.4 for each in WATCHED["skips"]}


@pytest.mark.parametrize(
    ("base", "name", "head", "lost"),
    [
        (BASE, "segue_hr_at_10", 0.096, False),
        (BASE, "segue_hr_at_10", 0.0959, True),
        (BASE, "segue_hr_at_10", 0.9, False),
        (SKIPS, "segue_log_loss", 0.403, False),
        (SKIPS, "segue_log_loss", 0.4031, True),
        (SKIPS, "segue_log_loss", 0.1, False),
    ],
)
def test_figure_may_be_worse_by_its_tolerance_and_better_by_anything(
    base: dict[str, Value], name: str, head: float, lost: bool
) -> None:
    changes = {each.watched.name: each.lost for each in compare(base, base | {name: head})}

    assert changes.pop(name) is lost
    assert not any(changes.values())


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (SKIPS, "the base is of likes, the head of skips"),
        (BASE | {"seed": 2}, "seed is 1 in the base and 2 in the head"),
        (BASE | {"segue_hr_at_10": None}, "segue_hr_at_10 of the head is None: expected a number"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(head: dict[str, Value], said: str) -> None:
    with pytest.raises(InputError, match=said):
        compare(BASE, head)


def test_command_ends_with_1_where_something_got_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base, worse = tmp_path / "base.json", tmp_path / "worse.json"
    base.write_text(json.dumps(BASE))
    worse.write_text(json.dumps(BASE | {"segue_recall_at_50": 0.05}))

    def code(*arguments: str) -> object:
        monkeypatch.setattr("sys.argv", ["segue", "compare", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        return ended.value.code

    assert code(str(base), str(base)) in (0, None)
    assert code(str(base), str(worse)) == 1
    assert "by more than the tolerance: segue_recall_at_50" in capsys.readouterr().err
    assert code(str(base), str(tmp_path / "none.json")) == 2
