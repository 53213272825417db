"""`segue evaluate skips`: every play's skip is predicted from the past alone, by us and by the peers, on the same features."""

import dataclasses
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from online_models.factorisation_machine import slot_of
from segue.cli.main import app
from segue.errors import InputError
from segue.evaluation.comparison import WATCHED
from segue.evaluation.metrics import auc, calibration_error
from segue.evaluation.peers import installed
from segue.evaluation.scenarios import SCENARIOS
from segue.evaluation.scenarios.scenario import Options, Report
from segue.evaluation.scenarios.skips import ended_of
from segue.evaluation.skip_log import MEASURES, Doubles, Resampled, SkipLog, interval, worth
from segue.evaluation.skip_machine import FIELDS, factorisation_machine, identities_of, knowing_the_end
from segue.evaluation.skip_peers import base_rate, light_gbm, vowpal_wabbit
from streams.messages import ListeningEvent, Track

Whole = NDArray[np.int64]

PAGE = (Path(__file__).parents[2] / "docs" / "cli-figures.md").read_text()
PLAYS, LISTENERS, MINUTE_MS = 400, 4, 60_000
needs_lightgbm = pytest.mark.skipif(not installed("lightgbm"), reason="the extra `peers` is not installed")
needs_vowpal_wabbit = pytest.mark.skipif(not installed("vowpalwabbit"), reason="the extra `peers` is not installed")


