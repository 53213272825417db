"""What `segue up` plays, watches and reports."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from rich.live import Live

from segue.cli.view import View
from segue.client import SegueClient
from segue.evaluation.metrics import percentile
from segue.monitor import Monitor
from segue.notes import Notes
from segue.playing import Played, Player
from segue.simulation.catalogue import make_catalogue
from segue.simulation.listener import SimulatedListener
from segue.simulation.listing import Listing
from segue.simulation.traffic import Figures, Traffic
from segue.supervisor import Worker
from streams.messages import ListeningEvent, Track
from streams.runtime.settings import Settings

SEED = 7
# a simulated listener lives two hundred times as fast as a real one, and a list repeats nothing for three hours of the clock: in a small catalogue
# nothing that they like would be left after some minutes
TRACKS, ARTISTS, PAUSE_S = 4000, 190, 1.0
LINE_EVERY_S = 5.0


class Cluster(Protocol):
    """Where the cluster is, and whose workers are watched over here."""

    @property
    def settings(self) -> Settings: ...

    @property
    def workers(self) -> Sequence[Worker]: ...


class Show:
    """The traffic and the view of a running cluster; an async context manager."""

    def __init__(self, cluster: Cluster, say: Notes) -> None:
        self.cluster, self.say = cluster, say
        self.monitor, self.figures = Monitor(cluster.settings), Figures()
        self.client = SegueClient(cluster.settings)
        self.view = View(self.monitor, self.figures)
        self._before = 0
        self._live: Live | None = None

    async def __aenter__(self) -> "Show":
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self.monitor.stop)
            await self.monitor.start()
            self._before = self.monitor.events_learnt
            await stack.enter_async_context(self.client)
            if sys.stdout.isatty():
                self._live = Live(self.view, refresh_per_second=4)
                self._live.start()
                self.say.listener = self.view.notes.append
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        self.say.listener = None
        print(self.view.line(), flush=True)
        await self._stack.aclose()

    async def watch(self) -> None:
        """Take samples; without a terminal, print a line now and then."""
        since_s = 0.0
        while True:
            self.view.sample()
            if self._live is None and since_s >= LINE_EVERY_S:
                print(self.view.line(), flush=True)
                since_s = 0.0
            await asyncio.sleep(0.5)
            since_s += 0.5

    async def simulate(self, listeners: int) -> None:
        """Simulated listeners over a made-up catalogue, until cancelled."""
        catalogue = make_catalogue(SEED, tracks=TRACKS, artists=ARTISTS)
        async with Listing(self.client) as listing:
            await listing.produce(listing.missing(catalogue.tracks))
        people = [SimulatedListener(f"listener-{number:03d}", catalogue, seed=SEED) for number in range(listeners)]
        traffic = Traffic(self.client, people, pause_s=PAUSE_S)
        traffic.figures = self.view.figures = self.figures
        await traffic.run()

    async def play(self, path: Path, events: Sequence[ListeningEvent], tracks: Sequence[Track], played: Played) -> None:
        """A real log, as fast as it goes, from where it was left the last time; then the lists of its listeners, until cancelled."""
        earlier = played.of(path, events)
        self.view.expect(len(events), earlier)
        if earlier < len(events):
            async with Listing(self.client) as listing:
                await listing.produce(listing.missing(tracks))
            self.say(f"playing {len(events):,} events of {path}")
        before = self._done
        player = Player(self.client, self.figures, lambda: self._done - before)
        watching = asyncio.create_task(player.watch())
        try:
            produced = await player.play(path, events, played)
            while self._done - before < produced:
                await asyncio.sleep(0.05)
            self.view.expected = 0  # repeated and refused ones are done too
            who = f"; try: segue playlist {events[-1].user_id} --explain" if events else ""
            all_of_it = f"all {len(events):,} events of {path}"
            if produced == len(events):
                self.say(f"learnt {all_of_it}{who}")
            else:  # what an earlier run produced may still be waiting for the learner
                self.say(f"produced {all_of_it}, {earlier:,} of them before; “learnt” says how far it is{who}")
            await watching
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    @property
    def _done(self) -> int:
        """Events that learners have learnt, or knew already, or refused."""
        self.monitor.check()
        return self.monitor.events_learnt + self.monitor.duplicates + self.monitor.refused

    def summary(self) -> dict[str, Any]:
        """The flat figures of `--json`."""
        fresh = self.figures.freshness_ms
        return {
            "events_in": self.figures.events,
            "events_learnt": self.monitor.events_learnt - self._before,
            "playlists": self.figures.playlists,
            "errors": self.figures.errors,
            "dead_letters": self.monitor.dead_letters,
            "freshness_p50_ms": percentile(fresh, 50),
            "freshness_p99_ms": percentile(fresh, 99),
            "skip_rate": self.view.skip_rate(),
            "skip_auc": self.monitor.skip_auc,
            **{f"{name}_calibration_error": error for name, error in self.monitor.calibration_errors.items()},
            "drifts": self.monitor.drifts,
            "restarts": sum(worker.restarts for worker in self.cluster.workers),
        }
