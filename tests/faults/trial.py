"""A trial: phases of faults under load; after each, all that was sent is counted again from the topics and held to the ledger."""

import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from segue.client import SegueClient
from segue.embedded.kafka import EmbeddedKafka
from segue.errors import SegueError
from streams.runtime.admin import create_topics
from streams.runtime.settings import Settings
from tests.faults.crew import Crew
from tests.faults.load import Load
from tests.faults.watch import Watch
from tests.integration.ledger import (
    listener_counts,
    read_dead_letters,
    read_deltas,
    read_listeners,
    read_tracks,
    track_counts,
    until,
)

DRAINED_S = 240.0
ROLES = ("learner", "keeper", "serving")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of each. kills, terms, zombies, each : by role; each : processes; scalings : rounds of 1 -> 3 -> 1 learners"""

    kills: Mapping[str, int]
    terms: Mapping[str, int]
    zombies: Mapping[str, int]
    broker_kills: int = 0
    scalings: int = 0
    events: int = 0
    per_s: float = 1500.0
    seed: int = 1
    each: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(ROLES, 2))


@dataclass(slots=True)
class Row:
    """One fault on one role. lost, twice : against the ledger, of what this role counts; the first of a phase has what is of roles without a row"""

    fault: str
    role: str
    times: int
    events: int = 0
    lost: int = 0
    twice: int = 0
    pauses_s: list[float] = field(default_factory=list)


class Trial:
    """Runs a plan; `rows` is what it found, `hang` what never came back.

    miscounted : by how many the learners' own counters are not what was sent
    """

    def __init__(self, plan: Plan, kafka: EmbeddedKafka, settings: Settings, folder: Path) -> None:
        self.plan, self.kafka, self.settings = plan, kafka, settings
        self.rows: list[Row] = []
        self.hang = ""
        self.answered_again = self.miscounted = 0
        self.watch = Watch(settings)
        self.crew = Crew(settings, folder, self.watch, each=plan.each, seed=plan.seed)
        self._before: dict[str, tuple[int, int]] = dict.fromkeys(ROLES, (0, 0))

    async def run(self) -> None:
        """All phases; a hang ends the trial, and is said."""
        async with contextlib.AsyncExitStack() as stack:
            client = await stack.enter_async_context(SegueClient(self.settings, listen=False))
            await self.watch.start()
            stack.push_async_callback(self.watch.stop)
            stack.push_async_callback(self.crew.stop)
            await self.crew.start()
            self.load = Load(client, self.watch, seed=self.plan.seed, per_s=self.plan.per_s)
            self.load.start()
            stack.push_async_callback(self.load.stop)
            try:
                await self._phases()
            except (AssertionError, SegueError) as error:
                # policy: the table says so, with all that was found until then
                self.hang = str(error)

    async def _phases(self) -> None:
        plan, crew = self.plan, self.crew
        await self._phase("kill -9", plan.kills, lambda role: crew.kill(role, signal.SIGKILL))
        await self._phase("SIGTERM", plan.terms, lambda role: crew.kill(role, signal.SIGTERM))
        await self._phase("zombie", plan.zombies, crew.make_zombie)
        await self._phase("broker kill -9", {"learner": plan.broker_kills}, lambda _role: self._kill_broker())
        sizes = iter([1, 3, 1, 2] * plan.scalings)
        await self._phase("1 -> 3 -> 1", {"learner": 4 * plan.scalings}, lambda role: crew.scale(role, next(sizes)))
        await self._phase("calm", {"learner": int(self.load.ledger.events < plan.events)}, lambda _role: self._calm())

    async def _calm(self) -> float:
        began, self.load.per_s = time.monotonic(), 1e9
        deadline_s = 120.0 + self.plan.events / 500.0
        await until("all events are sent", lambda: self.load.ledger.events >= self.plan.events, deadline_s)
        return self.watch.longest_pause("learner", began, time.monotonic())

    async def _kill_broker(self) -> float:
        at = time.monotonic()
        self.kafka.kill()
        self.kafka.launch()
        await self.kafka.answers()
        return await self.crew.recovered(at)

    async def _phase(self, fault: str, times: Mapping[str, int], blow: Callable[[str], Awaitable[float]]) -> None:
        rows = {role: Row(fault, role, number) for role, number in times.items() if number}
        if not rows:
            return
        before = self.load.ledger.events
        await asyncio.gather(*(self._strike(row, partial(blow, role)) for role, row in rows.items()))
        await self.load.hold()
        found = await self._count()
        for row in rows.values():
            row.events = self.load.ledger.events - before
        for role in ROLES:
            row = rows.get(role, next(iter(rows.values())))
            lost, twice = (now - then for now, then in zip(found[role], self._before[role], strict=True))
            row.lost, row.twice = row.lost + lost, row.twice + twice
        self.rows += rows.values()
        self._before = found
        self.watch.begin()
        self.load.go_on()

    async def _strike(self, row: Row, blow: Callable[[], Awaitable[float]]) -> None:
        for number in range(row.times):
            row.pauses_s.append(await blow())
            sys.stderr.write(
                f"{row.fault} of {row.role} {number + 1} of {row.times}: stood {row.pauses_s[-1]:.1f} s, {self.load.ledger.events:,} events sent\n"
            )

    async def _count(self) -> dict[str, tuple[int, int]]:
        """Wait until all that was sent was taken; lost and counted twice since the beginning, by role."""
        load, watch = self.load, self.watch
        await until("all events are learnt", lambda: watch.taken >= load.sent, DRAINED_S)
        await until("all requests are answered", lambda: load.requested <= set(watch.answers), DRAINED_S)
        wanted = load.ledger.by_track
        tracks = Counter[tuple[str, str]]()

        async def counted() -> bool:
            nonlocal tracks
            tracks = track_counts(await read_tracks(self.settings))
            return tracks.total() >= wanted.total()

        await until("the keepers have all counts", counted, DRAINED_S)
        self.miscounted = sum(_differences(load.wanted, watch.counted))
        self.answered_again = sum(times - 1 for times in watch.answers.values())
        deltas = Counter((keeper, delta.source, delta.seq) for keeper, delta in await read_deltas(self.settings))
        lost, twice = _differences(wanted, tracks)
        return {
            "learner": await self._count_listeners(),
            "keeper": (lost, twice + deltas.total() - len(deltas)),
            "serving": (len(load.requested - set(watch.answers)) + watch.errors, 0),
        }

    async def _count_listeners(self) -> tuple[int, int]:
        ledger, listeners = self.load.ledger, await read_listeners(self.settings)
        lost, twice = _differences(ledger.by_listener, listener_counts(listeners))
        letters = await read_dead_letters(self.settings)
        others = Counter({"refused": len(letters), "repeated": self.watch.counted["repeated"]})
        more = _differences(Counter({"refused": ledger.refused, "repeated": ledger.repeated}), others)
        twice += len(letters) - len({(letter.partition, letter.offset) for letter in letters})
        lost += sum(
            order != [event.track_id for event in listeners.get(user).history] for user, order in ledger.order.items()
        )
        return lost + more[0], twice + more[1]


def _differences(
    wanted: Counter[tuple[str, str]] | Counter[str], found: Counter[tuple[str, str]] | Counter[str]
) -> tuple[int, int]:
    """What is missing, and what is too much."""
    return (wanted - found).total(), (found - wanted).total()  # type: ignore[operator]


async def run_trial(plan: Plan, kafka: EmbeddedKafka, settings: Settings) -> Trial:
    """A trial on a broker, which a plan may kill. What would tell why is kept where it hung."""
    folder = Path(tempfile.mkdtemp(prefix="segue-faults-"))
    trial = Trial(plan, kafka, settings, folder)
    try:
        await create_topics(settings)
        await trial.run()
    except BaseException:
        sys.stderr.write(f"the workers' logs are in {folder}\n")
        raise
    if trial.hang:
        shutil.copytree(kafka.data, folder / "kafka")
        kept = f"the workers' logs, and the broker's data, are in {folder}"
        trial.hang = "\n".join([trial.hang, *trial.crew.groups.values(), kept])
    else:
        shutil.rmtree(folder)
    return trial
