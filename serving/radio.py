"""The read path: how a playlist is made, on one screen.

    request -> candidate generation -> filters -> pre-ranking -> ranking -> re-ranking -> exploration -> answer

A deadline is kept by falling down a declared ladder (`LADDER`), never by an error: every well-formed request gets a list.
"""

from collections.abc import Callable
from hashlib import blake2b

import numpy as np

from serving.answer import answer
from serving.candidates import CHANNELS
from serving.candidates.channel import propose
from serving.exploration import explore
from serving.filters import FILTERS
from serving.preranking import prerank
from serving.ranking import rank, unranked
from serving.replica import Replica
from serving.reranking.balance import balance
from serving.reranking.mmr import mmr
from serving.reranking.spacing import space_artists
from serving.slate import Candidates, Place, Query, Ranked, Trace
from serving.surfaces import SURFACES
from serving.surfaces.surface import Surface
from streams.messages import Playlist, PlaylistRequest

# level -> the share of the deadline that may have passed when it begins
LADDER = {"full": 0.4, "no-rerank": 0.7, "popular": float("inf")}
HISTORY = 20


class Radio:
    """Answers requests from a replica."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica

    def recommend(self, request: PlaylistRequest, at_ms: int, elapsed_ms: Callable[[], float]) -> Playlist:
        """A playlist for a request.

        at_ms : the moment it is for, Unix epoch
        elapsed_ms : how long ago the request arrived, asked whenever a level of the ladder is chosen
        """

        def level() -> str:
            passed = elapsed_ms() / request.deadline_ms
            return next(name for name, share in LADDER.items() if passed <= share)

        query, arms = self._query(request, at_ms)
        begun = level()
        if begun == "popular":
            query = _only_popular(query)
        candidates, trace = self._candidates(query)
        if begun == "popular" or (now := level()) == "popular":
            ranked, reached = unranked(candidates), "popular"
        elif now == "no-rerank":
            ranked, reached = rank(query, candidates), "no-rerank"
        else:
            ranked, reached = self._rerank(query, rank(query, candidates)), "full"
        places = [Place(int(row), source) for source, row in enumerate(ranked.candidates.rows.tolist())]
        slate = explore(query, places, request.size) if reached == "full" else places[: request.size]
        self._check(query, slate)
        return answer(query, ranked, slate, arms, reached, trace, elapsed_ms())

    def _query(self, request: PlaylistRequest, at_ms: int) -> tuple[Query, dict[str, str]]:
        replica, context = self.replica, request.context
        listener = replica.listeners.get(request.user_id)
        surface, arms = self._surface(request)
        heard = replica.table.indices(listener.heard[: -HISTORY - 1 : -1])
        history = heard
        if listener.profile is not None and len(heard) < HISTORY:
            parts = ["a:" + each for each in listener.profile.favourite_artists] + [
                "g:" + each for each in listener.profile.favourite_tags
            ]
            history = np.concatenate([heard, np.array([replica.table.index(part) for part in parts], np.int32)])[
                :HISTORY
            ]
        vector = (
            replica.tower.listener_vectors(history[None, :])[0]
            if len(history)
            else np.zeros(replica.table.dims, np.float32)
        )
        seed = int.from_bytes(blake2b(request.request_id.encode(), digest_size=8).digest(), "big")
        hour = context.hour if context is not None else None
        return Query(request, surface, listener, replica, at_ms, hour, heard, vector, np.random.default_rng(seed)), arms

    def _surface(self, request: PlaylistRequest) -> tuple[Surface, dict[str, str]]:
        """The surface with the settings of the listener's arms: one experiment of each layer, by a hash of salt and listener."""
        surface, arms = SURFACES[request.surface], dict[str, str]()
        for name, experiment in sorted(self.replica.experiments.items()):
            key = f"{experiment.salt or experiment.layer}:{request.user_id}"
            point = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") / 2.0**64
            for arm, share in experiment.arms.items():
                if point < share:
                    arms[name] = arm
                    surface = surface.changed_by(experiment.settings.get(arm, {}))
                    break
                point -= share
        return surface, arms

    def _candidates(self, query: Query) -> tuple[Candidates, Trace]:
        candidates, proposed = propose(query, CHANNELS)
        assert len(np.unique(candidates.rows)) == len(candidates), "candidates are unique"
        removed = {}
        for name, keep in FILTERS.items():
            mask = keep(query, candidates)
            removed[name] = len(candidates) - int(mask.sum())
            candidates = candidates.take(mask)
        return prerank(candidates), Trace(proposed, removed)

    def _rerank(self, query: Query, ranked: Ranked) -> Ranked:
        surface, table = query.surface, self.replica.table
        if surface.diversity:
            ranked = ranked.take(
                mmr(ranked.utility, table.out_vectors(ranked.candidates.rows), surface.diversity, len(ranked))
            )
        if surface.familiar is not None:
            tracks, keys = query.listener.tracks, table.keys
            familiar = np.array([keys[row][2:] in tracks for row in ranked.candidates.rows.tolist()], np.bool_)
            ranked = ranked.take(np.array(balance(familiar, surface.familiar), np.intp))
        if surface.spacing:
            artists = table.parts[ranked.candidates.rows, 1].tolist()
            ranked = ranked.take(np.array(space_artists(artists, surface.spacing), np.intp))
        return ranked

    def _check(self, query: Query, slate: list[Place]) -> None:
        """What every slate keeps: listed, unblocked tracks, each once."""
        rows = [place.row for place in slate]
        assert len(set(rows)) == len(rows) <= query.request.size, "a slate holds each track once"
        assert self.replica.table.listed[rows].all(), "a slate holds tracks of the catalogue"
        keys = self.replica.table.keys
        assert not any(keys[row][2:] in query.listener.blocked for row in rows), "a slate holds no blocked track"


def _only_popular(query: Query) -> Query:
    surface = query.surface
    cheap = Surface(
        surface.name, {"popular": 200}, {"popular": 1.0}, surface.weights, surface.heard_within_ms, explore_every=0
    )
    return Query(
        query.request,
        cheap,
        query.listener,
        query.replica,
        query.at_ms,
        query.hour,
        query.heard,
        query.vector,
        query.rng,
    )