@pytest.fixture(scope="module")
def listens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made up: everybody skips the first eight of twenty tracks; some plays are liked."""
    rng = np.random.default_rng(1)
    events = list[ListeningEvent]()
    for n, track in enumerate(rng.integers(0, 20, PLAYS).tolist()):
        user, at_ms = f"u{n % LISTENERS}", 1_700_000_000_000 + 4 * MINUTE_MS * n
        kind, played_ms = ("skip", 5_000) if track < 8 else ("play", 180_000)
        events.append(ListeningEvent(f"e{n}", at_ms, user, f"t{track}", kind, played_ms))  # type: ignore[arg-type]
        if n % 50 == 0:
            events.append(ListeningEvent(f"l{n}", at_ms + 1, user, f"t{track}", "like"))
    path = tmp_path_factory.mktemp("skips") / "listens.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode(event) for event in events))
    return path


@pytest.fixture(scope="module", name="report")
def _report(listens: Path) -> Report:
    return run(listens)


def run(path: Path, *, peers: bool = False) -> Report:
    return SCENARIOS["skips"].run(Options(peers=peers, data=path, refit_days=1), lambda *_: None)


def made_up(size: int = 900, seed: int = 1) -> SkipLog:
    """Skips that the first feature tells, on some days of three listeners."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 3))
    skipped = x[:, 0] + 0.5 * rng.normal(size=size) > 0.4
    return log_of(x, rng.integers(0, 3, size), skipped, np.arange(size) // 100)


def log_of(x: Doubles, listeners: Whole, skipped: NDArray[np.bool_], days: Whole) -> SkipLog:
    """A log whose only identity is its listener."""
    slots = [[slot_of("listener", str(each))] for each in listeners.tolist()]
    return SkipLog(x, listeners, skipped, days, np.full(len(x), 4.0), np.array(slots, np.intp))


def refit(log: SkipLog) -> Doubles:
    return light_gbm(log, 1, 1, lambda *_: None)


def test_segue_beats_the_base_rate_where_tracks_tell(report: Report) -> None:
    figures = report.figures

    assert (figures["plays"], figures["listeners"], figures["events"]) == (PLAYS, LISTENERS, PLAYS + 8)
    assert {each.name for each in WATCHED["skips"]} <= figures.keys()
    assert float(figures["segue_auc"]) > 0.8 > 0.6 > float(figures["base_rate_auc"])
    assert float(figures["segue_auc_low"]) <= float(figures["segue_auc"]) <= float(figures["segue_auc_high"])
    assert float(figures["segue_less_base_rate_auc_low"]) > 0.1
    assert 0.0 <= float(figures["like_calibration_error"]) < 0.1


def test_it_says_the_same_twice(report: Report, listens: Path) -> None:
    first, second = (
        {name: value for name, value in each.figures.items() if not name.endswith("_us")}
        for each in (report, run(listens))
    )

    assert json.dumps(first) == json.dumps(second)


def test_a_log_without_plays_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "likes.jsonl"
    path.write_bytes(msgspec.json.encode(ListeningEvent("e1", 1_700_000_000_000, "u1", "t1", "like")))
    with pytest.raises(InputError, match="--data"):
        run(path)


def test_base_rate_is_the_listeners_own_until_then() -> None:
    log = log_of(np.zeros((3, 1)), np.array([0, 1, 0]), np.array([True, True, True]), np.zeros(3, np.int64))

    assert base_rate(log).tolist() == pytest.approx([0.35, 0.35, (1 + 5 * 0.35) / 6])


@needs_lightgbm
def test_lightgbm_learns_the_days_before_alone() -> None:
    log = made_up()
    skipped = log.skipped.copy()
    skipped[700:] = ~skipped[700:]
    other = log_of(log.x, log.listeners, skipped, log.days)
    predicted, changed = refit(log), refit(other)

    assert predicted[:700].tolist() == changed[:700].tolist()
    assert predicted[800:].tolist() != changed[800:].tolist()
    assert predicted[:200].tolist() == base_rate(log)[:200].tolist()
    assert auc(predicted[300:], log.skipped[300:]) > 0.85


def test_factorisation_machine_predicts_before_it_learns() -> None:
    log = made_up(2000)
    skipped = log.skipped.copy()
    skipped[1760:] = ~skipped[1760:]
    other = log_of(log.x, log.listeners, skipped, log.days)
    predicted, changed = (factorisation_machine(each, 1) for each in (log, other))

    assert predicted[:1776].tolist() == changed[:1776].tolist()  # a micro-batch is predicted before any of it is learnt
    assert predicted[1776:].tolist() != changed[1776:].tolist()
    assert auc(predicted[300:1760], log.skipped[300:1760]) > 0.85


def test_identities_are_those_that_are_known_when_a_play_begins() -> None:
    plays = [
        ListeningEvent(f"e{n}", 1_700_000_000_000 + n, user, track, kind)  # type: ignore[arg-type]
        for n, (user, track, kind) in enumerate((("ann", "t1", "skip"), ("bob", "t2", "play"), ("ann", "t2", "play")))
    ]
    found = identities_of(plays, [Track("t1", "One", artist_id="a1"), Track("t2", "Two", artist_id="a2")])
    expected = [
        ["ann", "t1", "a1", "", ""],
        ["bob", "t2", "a2", "", ""],
        ["ann", "t2", "a2", "t1", "a1"],
    ]

    assert found.tolist() == [[slot_of(*pair) for pair in zip(FIELDS, row, strict=True)] for row in expected]


def test_the_end_of_a_play_tells_what_no_feature_does() -> None:
    log = made_up(2000)
    blind = dataclasses.replace(log, x=np.ones((2000, 1)))
    told = dataclasses.replace(blind, ended=np.where(log.skipped, 0.5, 3.5))

    assert auc(knowing_the_end(blind), log.skipped) < 0.6
    assert auc(knowing_the_end(told)[100:], log.skipped[100:]) > 0.99


def test_ends_are_minutes_after_the_same_listeners_last_one() -> None:
    plays = [
        ListeningEvent(f"e{n}", 1_700_000_000_000 + minutes * MINUTE_MS, user, "t1", "play")
        for n, (user, minutes) in enumerate((("ann", 0), ("bob", 1), ("ann", 4), ("bob", 1), ("ann", 3)))
    ]

    assert ended_of(plays)[2:].tolist() == [4.0, 0.0, 0.0]


@needs_vowpal_wabbit
def test_vowpal_wabbit_predicts_before_it_learns() -> None:
    log = made_up()
    skipped = log.skipped.copy()
    skipped[700:] = ~skipped[700:]
    other = log_of(log.x, log.listeners, skipped, log.days)
    predicted, changed = (vowpal_wabbit(each, 1) for each in (log, other))

    assert predicted[:701].tolist() == changed[:701].tolist()
    assert auc(predicted[300:700], log.skipped[300:700]) > 0.85


def test_intervals_hold_what_was_measured_of_all() -> None:
    log = made_up(3000)
    predicted = 1.0 / (1.0 + np.exp(-2.0 * log.x[:, 0]))
    values, drawn = worth(predicted, log.skipped), Resampled(log, 1).measures(predicted)

    for measure in MEASURES:
        low, high = interval(drawn[measure])
        assert low - 0.002 <= values[measure] <= high + 0.002, measure


def test_one_listener_resampled_is_all_there_is() -> None:
    log = made_up(500)
    alone = log_of(log.x, np.zeros(500, np.int64), log.skipped, log.days)
    predicted = 1.0 / (1.0 + np.exp(-log.x[:, 0]))
    drawn = Resampled(alone, 1).measures(predicted)

    assert drawn["auc"] == pytest.approx(auc(predicted, log.skipped), abs=1e-3)
    assert drawn["ece"] == pytest.approx(calibration_error(predicted, log.skipped), abs=1e-3)


def test_peers_that_are_not_installed_are_told(listens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segue.evaluation.scenarios.skips.installed", lambda name: False)
    report = run(listens, peers=True)

    for package in ("lightgbm", "vowpalwabbit"):
        assert any(note.startswith(f"{package} is not installed") for note in report.notes)
    assert "lightgbm_auc" not in report.figures


def test_the_command_prints_tables_and_writes_figures_that_are_explained(listens: Path, tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    argv = ["evaluate", "skips", "--data", str(listens), "--no-peers", "--json", str(path)]
    result = CliRunner().invoke(app, argv)
    figures = json.loads(path.read_text())

    assert result.exit_code == 0
    assert "AUC" in result.stdout
    assert figures["scenario"] == "skips"
    section = PAGE.partition("`skips`, a listening log")[2].partition("\n## ")[0]
    for name in figures.keys() - {"scenario", "seed"}:  # explained once for all scenarios
        end = name
        for method in ("segue_", "base_rate_", "factorisation_machine_", "mean_with_machine_", "knowing_the_end_"):
            end = end.removeprefix(method)
        shown = "segue_less_…_auc" if name.startswith("segue_less_") else f"…_{end}" if end != name else name

        assert f"`{shown}`" in section, name
