"""Small worlds to ask for playlists: a made-up catalogue, simulated listeners, everything learnt by the real processors."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest

from online_models.track import Rows
from segue.evaluation.cluster import LocalCluster
from segue.simulation.catalogue import make_catalogue
from segue.simulation.listener import SimulatedListener
from serving.candidates.channel import propose
from serving.slate import Candidates, Query
from streams.messages import Experiment, ListeningEvent, Playlist, PlaylistRequest, Profile, Track, encode
from streams.topics import EXPERIMENTS, LISTENERS
from tests.builders import NOW_MS, TOPIC_OF, event, request

KNOWN, UNKNOWN, HERMIT = "u0", "nobody", "hermit"
TRACKS, ARTISTS = 150, 25
MINUTE_MS = 60_000


@cache
def world() -> LocalCluster:
    """Eight listeners heard forty tracks each; the hermit blocked everything. Ask it, do not teach it."""
    catalogue = make_catalogue(1, tracks=TRACKS, artists=ARTISTS)
    made = LocalCluster(seed=1, dims=16)
    made.list_tracks(catalogue.tracks)
    listeners = [SimulatedListener(f"u{number}", catalogue, seed=1) for number in range(8)]
    at_ms = NOW_MS - 20 * 86_400_000
    for _ in range(40):
        heard = list[ListeningEvent]()
        for listener in listeners:
            at_ms += MINUTE_MS
            heard += listener.hear(listener.pick(), at_ms)
        made.learn(heard, now_ms=NOW_MS)
    made.learn([event(HERMIT, each.track_id, "block") for each in catalogue.tracks], now_ms=NOW_MS)
    made.flush()
    return made


def world_of(*tracks: Track, events: Sequence[ListeningEvent] = (), profiles: Sequence[Profile] = ()) -> LocalCluster:
    """A world that holds what a test says, and nothing else."""
    made = LocalCluster(dims=8)
    made.list_tracks(tracks)
    for profile in profiles:
        introduce(made, profile)
    if events:
        made.learn(events, now_ms=NOW_MS)
    made.flush()
    return made


def introduce(cluster: LocalCluster, profile: Profile) -> None:
    """A listener tells about themselves."""
    assert TOPIC_OF[Profile] == LISTENERS.name
    cluster._learn([cluster._record(LISTENERS.name, profile.user_id.encode(), encode(profile))], NOW_MS)


def experiment(cluster: LocalCluster, name: str, value: bytes | Experiment | None) -> None:
    """A row of the topic `experiments`."""
    encoded = encode(value) if isinstance(value, Experiment) else value
    cluster.replica.apply(EXPERIMENTS.name, 0, [(name.encode(), encoded)])


def ask(cluster: LocalCluster, asked: PlaylistRequest | None = None, elapsed: Sequence[float] = (0.0,)) -> Playlist:
    """The answer. elapsed : ms since the arrival, at each time that the radio looks; the last one goes on"""
    return cluster.radio.recommend(request(KNOWN) if asked is None else asked, NOW_MS, clock(elapsed))


def clock(elapsed: Sequence[float]) -> Callable[[], float]:
    """Answers one after the other, then the last one."""
    left = list(elapsed)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def ids(playlist: Playlist) -> list[str]:
    """Its tracks."""
    return [slot.track_id for slot in playlist.tracks]


def query_of(cluster: LocalCluster, asked: PlaylistRequest) -> Query:
    """What the stages are handed for a request."""
    seen = list[Query]()

    def watched(query: Query, *rest: object) -> object:
        seen.append(query)
        return propose(query, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.radio.propose", watched)
        ask(cluster, asked)
    return seen[0]


def candidates(cluster: LocalCluster, *track_ids: str, fused: Sequence[float] | None = None) -> Candidates:
    """Candidates of one channel, the first the best."""
    rows = cluster.replica.table.indices(track_ids)
    scores = np.linspace(1.0, 0.1, len(rows)) if fused is None else np.array(fused, np.float64)
    return Candidates(rows, scores[:, None], scores)


def names(cluster: LocalCluster, rows: Rows) -> list[str]:
    """Track ids of rows."""
    return [cluster.replica.table.keys[row][2:] for row in rows.tolist()]
