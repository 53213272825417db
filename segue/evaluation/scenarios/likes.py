"""The scenario `likes`: what somebody will like next, guessed from the whole catalogue before each like of a real log is learnt.

Segue learns by its processors and answers by its serving stages, up to ranking: diversity and exploration are not what is measured. Its
two-tower model and its co-listening alone, and the baselines, see the same likes at the same moment; batch peers are refit every so many.
What other negatives would make of the two-tower model, and of the weights of the channels, is guessed beside it (negatives.py, channel_fusion.py).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from online_models.colistening import score_followers
from segue.evaluation.channel_fusion import FIXED, RANDOM, RECALLED, Fusion
from segue.evaluation.cluster import LocalCluster
from segue.evaluation.like_peers import NO_IMPLICIT, PEERS, Refitting, place_of
from segue.evaluation.like_stream import LISTED, Bootstrap, Guesses, LikeStream, read_likes
from segue.evaluation.negatives import HARD, IN_BATCH, UNIFORM, Negatives
from segue.evaluation.peers import installed
from segue.evaluation.scenarios.gains import add_gains
from segue.evaluation.scenarios.scenario import Options, Progress, Report, Scenario, Sheet
from serving.candidates.channel import best
from serving.slate import Query
from streams.messages import ListeningEvent, PlaylistRequest, Surface

DATA = Path("../shared/data/ml-latest-small")
REFIT_EVERY = 2000
FLUSH_LIKES = 32
SURFACE: Surface = "discover-weekly"
FUSED, TOWER, FOLLOWERS = "segue", "segue-two-tower", "segue-co-listening"
MEASURES = ("hr_at_10", "recall_at_50", "ndcg_at_10")


class Segue:
    """The whole chain; guesses by the fused list, and by two of its models alone.

    step : likes learnt together, unless a guess comes before; vectors and counts are handed over after every FLUSH_LIKES
    """

    def __init__(self, stream: LikeStream, seed: int, *, step: int = 1) -> None:
        self.cluster = LocalCluster(seed=seed, flush_every=max(1, FLUSH_LIKES // step))
        self.cluster.list_tracks(stream.tracks)
        self._step, self._heard = step, list[ListeningEvent]()

    def ranks(self, event: ListeningEvent, fusion: Fusion | None = None) -> dict[str, int]:
        """Places of what was liked, -1 where it is not listed; those of `fusion` too, which learns it then."""
        self._learn()
        request = PlaylistRequest(event.event_id, event.user_id, SURFACE, LISTED)
        query, ranked = self.cluster.radio.ranked(request, event.at_ms)
        table = self.cluster.replica.table
        seen = table.indices(list(query.listener.tracks))
        target = table.index("t:" + event.track_id)
        lists = {FUSED: ranked.candidates.rows, TOWER: self._near(query, len(seen)), FOLLOWERS: self._followers(query)}
        if fusion is not None:
            lists |= fusion.lists(query, seen, np.array([target], np.int32), LISTED)
        return {name: _place(target, rows[~np.isin(rows, seen)]) for name, rows in lists.items()}

    def _near(self, query: Query, seen: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.int32]]":
        return self.cluster.replica.search(query.vector, LISTED + seen)[0]

    def _followers(self, query: Query) -> "np.ndarray[tuple[int, ...], np.dtype[np.int32]]":
        return best(*score_followers(self.cluster.replica.table, query.heard), 10_000)[0]

    def learn(self, event: ListeningEvent) -> None:
        self._heard.append(event)
        if len(self._heard) >= self._step:
            self._learn()

    def _learn(self) -> None:
        if self._heard:
            self.cluster.learn(self._heard)
            self._heard = []


class Simple:
    """What takes no model: how often each track was liked, and when last."""

    def __init__(self, tracks: int) -> None:
        self.likes, self.last = np.zeros(tracks), np.full(tracks, -1.0)
        self._liked: dict[int, list[int]] = {}
        self._events = 0

    def ranks(self, listener: int, track: int) -> dict[str, int]:
        liked = self._liked.get(listener, [])
        return {"popularity": place_of(track, self.likes, liked), "most-recent": place_of(track, self.last, liked)}

    def learn(self, listener: int, track: int) -> None:
        self._events += 1
        self.likes[track] += 1.0
        self.last[track] = self._events
        self._liked.setdefault(listener, []).append(track)


def guess(stream: LikeStream, options: Options, progress: Progress) -> tuple[Guesses, dict[str, float]]:
    """Predict, reveal, learn, one like after the other; every `ask_every`-th is predicted. What a like costs each kind of negatives, too."""
    likes, total = stream.likes, len(stream.likes)
    numbers = {track.track_id: number for number, track in enumerate(stream.tracks)}
    for event in likes:  # of tracks that the catalogue does not list
        numbers.setdefault(event.track_id, len(numbers))
    listeners = {user: number for number, user in enumerate(dict.fromkeys(event.user_id for event in likes))}
    peers = (
        {name: make(options.seed) for name, make in PEERS.items()} if options.peers and installed("implicit") else {}
    )
    step = min(options.ask_every, FLUSH_LIKES)
    segue, simple = Segue(stream, options.seed, step=step), Simple(len(numbers))
    refitting = Refitting(peers, len(numbers), len(listeners), every=REFIT_EVERY)
    negatives, fusion = Negatives(stream.tracks, options.seed, batch=FLUSH_LIKES), Fusion(options.seed)
    guesses = Guesses()
    for number, event in enumerate(likes):
        listener, track = listeners[event.user_id], numbers[event.track_id]
        if (number + 1) % options.ask_every == 0:
            ranks = segue.ranks(event, fusion) | negatives.ranks(event, LISTED)
            guesses.add(listener, ranks | refitting.ranks(listener, track) | simple.ranks(listener, track))
        segue.learn(event)
        negatives.learn(event)
        simple.learn(listener, track)
        refitting.learn(listener, track)
        if number % 100 == 0:
            progress(number, total, "likes")
    progress(total, total, "likes")
    return guesses, negatives.costs_us


def run(options: Options, progress: Progress) -> Report:
    """All methods over the whole stream."""
    stream = read_likes(options.data or DATA)
    guesses, costs_us = guess(stream, options, progress)
    report = Report(figures={"seed": options.seed, "likes": len(stream.likes), "guesses": len(guesses.listeners)})
    report.figures["tracks"] = len(stream.tracks)
    if options.peers and not installed("implicit"):
        report.notes.append(NO_IMPLICIT)
    bootstrap = Bootstrap(guesses.listeners, options.seed)
    _add(report, guesses, bootstrap)
    for title, methods in (
        ("the two-tower model by its negatives", (UNIFORM, IN_BATCH, HARD)),
        ("the channels' weights by the negatives that they are learnt from", (RANDOM, FIXED, RECALLED)),
    ):
        hits = {name: guesses.gains(name)["hr_at_10"] for name in methods}
        add_gains(report, title, "hr_at_10", hits, bootstrap, costs_us)
    if peers := [name for name in PEERS if name in guesses.ranks]:
        _compare(report, guesses, bootstrap, FUSED, "best_peer", peers)
        _compare(report, guesses, bootstrap, TOWER, "als", ["als"])
    return report


def _add(report: Report, guesses: Guesses, bootstrap: Bootstrap) -> None:
    title = f"what is liked next, of {report.figures['tracks']:,} tracks, guessed before each of {len(guesses.listeners):,} likes"
    sheet = Sheet(title, ("", "HR@10", "95% interval", "R@50", "NDCG@10"))
    for method in guesses.ranks:
        row = [method]
        for name, gains in guesses.gains(method).items():
            mean, (low, high) = float(gains.mean()), bootstrap.interval(gains)
            key = f"{method.replace('-', '_')}_{name}"
            report.figures |= {key: mean, f"{key}_low": low, f"{key}_high": high}
            row += [f"{mean:.4f}", f"{low:.4f} to {high:.4f}"] if name == "hr_at_10" else [f"{mean:.4f}"]
        sheet.rows.append(tuple(row))
    report.sheets.append(sheet)


def _compare(report: Report, guesses: Guesses, bootstrap: Bootstrap, ours: str, key: str, peers: Sequence[str]) -> None:
    """One of ours beside the best of some peers, by HR@10 of the same guesses."""
    hits = {name: guesses.gains(name)["hr_at_10"] for name in (ours, *peers)}
    peer = max(peers, key=lambda name: float(hits[name].mean()))
    ratio = float(hits[ours].mean() / max(float(hits[peer].mean()), 1e-12))
    low, high = bootstrap.interval_of_ratio(hits[ours], hits[peer])
    name = f"{ours.replace('-', '_')}_over_{key}"
    report.figures |= {f"{name}_ratio": ratio, f"{name}_ratio_low": low, f"{name}_ratio_high": high}
    report.notes.append(f"{ours} has {ratio:.2f} times the HR@10 of {peer}, refit ({low:.2f} to {high:.2f})")


def _place(target: int, rows: "np.ndarray[tuple[int, ...], np.dtype[np.int32]]") -> int:
    found = np.flatnonzero(rows[:LISTED] == target)
    return int(found[0]) if target and len(found) else -1


LIKES = Scenario("likes", "what is liked next, against popularity and refit ALS, BPR and item neighbours", run)
