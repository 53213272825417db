"""`segue evaluate recall`: a fifth of what each listener heard is held out; lists made after the rest was learnt are to find it again."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from segue.cli.main import app
from segue.errors import InputError
from segue.evaluation.comparison import WATCHED
from segue.evaluation.like_peers import NO_IMPLICIT
from segue.evaluation.peers import installed
from segue.evaluation.recall_split import LISTED, read_split, recall
from segue.evaluation.scenarios import SCENARIOS
from segue.evaluation.scenarios.recall import learn
from segue.evaluation.scenarios.scenario import Options, Report
from serving.surfaces.discover_weekly import DISCOVER_WEEKLY
from streams.learnt import Learnt

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "cli-figures.md").read_text()
LISTENERS, ARTISTS, HEARD = 60, 120, 20


@pytest.fixture
def artists(tmp_path: Path) -> Path:
    """Made up: each listener heard artists of one third, whose numbers are shuffled, and nobody tagged any; one heard too few."""
    rng = np.random.default_rng(1)
    names, rows = rng.permutation(ARTISTS), ["userID\tartistID\tweight"]
    for user in range(LISTENERS):
        third = names[user % 3 :: 3]
        rows += [f"{user}\t{artist}\t{n + 1}" for n, artist in enumerate(rng.choice(third, HEARD, replace=False))]
    rows += [f"{LISTENERS}\t{artist}\t1" for artist in range(4)]
    (tmp_path / "user_artists.dat").write_text("\n".join(rows))
    (tmp_path / "artists.dat").write_text("\n".join(["id\tname", *(f"{n}\tArtist {n}" for n in range(ARTISTS))]))
    (tmp_path / "tags.dat").write_text("tagID\ttagValue\n")
    (tmp_path / "user_taggedartists.dat").write_text("userID\tartistID\ttagID\n")
    return tmp_path


def run(folder: Path, *, peers: bool = False, seed: int = 1) -> Report:
    return SCENARIOS["recall"].run(Options(seed, peers=peers, data=folder), lambda *_: None)


def test_a_fifth_of_each_listener_is_held_out_and_never_learnt(artists: Path) -> None:
    split = read_split(artists, 1)
    learnt = {(play.user_id, play.track_id) for play in split.plays}

    assert {user: len(held) for user, held in split.held.items()} == {str(n): HEARD // 5 for n in range(LISTENERS)}
    assert len(learnt) == len(split.plays) == LISTENERS * HEARD * 4 // 5 + 4
    assert not learnt & {(user, track_id) for user, held in split.held.items() for track_id in held}


def test_plays_come_in_an_order_that_the_seed_says(artists: Path) -> None:
    first, again, other = (read_split(artists, seed) for seed in (1, 1, 2))

    assert first == again
    assert first.held != other.held
    assert [play.at_ms for play in first.plays] == sorted(play.at_ms for play in first.plays)
    assert len({play.user_id for play in first.plays[:HEARD]}) > 5  # of all listeners, not one after the other


def test_lists_are_made_of_all_that_was_learnt(artists: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.deltas.Learnt", partial(Learnt, rows_max=8))
    split = read_split(artists, 1)
    cluster = learn(split, 1, lambda *_: None)
    learnt, served = (each.table for each in (cluster.track_replica, cluster.replica))
    ids = [track.track_id for track in split.tracks]

    np.testing.assert_array_equal(learnt.vectors[learnt.indices(ids)], served.vectors[served.indices(ids)])


def test_recall_is_of_the_first_places_of_a_list() -> None:
    assert recall(np.arange(100), np.array([0, LISTED - 1, LISTED, 99])) == 0.5


def test_segue_finds_what_a_third_has_in_common_and_the_same_seed_says_the_same(artists: Path) -> None:
    figures = run(artists).figures

    assert figures["held_out"] == LISTENERS * HEARD // 5
    assert {each.name for each in WATCHED["recall"]} <= figures.keys()
    assert float(figures["segue_recall_at_20"]) > 1.5 * float(figures["popularity_recall_at_20"])
    assert float(figures["segue_over_popularity_ratio_low"]) > 1.2
    assert float(figures["segue_candidates_recall"]) >= float(figures["segue_recall_at_20"])
    assert untimed(run(artists).figures) == untimed(figures)


def untimed(figures: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in figures.items() if not name.endswith("_us")}


def test_a_channel_without_weight_adds_nothing(artists: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DISCOVER_WEEKLY.channel_weights, "popular", 0.0)
    figures = run(artists).figures

    assert figures["channel_popular_adds"] == 0.0
    assert float(figures["channel_popular_recall_at_20"]) > 0.0


def test_a_folder_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--data"):
        read_split(tmp_path / "no", 1)


def test_a_log_of_which_nothing_can_be_held_out_is_told(artists: Path) -> None:
    (artists / "user_artists.dat").write_text("userID\tartistID\tweight\n1\t2\t3\n")

    with pytest.raises(InputError, match="nobody played 5 artists"):
        read_split(artists, 1)


@pytest.mark.skipif(not installed("implicit"), reason="the extra `peers` is not installed")
def test_peers_are_fitted_on_the_same_plays(artists: Path) -> None:
    figures = run(artists, peers=True).figures

    for name in ("als", "itemknn"):
        assert float(figures[f"{name}_recall_at_20"]) > 1.5 * float(figures["popularity_recall_at_20"])
    assert "bpr_recall_at_20" in figures


def test_peers_that_are_not_installed_are_told(artists: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segue.evaluation.scenarios.recall.installed", lambda _package: False)
    report = run(artists, peers=True)

    assert NO_IMPLICIT in report.notes
    assert not any(name.startswith("als") for name in report.figures)


def test_the_command_prints_tables_and_writes_figures_that_are_explained(artists: Path, tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    argv = ["evaluate", "recall", "--data", str(artists), "--no-peers", "--json", str(path)]
    done = CliRunner().invoke(app, argv, catch_exceptions=False)
    figures = json.loads(path.read_text())
    section = PAGE.partition("`recall`, ")[2].partition("\n## ")[0]

    assert done.exit_code == 0
    assert "two-tower" in done.output
    for name in figures.keys() - {"scenario", "seed"}:
        shown = next((each for each in ("_recall_at_20", "_adds", "_ratio", "_gain", "_us") if each in name), None)
        assert f"`{name}`" in section if shown is None else f"`…{shown}{name.partition(shown)[2]}`" in section
