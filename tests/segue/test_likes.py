"""`segue evaluate likes`: every like is guessed before it is learnt, from the whole catalogue but what the listener has liked."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from typer.testing import CliRunner

from segue.cli.main import app
from segue.errors import InputError
from segue.evaluation.comparison import WATCHED
from segue.evaluation.like_peers import NO_IMPLICIT, PEERS, Refitting, place_of
from segue.evaluation.like_stream import LISTED, Bootstrap, Guesses, read_likes
from segue.evaluation.peers import installed
from segue.evaluation.scenarios import SCENARIOS
from segue.evaluation.scenarios.likes import Segue, Simple
from segue.evaluation.scenarios.scenario import Options, Report

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "cli-figures.md").read_text()
FILMS, LISTENERS = 30, 24


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Made up: each listener likes films of one half, by their number and then on; every fifth rating is low."""
    rng = np.random.default_rng(1)
    rows = ["userId,movieId,rating,timestamp"]
    for user in range(LISTENERS):
        half, at_s = user % 2 * FILMS // 2, 1_000_000_000 + 10_000 * user
        begin = int(rng.integers(0, FILMS // 2))
        for place in range(10):
            film = half + (begin + place) % (FILMS // 2)
            rows.append(f"{user},{film},{1.0 if place % 5 == 4 else 4.5},{at_s + place}")
    (tmp_path / "ratings.csv").write_text("\n".join(rows))
    titles = [f"{film},Film {film} (1999),{'Drama' if film < FILMS // 2 else 'Comedy'}" for film in range(FILMS)]
    (tmp_path / "movies.csv").write_text("\n".join(["movieId,title,genres", *titles]))
    return tmp_path


def run(folder: Path, *, peers: bool = False, ask_every: int = 1) -> Report:
    return SCENARIOS["likes"].run(Options(peers=peers, data=folder, ask_every=ask_every), lambda *_: None)


def test_a_rating_of_four_or_more_is_a_like_and_all_others_are_left_out(films: Path) -> None:
    stream = read_likes(films)

    assert len(stream.likes) == LISTENERS * 8
    assert len(stream.tracks) == FILMS
    assert [event.at_ms for event in stream.likes] == sorted(event.at_ms for event in stream.likes)


def test_a_like_that_comes_again_is_none(films: Path) -> None:
    with (films / "ratings.csv").open("a") as file:
        file.write("\n0,0,5.0,1900000000\n0,0,5.0,1900000001")
    pairs = [(event.user_id, event.track_id) for event in read_likes(films).likes]

    assert len(pairs) == len(set(pairs))


def test_a_folder_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--data"):
        read_likes(tmp_path / "no")


def test_segue_beats_popularity_where_order_and_taste_tell(films: Path) -> None:
    figures = run(films).figures

    assert figures["guesses"] == LISTENERS * 8
    assert {each.name for each in WATCHED["likes"]} <= figures.keys()
    assert float(figures["segue_hr_at_10"]) > 1.2 * float(figures["popularity_hr_at_10"])
    assert (
        float(figures["segue_hr_at_10_low"]) < float(figures["segue_hr_at_10"]) < float(figures["segue_hr_at_10_high"])
    )


def test_the_same_seed_says_the_same(films: Path) -> None:
    first, again = (
        {name: value for name, value in run(films, ask_every=3).figures.items() if not name.endswith("_us")}
        for _ in range(2)
    )

    assert first == again


def test_a_guess_knows_nothing_of_what_comes_after_it(films: Path) -> None:
    likes = read_likes(films)
    changed = [likes.likes[n].track_id for n in range(100, len(likes.likes))]
    first, second = Segue(likes, 1), Segue(likes, 1)
    for event in likes.likes[:100]:
        first.learn(event)
        second.learn(event)
        second.ranks(event)

    assert changed
    assert first.ranks(likes.likes[100]) == second.ranks(likes.likes[100])


def test_what_was_liked_is_not_guessed_again(films: Path) -> None:
    stream = read_likes(films)
    segue = Segue(stream, 1)
    for event in stream.likes[:60]:
        segue.learn(event)
    segue.cluster.flush()

    assert set(segue.ranks(stream.likes[59]).values()) == {-1}


def test_simple_methods_count_and_remember() -> None:
    simple = Simple(4)
    for listener, track in ((0, 1), (1, 1), (0, 2)):
        simple.learn(listener, track)

    assert simple.ranks(2, 1) == {"popularity": 0, "most-recent": 1}
    assert simple.ranks(0, 3) == {"popularity": 1, "most-recent": 1}  # they know 1 and 2; 0 and 3 are alike


class Counting:
    """A peer that says how many likes its last fit saw."""

    def __init__(self) -> None:
        self.seen = 0

    def fit(self, likes: scipy.sparse.csr_matrix) -> None:
        assert scipy.sparse.issparse(likes)
        assert likes.format == "csr"
        self.seen = int(likes.sum())

    def score(self, listener: int, liked: list[int]) -> np.ndarray:
        return np.arange(5.0)


def test_peers_are_fit_on_what_came_before_and_until_then_are_popularity() -> None:
    peer = Counting()
    refitting = Refitting({"peer": peer}, 5, 3, every=2)
    refitting.learn(0, 1)

    assert refitting.ranks(0, 1) == {"peer": 4}  # liked already
    assert refitting.ranks(1, 1) == {"peer": 0}
    refitting.learn(1, 2)
    assert peer.seen == 2
    assert refitting.ranks(1, 4) == {"peer": 0}
    refitting.learn(2, 2)
    assert peer.seen == 2


def test_equal_scores_are_in_the_order_of_the_catalogue() -> None:
    assert [place_of(track, np.zeros(3), []) for track in range(3)] == [0, 1, 2]


def test_gains_are_of_the_first_ten_and_fifty() -> None:
    guesses = Guesses()
    for rank in (0, 9, 10, 49, LISTED, -1):
        guesses.add(0, {"one": rank})
    gains = guesses.gains("one")

    assert gains["hr_at_10"].tolist() == [1, 1, 0, 0, 0, 0]
    assert gains["recall_at_50"].tolist() == [1, 1, 1, 1, 0, 0]
    assert gains["ndcg_at_10"][0] == 1.0


def test_intervals_are_over_listeners() -> None:
    hits = np.repeat([1.0, 0.0, 1.0, 0.0], 50)
    of_four, of_many = Bootstrap(np.repeat(range(4), 50).tolist(), 1), Bootstrap(list(range(200)), 1)

    wide, narrow = of_four.interval(hits), of_many.interval(hits)

    assert wide[1] - wide[0] > 3.0 * (narrow[1] - narrow[0])
    assert of_many.interval_of_ratio(hits, hits) == (1.0, 1.0)


@pytest.mark.skipif(not installed("implicit"), reason="the extra `peers` is not installed")
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_learns(name: str) -> None:
    rng = np.random.default_rng(1)
    rows = [(user, item) for user in range(40) for item in rng.permutation(20)[:8] + 20 * (user % 2)]
    users, items = np.array(rows).T
    peer = PEERS[name](1)
    peer.fit(scipy.sparse.csr_matrix((np.ones(len(rows), np.float32), (users, items)), (41, 40)))

    for listener in (0, 40):  # one that the fit knew, one that it did not
        scores = peer.score(listener, [0, 1, 2, 3])
        assert scores.shape == (40,)
        assert scores[:20].mean() > scores[20:].mean()


def test_peers_that_are_not_installed_are_told(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segue.evaluation.scenarios.likes.installed", lambda _package: False)
    report = run(films, peers=True, ask_every=20)

    assert report.notes == [NO_IMPLICIT]
    assert not any(name.startswith("als") for name in report.figures)


def test_the_command_prints_a_table_and_writes_figures_that_are_explained(films: Path, tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    argv = ["evaluate", "likes", "--data", str(films), "--no-peers", "--ask-every", "5", "--json", str(path)]
    done = CliRunner().invoke(app, argv, catch_exceptions=False)
    figures = json.loads(path.read_text())
    section = PAGE.partition("## `segue evaluate`")[2].partition("\n## ")[0]

    assert done.exit_code == 0
    assert "segue-two-tower" in done.output
    for name in figures:
        measure = next(
            (each for each in ("hr_at_10", "recall_at_50", "ndcg_at_10", "gain", "us") if f"_{each}" in name), None
        )
        if measure is None:
            assert f"`{name}`" in section
            continue
        method, _, bound = name.partition(f"_{measure}")
        assert f"`{method.replace('_', '-')}`" in section
        assert f"`…_{measure}{bound}`" in section
