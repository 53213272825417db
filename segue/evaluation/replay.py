"""Replays a log: before each play it asks for a playlist and for the chance of a skip, then reveals the play, then learns it.

The baselines see the same events at the same moment: the most popular tracks, the listener's most recent, and co-listening over everybody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from online_models.colistening import score_followers
from online_models.listener import Listener
from online_models.ranker import OBJECTIVES
from segue.evaluation.cluster import LocalCluster
from segue.evaluation.metrics import auc, calibration_error, hit_rate, log_loss, ndcg
from serving.candidates.channel import best
from serving.replica import Replica
from serving.surfaces import SURFACES
from streams.messages import ListeningEvent, PlaylistRequest, Surface, Track

LIST = 20
METHODS = ("segue", "co-listening", "most-recent", "popularity")
Progress = Callable[[int, "Replay"], None]


@dataclass(slots=True)
class Replay:
    """What a replay saw, in the order of events.

    predicted, skipped : of each play or skip
    calibration : error of each objective, over all that was predicted before it was learnt
    at : number of the event of each target; ranks : place of the target in each method's list, -1 where it is not there
    """

    predicted: list[float]
    skipped: list[bool]
    at: list[int]
    ranks: dict[str, list[int]]
    recommended: set[str]
    calibration: dict[str, float] = field(default_factory=dict)
    catalogue: int = 0
    events: int = 0
    dead_letters: int = 0
    state_hash: str = ""

    def summary(self) -> dict[str, float | int | str]:
        """The flat figures that `--json` writes; see docs/cli-figures.md."""
        predicted, skipped = np.array(self.predicted), np.array(self.skipped, np.bool_)
        figures: dict[str, float | int | str] = {
            "events": self.events,
            "targets": len(self.at),
            "skip_auc": auc(predicted, skipped),
            "skip_log_loss": log_loss(predicted, skipped),
            "skip_ece": calibration_error(predicted, skipped),
            **{f"{name}_calibration_error": error for name, error in self.calibration.items()},
            "coverage": len(self.recommended) / max(1, self.catalogue),
            "dead_letters": self.dead_letters,
            "state_hash": self.state_hash,
        }
        for method, ranks in self.ranks.items():
            name = "" if method == "segue" else method.replace("-", "_") + "_"
            array = np.array(ranks, np.int64)
            figures[f"{name}hit_at_20"] = hit_rate(array, 20)
            figures[f"{name}hr_at_10"] = hit_rate(array, 10)
            figures[f"{name}recall_at_20"] = hit_rate(array, 20)
            figures[f"{name}ndcg_at_10"] = ndcg(array, 10)
        return figures


def replay(
    events: Sequence[ListeningEvent],
    tracks: Sequence[Track],
    *,
    seed: int = 0,
    ask_every: int = 1,
    surface: Surface = "next-up",
    step: int = 1,
    progress: Progress | None = None,
) -> Replay:
    """Predict, reveal, learn, one event after the other.

    ask_every : lists are asked for before each so-manieth play, 0 for none
    step : events learnt together, as a worker learns what came during a transaction; none of them is known before the last is
    surface : of those lists; where it holds new tracks alone, the baselines' lists do too
    """
    cluster = LocalCluster(seed=seed)
    catalogue = cluster.list_tracks(tracks)
    seen = Replay([], [], [], {method: [] for method in METHODS}, set(), catalogue=catalogue)
    plays, heard = 0, list[ListeningEvent]()
    for number, event in enumerate(events):
        if event.kind == "play":
            plays += 1
            if ask_every and plays % ask_every == 0:
                _ask(cluster, event, number, surface, seen)
        heard.append(event)
        if len(heard) == step or number == len(events) - 1:
            predicted = cluster.learn(heard)
            if predicted:
                seen.predicted.extend(predicted)
                seen.skipped.extend(event.kind == "skip" for event in heard if event.kind in ("play", "skip"))
            heard.clear()
        seen.events += 1
        if progress is not None:
            progress(number + 1, seen)
    cluster.flush()
    seen.dead_letters, seen.state_hash = len(cluster.dead_letters), cluster.state_hash()
    seen.calibration = {name: cluster.replica.ranker.calibration_error(name) for name in OBJECTIVES}
    return seen


def _ask(cluster: LocalCluster, event: ListeningEvent, number: int, surface: Surface, seen: Replay) -> None:
    at_ms = max(0, event.at_ms - (event.played_ms or 0))
    request = PlaylistRequest(f"{event.user_id}-{number}", event.user_id, surface, LIST)
    answered = [slot.track_id for slot in cluster.radio.recommend(request, at_ms, _no_time).tracks]
    listener = cluster.replica.listeners.get(event.user_id)
    heard = set(listener.tracks) if SURFACES[surface].familiar == 0.0 else set[str]()
    most = LIST + len(heard)
    lists = {
        "segue": answered,
        "co-listening": _co_listening(cluster.replica, listener, most),
        "most-recent": list(dict.fromkeys(reversed(listener.heard[-200:]))),
        "popularity": _ids(cluster.replica, cluster.replica.popularity.top(most, at_ms)[0].tolist()),
    }
    seen.at.append(number)
    seen.recommended.update(answered)
    for method, ids in lists.items():
        allowed = [track_id for track_id in ids if track_id not in heard][:LIST]
        seen.ranks[method].append(allowed.index(event.track_id) if event.track_id in allowed else -1)


def _co_listening(replica: Replica, listener: Listener, most: int) -> list[str]:
    heard = replica.table.indices(listener.heard[:-7:-1])
    return _ids(replica, best(*score_followers(replica.table, heard), most)[0].tolist())


def _ids(replica: Replica, rows: Sequence[int]) -> list[str]:
    return [replica.table.keys[row][2:] for row in rows]


def _no_time() -> float:
    return 0.0
