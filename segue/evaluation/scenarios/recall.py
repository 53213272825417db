"""The scenario `recall`: a fifth of each listener's artists is held out, the rest is learnt as plays in a random order; how much of the fifth is found again.

Candidate generation of the real serving stages, and the list that they make of it, beside batch recommenders that are fitted on the same plays.
Order says nothing here and nothing is ever heard twice: not a claim about what comes next, which `likes` and `skips` are about. Segue knows the
artists' tags as any catalogue's; the peers know the plays alone. What other negatives would make of the two-tower model, and of the weights of the
channels, is found beside it (negatives.py, channel_fusion.py): weights are learnt listener by listener, each after their list.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from online_models.track import Doubles, Rows
from segue.evaluation.channel_fusion import FIXED, RANDOM, RECALLED, Fusion
from segue.evaluation.cluster import LocalCluster
from segue.evaluation.like_peers import NO_IMPLICIT, PEERS, ItemNeighbours, Peer
from segue.evaluation.like_stream import Bootstrap
from segue.evaluation.negatives import HARD, IN_BATCH, UNIFORM, Negatives
from segue.evaluation.peers import installed
from segue.evaluation.recall_split import LISTED, Split, read_split, recall
from segue.evaluation.scenarios.gains import add_gains
from segue.evaluation.scenarios.scenario import Options, Progress, Report, Scenario, Sheet
from serving.candidates import CHANNELS
from serving.candidates.channel import propose
from serving.slate import Query
from streams.messages import PlaylistRequest, Surface

DATA = Path("../shared/data/hetrec2011-lastfm-2k")
SURFACE: Surface = "discover-weekly"
STEP, FLUSH_EVERY = 64, 16  # plays learnt together; steps between what is handed over
BATCH = 256  # plays that a two-tower model learns together
NEIGHBOURS = 1000  # of an artist that ItemKNN keeps
OURS, POOL, POPULARITY = "segue", "segue-candidates", "popularity"
Recalls = dict[str, list[float]]  # by method, of each listener who has something held out


def learn(split: Split, seed: int, progress: Progress) -> LocalCluster:
    """The whole chain, after all plays."""
    cluster = LocalCluster(seed=seed, flush_every=FLUSH_EVERY)
    cluster.list_tracks(split.tracks)
    for start in range(0, len(split.plays), STEP):
        cluster.learn(split.plays[start : start + STEP])
        progress(start, len(split.plays), "segue learns")
    cluster.flush(last=True)  # a minute later a learner that hears nothing more has sent all vectors that it learnt
    return cluster


def ours(split: Split, cluster: LocalCluster, fusion: Fusion, progress: Progress) -> tuple[Recalls, Recalls, Recalls]:
    """What the list finds, and lists by learnt weights; what each channel finds alone; and what the channels together find without each."""
    lists, alone, without = Recalls(), Recalls(), Recalls()
    table = cluster.replica.table
    for number, (user, held) in enumerate(split.held.items()):
        request = PlaylistRequest(f"recall-{user}", user, SURFACE, LISTED)
        query, ranked = cluster.radio.ranked(request, split.after_ms)
        seen, wanted = table.indices(list(query.listener.tracks)), table.indices(held)
        rows, scores = _unseen(query, seen)
        weights = np.array([query.surface.channel_weights.get(name, 0.0) for name in query.surface.channels])
        parts, fused = scores * weights, scores @ weights
        listed = ranked.candidates.rows
        _add(lists, OURS, recall(listed[~np.isin(listed, seen)], wanted))
        for name, found in fusion.lists(query, seen, wanted, LISTED).items():
            _add(lists, name, recall(found, wanted))
        _add(lists, POOL, float(np.isin(wanted, rows).mean()))
        _add(without, "", recall(_best(rows, fused), wanted))
        for place, name in enumerate(query.surface.channels):
            _add(alone, name, recall(_best(rows, scores[:, place]), wanted))
            _add(without, name, recall(_best(rows, fused - parts[:, place]), wanted))
        if number % 20 == 0:
            progress(number, len(split.held), "segue answers")
    return lists, alone, without


def by_negatives(split: Split, seed: int, progress: Progress) -> tuple[Recalls, dict[str, float]]:
    """What the two-tower model alone finds by its negatives, and what a play costs it."""
    negatives, recalls = Negatives(split.tracks, seed, batch=BATCH), Recalls()
    for number, play in enumerate(split.plays):
        negatives.learn(play)
        if number % 100 == 0:
            progress(number, len(split.plays), "other negatives are learnt")
    negatives.flush()
    for user, held in split.held.items():
        wanted = negatives.table.indices(held)
        for name, found in negatives.lists(user, LISTED).items():
            _add(recalls, name, recall(found, wanted))
    return recalls, negatives.costs_us


def _unseen(query: Query, seen: Rows) -> tuple[Rows, Doubles]:
    """All candidates that the listener has not heard, and their scores by channel."""
    candidates, _ = propose(query, CHANNELS)
    unseen = ~np.isin(candidates.rows, seen)
    return candidates.rows[unseen], candidates.scores[unseen]


def _best(rows: Rows, scores: Doubles) -> Rows:
    """Those that have a score, best first; sums that were taken apart again have none within the error of doubles."""
    order = np.argsort(-scores, kind="stable")[:LISTED]
    return rows[order[scores[order] > 1e-9]]


def _add(recalls: Recalls, name: str, value: float) -> None:
    recalls.setdefault(name, []).append(value)


def others(split: Split, options: Options, progress: Progress) -> Recalls:
    """Popularity, and peers fitted once on all plays that Segue learnt."""
    artists = {track.track_id: number for number, track in enumerate(split.tracks)}
    listeners = {user: number for number, user in enumerate(dict.fromkeys(play.user_id for play in split.plays))}
    places = np.array([(listeners[play.user_id], artists[play.track_id]) for play in split.plays], np.int64)
    ones = np.ones(len(places), np.float32)
    plays = scipy.sparse.csr_matrix((ones, (places[:, 0], places[:, 1])), (len(listeners), len(artists)))
    counts = np.asarray(plays.sum(0), np.float64)[0]
    methods: dict[str, Callable[[int, list[int]], Doubles]] = {POPULARITY: lambda _listener, _heard: counts}
    if options.peers and installed("implicit"):
        for number, (name, peer) in enumerate(_peers(options.seed).items()):
            progress(number, len(PEERS), f"{name} is fitted")
            peer.fit(plays)
            methods[name] = peer.score
    recalls = Recalls()
    for user, held in split.held.items():
        listener = listeners[user]
        heard = plays.indices[plays.indptr[listener] : plays.indptr[listener + 1]]
        wanted = np.array([artists[track_id] for track_id in held])
        for name, score in methods.items():
            _add(recalls, name, recall(_unheard(score(listener, heard.tolist()), heard), wanted))
    return recalls


def _peers(seed: int) -> dict[str, Peer]:
    """As in `likes`, but with more neighbours of an artist: the more the better here, and implicit keeps room for all of them."""
    return {name: make(seed) for name, make in PEERS.items()} | {"itemknn": ItemNeighbours(seed, neighbours=NEIGHBOURS)}


def _unheard(scores: Doubles, heard: NDArray[np.int32]) -> NDArray[np.intp]:
    scores = np.array(scores, np.float64)
    scores[heard] = -np.inf
    first = np.argpartition(-scores, min(LISTED, len(scores) - 1))[:LISTED]
    return first[np.isfinite(scores[first])]


def run(options: Options, progress: Progress) -> Report:
    """All methods after the same plays."""
    split = read_split(options.data or DATA, options.seed)
    report = Report(figures={"seed": options.seed, "listeners": len(split.held), "plays": len(split.plays)})
    report.figures |= {"tracks": len(split.tracks), "held_out": sum(map(len, split.held.values()))}
    if options.peers and not installed("implicit"):
        report.notes.append(NO_IMPLICIT)
    lists, alone, without = ours(split, learn(split, options.seed, progress), Fusion(options.seed), progress)
    fused = {name: np.array(lists.pop(name)) for name in (RANDOM, FIXED, RECALLED)}
    towers, costs_us = by_negatives(split, options.seed, progress)
    by_kind = {name: np.array(towers[name]) for name in (UNIFORM, IN_BATCH, HARD)}
    recalls = {name: np.array(values) for name, values in (lists | others(split, options, progress)).items()}
    bootstrap = Bootstrap(range(len(split.held)), options.seed)
    _compare(report, recalls, bootstrap)
    measure = f"recall_at_{LISTED}"
    add_gains(report, "the two-tower model by its negatives", measure, by_kind, bootstrap, costs_us)
    title = "the channels' weights by the negatives that they are learnt from"
    add_gains(report, title, measure, fused, bootstrap, {})
    _take_apart(report, alone, without, bootstrap)
    return report


def _compare(report: Report, recalls: dict[str, Doubles], bootstrap: Bootstrap) -> None:
    title = f"what is found again of {report.figures['held_out']:,} artists of {report.figures['listeners']:,} listeners, among {report.figures['tracks']:,}"
    sheet = Sheet(title, ("", f"R@{LISTED}", "95% interval", "segue is", "95% interval"))
    for name, values in recalls.items():
        key, (low, high) = name.replace("-", "_"), bootstrap.interval(values)
        if name == POOL:
            report.figures |= {f"{key}_recall": float(values.mean())}
            report.notes.append(f"the candidates of all channels together hold {values.mean():.4f} of it")
            continue
        report.figures |= {f"{key}_recall_at_20": float(values.mean())}
        report.figures |= {f"{key}_recall_at_20_low": low, f"{key}_recall_at_20_high": high}
        row = [name, f"{values.mean():.4f}", f"{low:.4f} to {high:.4f}"]
        if name != OURS:
            ratio = float(recalls[OURS].mean() / max(float(values.mean()), 1e-12))
            low, high = bootstrap.interval_of_ratio(recalls[OURS], values)
            report.figures |= {f"segue_over_{key}_ratio": ratio}
            report.figures |= {f"segue_over_{key}_ratio_low": low, f"segue_over_{key}_ratio_high": high}
            row += [f"{ratio:.2f} times", f"{low:.2f} to {high:.2f}"]
        sheet.rows.append((*row, "", "")[:5])
    report.sheets.append(sheet)


def _take_apart(report: Report, alone: Recalls, without: Recalls, bootstrap: Bootstrap) -> None:
    """What each channel finds alone, and how much less all of them find without it."""
    sheet = Sheet(f"its channels, on {SURFACE}", ("", f"R@{LISTED} alone", "adds", "95% interval"))
    fused = np.array(without[""])
    for name, values in alone.items():
        added = fused - np.array(without[name])
        key, mean, (low, high) = f"channel_{name.replace('-', '_')}", float(np.mean(values)), bootstrap.interval(added)
        report.figures |= {f"{key}_recall_at_20": mean, f"{key}_adds": float(added.mean())}
        report.figures |= {f"{key}_adds_low": low, f"{key}_adds_high": high}
        sheet.rows.append((name, f"{mean:.4f}", f"{added.mean():+.4f}", f"{low:+.4f} to {high:+.4f}"))
    report.sheets.append(sheet)


RECALL = Scenario("recall", "what is found again of a held-out fifth, against ALS, BPR and item neighbours", run)
