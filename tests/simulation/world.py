"""A world of learner and keeper processes over one log, in which everything that happens, and everything that fails, follows from a seed.

To add a fault: give it a chance in `Faults`, an action in `World._actions`, and let `checker` say what it must not change.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from streams.topics import TRACK_DELTAS, TRACKS_CHANGELOG
from tests.simulation.log import FencedError, Log
from tests.simulation.process import INPUTS, CrashError, Kind, Owner, Process, Sabotage
from tests.simulation.workload import KEEPERS, LEARNERS, Workload

PARTITIONS: dict[Kind, int] = {"learner": LEARNERS, "keeper": KEEPERS}
ROUNDS_MAX, PROCESSES_MAX = 1000, 4


@dataclass(frozen=True, slots=True)
class Faults:
    """How often each happens, relative to the steps.

    crash : in a commit, before, between or after its moves; kill : between steps
    takeover : another process opens a partition and the old one is not told
    rewind : delivery begins again below the watermark; repeat : a delta is in its topic twice
    compact : a changelog is compacted
    """

    crash: float = 0.0
    kill: float = 0.0
    takeover: float = 0.0
    rewind: float = 0.0
    repeat: float = 0.0
    compact: float = 0.0

    @classmethod
    def draw(cls, seed: int) -> "Faults":
        """Some of the faults, more or less of each."""
        rng = random.Random(f"faults-{seed}")
        chances = {name: rng.choice([0.0, 0.05, 0.2]) for name in cls.__dataclass_fields__}
        return cls(**chances) if any(chances.values()) else cls(crash=0.2)


CALM = Faults()


class World:
    """Runs a workload to its end.

    sabotage : what to break, so that the checker can be seen to notice; "fencing" breaks the log's
    """

    def __init__(self, workload: Workload, seed: int, faults: Faults = CALM, *, sabotage: str = "") -> None:
        self.workload, self.seed, self.faults = workload, seed, faults
        self.rng = random.Random(f"world-{seed}")
        self.log = Log(fencing=sabotage != "fencing")
        self.happened: deque[str] = deque(maxlen=25)
        self.crashes = self.fenced = self.killed = self.taken_over = self.rewound = self.repeated = self.compacted = 0
        self._sabotage: Sabotage = sabotage if sabotage != "fencing" else ""  # type: ignore[assignment]
        self._hints: dict[tuple[Kind, int], dict[str, int]] = {}
        self._owner: dict[tuple[Kind, int], Process] = {}
        self._processes: list[Process] = []
        self._born = 0
        for kind, count in PARTITIONS.items():
            pair = [self._start(kind), self._start(kind)]
            for number in range(count):
                self._give(kind, number, pair[number % 2])

    def run(self) -> None:
        """All phases, then a clean end: everybody flushes, and everything is read."""
        for phase in self.workload.phases:
            left = deque(phase)
            while left:
                for _ in range(min(len(left), self.rng.randint(1, 12))):
                    self.log.append(*left.popleft())
                for _ in range(self.rng.randint(1, 3)):
                    self._act()
            self._read_all()
        self._end()

    def __repr__(self) -> str:
        """How to repeat it, and what happened last."""
        last = "\n    ".join(self.happened)
        return f"seed {self.seed}, {self.faults}; what happened last:\n    {last}"

    def processes(self, kind: Kind) -> list[Process]:
        """Those that live."""
        return [process for process in self._processes if process.kind == kind]

    def owners(self, kind: Kind) -> list[Owner]:
        """The rightful owner of each partition number."""
        return [self._owner[kind, number].owners[number] for number in range(PARTITIONS[kind])]

    def _read_all(self) -> None:
        """Until nothing waits; commits may still fail, but nothing else happens."""
        rounds = 0
        while not self._quiet():
            for kind, number in [*self._owner]:
                if self._owner[kind, number].owners[number].waits():
                    self._step(self._owner[kind, number], number)
            for process in self.processes("learner"):
                for keeper in process.followed:
                    process.follow(keeper, 1 << 60)
            rounds += 1
            assert rounds < ROUNDS_MAX, f"the world comes to rest: {self}"

    def _quiet(self) -> bool:
        everywhere = [owner for kind in PARTITIONS for owner in self.owners(kind)]
        return not any(owner.waits() for owner in everywhere) and not any(
            self.log.read(TRACKS_CHANGELOG.name, keeper, position, 1)[0]
            for process in self.processes("learner")
            for keeper, position in process.followed.items()
        )

    def _end(self) -> None:
        """No more faults: who was not told that it lost a partition ends, then flush, keep, follow."""
        for process in list(self._processes):
            if any(self._owner[process.kind, number] is not process for number in process.owners):
                self._die(process, "retires")
        for owner in [*self.owners("learner"), *self.owners("keeper")]:
            while owner.step(1 << 30, flush=True):
                pass
        for process in self.processes("learner"):
            for keeper in process.followed:
                process.follow(keeper, 1 << 60)

    # --- what happens next

    def _act(self) -> None:
        faults = self.faults
        actions: list[tuple[float, Callable[[], None]]] = [
            (1.0, self._step_any),
            (0.4, self._follow),
            (0.2, self._hint),
            (faults.kill / 2, self._kill),
            (faults.takeover / 2, self._take_over),
            (faults.rewind, self._rewind),
            (faults.repeat, self._repeat),
            (faults.compact / 2, self._compact),
        ]
        self.rng.choices([action for _, action in actions], [weight for weight, _ in actions])[0]()

    def _step_any(self) -> None:
        self._step(*self.rng.choice([(process, number) for process in self._processes for number in process.owners]))

    def _step(self, process: Process, number: int) -> None:
        crash_at = self.rng.random() if self.rng.random() < self.faults.crash else None
        limit, flush = self.rng.choice([1, 3, 10, 50]), self.rng.random() < 0.2
        self._say(f"{process.name} steps {number}, limit {limit}, flush {flush}, crash at {crash_at}")
        try:
            process.owners[number].step(limit, flush=flush, crash_at=crash_at)
        except CrashError:
            self.crashes += 1
            self._die(process, "crashes")
        except FencedError:
            self.fenced += 1
            self._die(process, "is fenced")

    def _follow(self) -> None:
        process = self.rng.choice(self.processes("learner"))
        process.follow(self.rng.randrange(KEEPERS), self.rng.choice([1, 7, 1000]))

    def _hint(self) -> None:
        """The group's offsets follow the watermarks of some partition, some time."""
        kind, number = self._any_partition()
        self._hints[kind, number] = dict(self._owner[kind, number].owners[number].watermarks)

    def _kill(self) -> None:
        self.killed += 1
        self._die(self.rng.choice(self._processes), "is killed")

    def _take_over(self) -> None:
        kind, number = self._any_partition()
        if len(self.processes(kind)) >= PROCESSES_MAX:
            return
        others = [process for process in self.processes(kind) if number not in process.owners]
        process = self.rng.choice(others) if others else self._start(kind)
        self.taken_over += 1
        self._say(f"{process.name} takes {kind} {number} over")
        self._give(kind, number, process)

    def _rewind(self) -> None:
        kind, number = self._any_partition()
        owner = self._owner[kind, number].owners[number]
        topic = self.rng.choice(INPUTS[kind])
        owner.positions[topic] = self.rng.randint(0, owner.watermarks.get(topic, 0))
        self.rewound += 1
        self._say(f"{topic} {number} is delivered again from {owner.positions[topic]}")

    def _repeat(self) -> None:
        keeper = self.rng.randrange(KEEPERS)
        deltas = self.log.all(TRACK_DELTAS.name, keeper)
        if deltas:
            again = self.rng.choice(deltas[-5:])
            self.repeated += 1
            self._say(f"delta {again.offset} of keeper {keeper} is repeated")
            self.log.append(TRACK_DELTAS.name, keeper, again.key, again.value)

    def _compact(self) -> None:
        """No further than every follower has read: brokers compact closed segments only, minutes old."""
        kind, number = self._any_partition()
        owner = self._owner[kind, number].owners[number]
        read = [process.followed[number] for process in self.processes("learner")] if kind == "keeper" else [1 << 60]
        for topic in (owner.processor.changelog, *owner.processor.restores):
            records = self.log.all(topic, number)
            if records:
                self.compacted += 1
                self.log.compact(topic, number, min(self.rng.choice(records).offset, *read))

    # --- who owns what

    def _any_partition(self) -> tuple[Kind, int]:
        return self.rng.choice(list(self._owner))

    def _start(self, kind: Kind) -> Process:
        self._born += 1
        process = Process(self.log, kind, f"{kind}-process-{self._born}", KEEPERS, self._sabotage)
        self._processes.append(process)
        return process

    def _give(self, kind: Kind, number: int, process: Process) -> None:
        self._owner[kind, number] = process
        process.open(number, self._hints.get((kind, number), {}))

    def _die(self, process: Process, how: str) -> None:
        self._say(f"{process.name} {how}")
        self._processes.remove(process)
        theirs = [place for place, owner in self._owner.items() if owner is process]
        heirs = self.processes(process.kind)
        for kind, number in theirs:
            if not heirs or self.rng.random() < 0.5:
                heirs = [*heirs, self._start(kind)]
            self._give(kind, number, self.rng.choice(heirs))
        if not self.processes(process.kind):
            self._start(process.kind)

    def _say(self, what: str) -> None:
        self.happened.append(what)
