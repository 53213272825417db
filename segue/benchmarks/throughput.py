"""Goal: events/s of one worker process, from the broker to committed state. Not a goal: the broker's own limits, several workers.

In one run on one broker, 180-byte JSON events of 2,000 listeners produced before: (a) a stock Faust agent that counts in a
Table, (b) the same count on the engine, exactly once, (c) the full learner with all models, its track rows preloaded.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from segue.benchmarks.counting import MEASURES
from segue.benchmarks.load import make_events
from segue.client import SegueClient
from segue.cluster import RunningCluster
from segue.errors import SituationError
from segue.notes import Notes
from segue.simulation.catalogue import Catalogue, make_catalogue
from segue.simulation.listing import Listing
from streams.messages import ListeningEvent
from streams.runtime.admin import create_topics
from streams.runtime.settings import Settings

TIMEOUT_S = 300
TRIES = {"faust": 4}  # a stock agent may lose all that there is before it has counted one


async def measure_throughput(events: int, settings: Settings, *, tracks: int = 10_000) -> dict[str, float]:
    """The three rates, and how many times (b) and (c) are (a).

    settings : of a Kafka that does nothing else; each has topics of its own there, behind the prefix
    """
    catalogue = make_catalogue(1, tracks=tracks, artists=max(1, tracks // 12))
    load = make_events(catalogue, events)
    rates = {}
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        for name in MEASURES:
            own = msgspec.structs.replace(settings, prefix=f"{settings.prefix}{name}-")
            await _prepare(own, catalogue if name == "learner" else None, load, Path(folder))
            rates[name] = await asyncio.to_thread(_measure, name, own, events)
    faust, engine, learner = (rates[name] for name in ("faust", "engine", "learner"))
    return {
        "faust_table_events_per_s": faust,
        "engine_events_per_s": engine,
        "learner_events_per_s": learner,
        "engine_ratio": engine / faust,
        "learner_ratio": learner / faust,
    }


async def _prepare(settings: Settings, catalogue: Catalogue | None, load: list[ListeningEvent], folder: Path) -> None:
    """Topics, the catalogue where a keeper is to write its rows, and the events."""
    await create_topics(settings)
    if catalogue is not None:
        async with (
            RunningCluster(folder, Notes(), settings=settings, workers=("keeper",)),
            SegueClient(settings, listen=False) as client,
            Listing(client) as listing,
        ):
            await listing.produce(catalogue.tracks)
    async with SegueClient(settings, listen=False) as client:
        async for _ in client.produce_many(load):
            pass


def _measure(name: str, settings: Settings, events: int) -> float:
    for _ in range(TRIES.get(name, 1)):
        if rate := _measure_once(name, settings, events):
            return rate
    raise SituationError(f"the {name} benchmark counted none of {events:,} events that were there")


def _measure_once(name: str, settings: Settings, events: int) -> float:
    argv = [sys.executable, "-m", "segue.benchmarks.counting", name, str(events)]
    try:
        done = subprocess.run(
            argv, env=settings.environ(), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SituationError(f"the {name} benchmark did not end within {TIMEOUT_S} s") from error
    if done.returncode:
        raise SituationError(f"the {name} benchmark ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["events_per_s"])
