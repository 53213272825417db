"""Goal: what an answer costs the processor in a serving worker, by stage, and a hash of all answers, which a faster worker must not change.
Not a goal: Kafka, waiting, quality.

A made-up catalogue; listeners with shelves of their own, who have heard some of them again and again. Each hears one more track before
each request (not measured), so that no answer is of a state that was asked before.
"""

import gc
import hashlib
import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numpy as np

from segue.evaluation.cluster import LocalCluster
from segue.simulation.catalogue import Catalogue, make_catalogue
from serving.filters import FILTERS
from serving.surfaces import SURFACES
from streams.messages import ListeningEvent, PlaylistRequest, Profile, decode, encode
from streams.runtime.run import GC_THRESHOLDS

START_MS = 1_750_000_000_000
STEP_MS = 180_000  # between two plays of a listener
REQUEST_MS = 50  # between two requests
SHELF, KNOWN = 60, 0.7  # tracks of a listener's own, and the share of plays that are of them
SIZES = (20, 30, 50)
COUNTRIES = ("SE", "DE", "BR")
# where the stages of `Radio.recommend` begin; what one asks of another counts as the other's
STAGES = {
    "query": "serving.radio:Radio._query",
    "candidates": "serving.radio:propose",
    "momentum": "serving.radio:follow",
    "preranking": "serving.radio:prerank",
    "ranking": "serving.radio:rank_beside",
    "pool": "serving.radio:pool_of",
    "features": "serving.ranking:features_of",
    "reranking": "serving.radio:Radio._rerank",
    "exploration": "serving.radio:explore",
    "answer": "serving.radio:answer",
}
PARTS = ("decoding", "filters", *STAGES, "encoding", "rest")


def measure_answers(requests: int, *, tracks: int = 5000, listeners: int = 300, plays: int = 100) -> dict[str, Any]:
    """Microseconds of the processor a request: in all, by part, by surface; and the hash of the answers.

    plays : of each listener, before the first request; everybody is asked for once before it is measured, so that they are decoded
    """
    world = _World(tracks, listeners, plays)
    for number in range(listeners):
        world.ask(number, _Watch())
    watch, by_surface, times = _Watch(), dict.fromkeys(SURFACES, 0), dict.fromkeys(SURFACES, 0)
    digest = hashlib.blake2b(digest_size=12)
    thresholds = gc.get_threshold()
    gc.set_threshold(*GC_THRESHOLDS)  # as `run_process` does, and as a worker that is ready does
    gc.collect()
    gc.freeze()
    try:
        with _watched(watch):
            for number in range(requests):
                surface, answer, spent_ns = world.ask(number, watch)
                by_surface[surface] += spent_ns
                times[surface] += 1
                digest.update(answer)
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
    return {
        "requests": requests,
        "tracks": tracks,
        "request_us": sum(by_surface.values()) / requests / 1e3,
        **{f"{part}_us": watch.spent_ns[part] / requests / 1e3 for part in PARTS},
        **{f"{surface.replace('-', '_')}_us": spent / times[surface] / 1e3 for surface, spent in by_surface.items()},
        "answers_hash": digest.hexdigest(),
    }


class _Watch:
    """Adds up the processor's time by part: that of a part within another is the inner's."""

    def __init__(self) -> None:
        self.spent_ns = dict.fromkeys(PARTS, 0)
        self._stack = ["rest"]
        self._since_ns = 0

    def enter(self, part: str) -> None:
        """What comes now is of this part."""
        self._add()
        self._stack.append(part)

    def leave(self) -> None:
        """What comes now is of the part before."""
        self._add()
        self._stack.pop()

    def _add(self) -> None:
        now_ns = time.thread_time_ns()
        self.spent_ns[self._stack[-1]] += now_ns - self._since_ns
        self._since_ns = now_ns

    def begin(self) -> int:
        """Look at the clock."""
        self._since_ns = time.thread_time_ns()
        return self._since_ns

    def end(self) -> int:
        """Look at it again."""
        self._add()
        return self._since_ns

    def watching(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, as a part."""

        @wraps(function)
        def watched(*arguments: Any, **named: Any) -> Any:
            self.enter(part)
            try:
                return function(*arguments, **named)
            finally:
                self.leave()

        return watched


@contextmanager
def _watched(watch: _Watch) -> Iterator[None]:
    """Every stage's function watched, for a while."""
    places = [(*_place(where), stage) for stage, where in STAGES.items()]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    filters = dict(FILTERS)
    try:
        for owner, name, stage in places:
            setattr(owner, name, watch.watching(stage, getattr(owner, name)))
        FILTERS.update({name: watch.watching("filters", keep) for name, keep in filters.items()})
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)
        FILTERS.update(filters)


