"""The read path: how a playlist is made, on one screen.

    request -> candidate generation -> filters -> momentum -> pre-ranking -> ranking -> re-ranking -> exploration -> answer

A deadline is kept by falling down a declared ladder (`LADDER`), never by an error: every well-formed request gets a list.
"""

from collections.abc import Callable
from hashlib import blake2b

import msgspec
import numpy as np

from online_models.track import NO_ROWS
from online_models.two_tower import HISTORY
from serving.answer import answer
from serving.candidates import CHANNELS
from serving.candidates.channel import propose
from serving.exploration import explore, pool_of
from serving.favourites import NO_FAVOURITES, favourites_of
from serving.filters import FILTERS
from serving.momentum import follow
from serving.newcomers import score_newcomers
from serving.order import trust_in_order
from serving.preranking import kept_for, prerank
from serving.ranking import rank, rank_beside, unranked
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
SPREAD = 3  # times the size of the list that are made diverse: what comes after may still take a place there


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

        begun = level()
        surface, arms = self._surface(request)
        query = (
            self._query(request, surface, at_ms) if begun != "popular" else self._cheap_query(request, surface, at_ms)
        )
        candidates, trace = self._candidates(query)
        pool = NO_ROWS
        if begun == "popular" or (now := level()) == "popular":
            ranked, reached = unranked(candidates), "popular"
        elif now == "no-rerank":
            ranked, reached = rank(query, candidates), "no-rerank"
        else:
            ranked, pool = rank_beside(query, candidates, pool_of(query))
            ranked, reached = self._rerank(query, ranked), "full"
        best = ranked.candidates.rows[: request.size].tolist()
        slate = [Place(row, source) for source, row in enumerate(best)]
        if reached == "full":
            slate = explore(query, slate, pool)
        self._check(query, slate)
        return answer(query, ranked, slate, arms, reached, trace, elapsed_ms())

    def ranked(self, request: PlaylistRequest, at_ms: int) -> tuple[Query, Ranked]:
        """What the list is made of: every candidate in the order of its utility, before re-ranking and exploration."""
        query = self._query(request, self._surface(request)[0], at_ms)
        return query, rank(query, self._candidates(query)[0])

    def _query(self, request: PlaylistRequest, surface: Surface, at_ms: int) -> Query:
        table, listener = self.replica.table, self.replica.listener(request.user_id)
        heard = table.indices(listener.heard[: -HISTORY - 1 : -1])
        if surface.unordered_weights:
            surface = surface.trusting(trust_in_order(listener, table))
        history = heard
        if listener.profile is not None and len(heard) < HISTORY:
            named = [f"a:{artist}" for artist in listener.profile.favourite_artists]
            named += [f"g:{tag}" for tag in listener.profile.favourite_tags]
            history = np.concatenate([heard, np.array([table.index(part) for part in named], np.int32)])[:HISTORY]
        vector = np.zeros(table.dims, np.float32)
        if len(history):
            vector = self.replica.tower.listener_vectors(history[None, :])[0]
        favourites = favourites_of(listener, table, at_ms)
        hour = request.context.hour if request.context is not None else None
        rng = np.random.default_rng(_hash(request.request_id))
        new = self.replica.newcomers
        offers = new.rows, score_newcomers(new, vector)
        return Query(request, surface, listener, self.replica, at_ms, hour, heard, vector, favourites, *offers, rng)

    def _cheap_query(self, request: PlaylistRequest, surface: Surface, at_ms: int) -> Query:
        """For popular tracks alone: nothing is computed that only the other channels need."""
        popular = msgspec.structs.replace(surface, channels={"popular": 200}, momentum=0.0, explore_every=0)
        listener = self.replica.listener(request.user_id)
        vector, rng = np.zeros(self.replica.table.dims, np.float32), np.random.default_rng(0)
        offers = NO_ROWS, np.zeros(0)
        return Query(
            request, popular, listener, self.replica, at_ms, None, NO_ROWS, vector, NO_FAVOURITES, *offers, rng
        )

    def _surface(self, request: PlaylistRequest) -> tuple[Surface, dict[str, str]]:
        """The surface with the settings of the listener's arms: one experiment of each layer, by a hash of salt and listener.

        Experiments of one layer share its listeners out, in the order of their names.
        """
        surface, arms, points = SURFACES[request.surface], dict[str, str](), dict[str, float]()
        for name, experiment in sorted(self.replica.experiments.items()):
            salt = experiment.salt or experiment.layer
            point = points[salt] if salt in points else _hash(f"{salt}:{request.user_id}") / 2.0**64
            for arm, share in experiment.arms.items():
                if 0.0 <= point < share:
                    arms[name] = arm
                    surface = surface.changed_by(experiment.settings.get(arm, {}))
                point -= share
            points[salt] = point  # below zero once an arm is found: no other experiment of the layer has one then
        return surface, arms

    def _candidates(self, query: Query) -> tuple[Candidates, Trace]:
        candidates, proposed = propose(query, CHANNELS)
        assert (candidates.rows[1:] > candidates.rows[:-1]).all(), "candidates are unique, in the order of their rows"
        removed = {}
        for name, keep in FILTERS.items():
            kept = candidates.where(keep(query, candidates))
            removed[name], candidates = len(candidates) - len(kept), kept
        return prerank(follow(query, candidates), kept_for(query.request.size)), Trace(proposed, removed)

    def _rerank(self, query: Query, ranked: Ranked) -> Ranked:
        """As many of the ranked as the list has places."""
        surface, table, size = query.surface, self.replica.table, query.request.size
        rows, order = ranked.candidates.rows, np.arange(len(ranked))
        if surface.diversity:
            first, rest = mmr(ranked.utility, table.out_vectors(rows), surface.diversity, SPREAD * size), order >= 0
            rest[first] = False
            order = np.concatenate([first, order[rest]])
        if surface.familiar is not None:
            tracks, keys = query.listener.tracks, table.keys
            familiar = np.array([keys[row][2:] in tracks for row in rows[order].tolist()], np.bool_)
            order = order[balance(familiar, surface.familiar)]
        if surface.spacing:
            order = order[space_artists(table.parts[rows[order], 1].tolist(), surface.spacing, size)]
        return ranked.take(order[:size])

    def _check(self, query: Query, slate: list[Place]) -> None:
        """What every slate keeps: listed, unblocked tracks, each once."""
        rows = [place.row for place in slate]
        assert len(set(rows)) == len(rows) <= query.request.size, "a slate holds each track once"
        assert self.replica.table.listed[rows].all(), "a slate holds tracks of the catalogue"
        keys, blocked = self.replica.table.keys, query.listener.blocked
        assert not blocked or not any(keys[row][2:] in blocked for row in rows), "a slate holds no blocked track"


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