def _place(where: str) -> tuple[Any, str]:
    module, _, path = where.partition(":")
    *owners, name = path.split(".")
    found: Any = importlib.import_module(module)
    for owner in owners:
        found = getattr(found, owner)
    return found, name


class _World:
    """A replica that has learnt, and those who ask it."""

    def __init__(self, tracks: int, listeners: int, plays: int) -> None:
        self.rng, self.made = np.random.default_rng(1), 0
        self.catalogue = make_catalogue(1, tracks=tracks, artists=max(1, min(195, tracks // 12)))
        self.cluster = LocalCluster(seed=1, exact=False)
        self.cluster.list_tracks(self.catalogue.tracks)
        self.now_ms = START_MS
        self.shelves = [self._shelf(self.catalogue) for _ in range(listeners)]
        for number in range(0, listeners, 3):
            country, tags = COUNTRIES[number % len(COUNTRIES)], self.catalogue.tracks[number % tracks].tags[:2]
            self.cluster.introduce(Profile(user_id=f"u{number}", country=country, favourite_tags=tags))
        for _ in range(plays):
            self.now_ms += STEP_MS
            self.cluster.learn([event for number in range(listeners) for event in self._hear(number)])
        self.cluster.flush()
        replica = self.cluster.replica
        if replica.index.outgrown:
            replica.take_index(replica.index.built(*replica.index.stored()))
            self.cluster.flush()

    def _shelf(self, catalogue: Catalogue) -> list[int]:
        chosen: list[int] = self.rng.choice(len(catalogue.tracks), SHELF, p=catalogue.attraction).tolist()
        return chosen

    def _hear(self, number: int) -> list[ListeningEvent]:
        """A play or a skip, and now and then a like."""
        shelf, rng = self.shelves[number], self.rng
        known, skipped, liked = rng.random(3)
        at = self.made % SHELF if known < KNOWN / 2 else int(rng.integers(SHELF))
        track = self.catalogue.tracks[shelf[at] if known < KNOWN else int(rng.integers(len(self.catalogue.tracks)))]
        kinds = ["skip"] if skipped < 0.3 else ["play", "like"] if liked < 0.05 else ["play"]
        self.made += 1
        return [
            ListeningEvent(
                event_id=f"e{self.made}-{kind}",
                at_ms=self.now_ms,
                user_id=f"u{number}",
                track_id=track.track_id,
                kind=kind,  # type: ignore[arg-type]
                played_ms={"skip": 9_000, "play": track.duration_ms}.get(kind),
            )
            for kind in kinds
        ]

    def ask(self, number: int, watch: _Watch) -> tuple[str, bytes, int]:
        """The surface, the answer as the worker sends it, and what it cost."""
        names = list(SURFACES)
        who, surface = number % len(self.shelves), names[number % len(names)]
        self.now_ms += REQUEST_MS
        self.cluster.learn(self._hear(who))
        size = SIZES[number % len(SIZES)]
        seeds = [self.catalogue.tracks[self.shelves[who][0]].track_id] if surface == "radio" else []
        asked = encode(
            PlaylistRequest(f"r{self.made}", f"u{who}", surface=surface, size=size, seed_tracks=seeds)  # type: ignore[arg-type]
        )
        began_ns = watch.begin()
        watch.enter("decoding")
        request = decode(PlaylistRequest, asked)
        watch.leave()
        playlist = self.cluster.radio.recommend(request, self.now_ms, lambda: 0.0)
        watch.enter("encoding")
        answer = encode(playlist)
        watch.leave()
        spent_ns = watch.end() - began_ns
        self.cluster.show(playlist)  # what is offered changes what is known of new tracks
        return surface, answer, spent_ns
