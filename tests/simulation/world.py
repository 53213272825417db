"""A world of learner and keeper processes over one log, in which everything that happens, and everything that fails, follows from a seed."""

import random
from collections import Counter, deque
from collections.abc import Callable

import numpy as np

from online_models.ranker import OBJECTIVES
from streams.topics import LISTENING_EVENTS, TRACK_DELTAS
from tests.simulation.bounds import exceeded
from tests.simulation.faults import CALM, IN_COMMIT, Faults
from tests.simulation.log import FencedError, Log
from tests.simulation.process import INPUTS, NOW_MS, CrashError, Kind, Owner, Process, Sabotage
from tests.simulation.serving import Serving
from tests.simulation.workload import KEEPERS, LEARNERS, USERS, Workload

PARTITIONS: dict[Kind, int] = {"learner": LEARNERS, "keeper": KEEPERS}
ROUNDS_MAX, PROCESSES_MAX, HEALED_LIMIT, SERVING = 1000, 4, 50, 1
POISONED = b"?"  # the key of what is unreadable
POISON = (None, b"", b"junk", b"\x02later", b"\x01\x93\x01\x02\xa1k")
SKEW_MS = 1_800_000  # clocks differ by so much from the right time


class World:
    """Runs a workload to its end.

    sabotage : what to break, so that the checker can be seen to notice; "fencing" breaks the log's
    """

    def __init__(self, workload: Workload, seed: int, faults: Faults = CALM, *, sabotage: str = "") -> None:
        self.workload, self.seed, self.faults = workload, seed, faults
        self.rng = random.Random(f"world-{seed}")
        self.log = Log(fencing=sabotage != "fencing")
        self.happened: deque[str] = deque(maxlen=25)
        self.times = Counter[str]()  # how often what happened
        self.wrong = list[str]()  # noticed on the way
        self.lost = np.zeros((LEARNERS, len(OBJECTIVES)))  # examples that ends of processes may have cost, at most
        self._sabotage: Sabotage = sabotage if sabotage != "fencing" else ""  # type: ignore[assignment]
        self._hints: dict[tuple[Kind, int], dict[str, int]] = {}
        self._owner: dict[tuple[Kind, int], Process] = {}
        self._processes: list[Process] = []
        self._born = 0
        for row in workload.rows:
            self.log.append(*row)
        self.serving = [Serving(self.log, LEARNERS, KEEPERS) for _ in range(SERVING)]
        for kind, count in PARTITIONS.items():
            pair = [self._start(kind), self._start(kind)]
            for number in range(count):
                self._give(kind, number, pair[number % 2])

    def run(self) -> None:
        """All phases; then what fails is healed: everything is read, kept and followed, within so many steps."""
        for phase in self.workload.phases:
            left = deque(phase)
            while left:
                for _ in range(min(len(left), self.rng.randint(1, 20))):
                    self.log.append(*left.popleft())
                for _ in range(self.rng.randint(1, 4)):
                    self._act()
            if phase is not self.workload.phases[-1]:
                self._read_all()
            self.wrong += exceeded(self.processes("learner"), self.serving)
        self._heal()

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
        while sum([self._advance(kind, number) for kind, number in [*self._owner]]):
            rounds += 1
            assert rounds < ROUNDS_MAX, f"the world comes to rest: {self}"
        self._follow_all()

    def _advance(self, kind: Kind, number: int) -> bool:
        """A step, where something waits; answers whether it did. Where delivery has lost the rest, it begins anew."""
        owner = self._owner[kind, number].owners[number]
        if not owner.waits():
            return False
        for topic in owner.stalled():
            owner.seek(topic, owner.watermarks.get(topic, 0))
        self._step(self._owner[kind, number], number)
        return True

    def _follow_all(self) -> None:
        for process in self.processes("learner"):
            for keeper in process.followed:
                process.follow(keeper, 1 << 60)

    def _heal(self) -> None:
        """No more faults: who was not told that it lost a partition ends; then each owner steps until nothing waits, and flushes."""
        for process in list(self._processes):
            if any(self._owner[process.kind, number] is not process for number in process.owners):
                self._die(process, "retires")
        for kind, number in sorted(self._owner):  # keepers, then learners, then keepers for what learners have flushed
            self._settle(kind, number)
        for number in range(KEEPERS):
            self._settle("keeper", number)
        self._follow_all()
        for serving in self.serving:
            serving.follow_all()
        for user in USERS[:2]:
            self._ask(self.serving[0], user)

    def _settle(self, kind: Kind, number: int) -> None:
        """Everything is delivered once more, as after a rebalance without hints: it is read within so many steps."""
        if self.log.fenced(self._owner[kind, number].owners[number].producer):
            self._die(self._owner[kind, number], "is fenced")
        owner = self._owner[kind, number].owners[number]
        for topic in owner.positions:
            owner.seek(topic, 0)
        most = max(self.log.end(topic, number) for topic in owner.positions) // HEALED_LIMIT + 1
        for _ in range(most):
            owner.step(HEALED_LIMIT)
        if owner.waits():
            self.wrong.append(f"{kind} {number} has {owner.lag()} records left after {most} steps")
        owner.step(HEALED_LIMIT, last=True)

    # --- what happens next

    def _act(self) -> None:
        faults = self.faults
        actions: list[tuple[float, Callable[[], None]]] = [
            (1.0, self._step_any),
            (0.4, self._follow),
            (0.3, self._serve),
            (0.2, self._hint),
            (faults.kill / 2, self._kill),
            (faults.takeover / 2, self._take_any_over),
            (faults.rewind, self._rewind),
            (faults.lose, self._lose),
            (faults.repeat, self._repeat),
            (faults.poison / 2, self._poison),
            (faults.compact / 2, self._compact),
        ]
        self.rng.choices([action for _, action in actions], [weight for weight, _ in actions])[0]()

    def _step_any(self) -> None:
        self._step(*self.rng.choice([(process, number) for process in self._processes for number in process.owners]))

    def _step(self, process: Process, number: int) -> None:
        chosen = [name for name in IN_COMMIT if self.rng.random() < getattr(self.faults, name) / 2]
        limit, flush, at = self.rng.choice([5, 50, 50]), self.rng.random() < 0.2, self.rng.random()
        self._say(
            f"{process.name} steps {number}, limit {limit}, flush {flush}, in its commit {chosen[:1]} at {at:.2f}"
        )
        owner = process.owners[number]
        try:
            owner.step(limit, flush=flush, trouble=(at, self._trouble(chosen[0], process, number)) if chosen else None)
        except CrashError:
            self.times["crashes"] += 1
            self._die(process, "crashes")
        except FencedError:
            self.times["fenced"] += 1
            self._die(process, "is fenced")

    def _trouble(self, name: str, process: Process, number: int) -> Callable[[], None]:
        owner = process.owners[number]

        def crash() -> None:
            raise CrashError

        def refuse() -> None:
            owner.producer.abort()
            raise CrashError

        def expire() -> None:
            self.log.expire(owner.transactional_id)

        def seize() -> None:
            if self._owner[process.kind, number] is process:
                self._take_over(process.kind, number)

        self.times[name] += 1
        return {"crash": crash, "refuse": refuse, "expire": expire, "seize": seize}[name]

    def _follow(self) -> None:
        process = self.rng.choice(self.processes("learner"))
        process.follow(self.rng.randrange(KEEPERS), self.rng.choice([1, 7, 1000]))

    def _serve(self) -> None:
        """Some rows reach a serving worker, which may be asked before it has read on."""
        serving = self.rng.choice(self.serving)
        events = LISTENING_EVENTS.name, self.rng.randrange(LEARNERS)  # which it reads ahead of the learners
        for place in [events, *self.rng.sample(list(serving.followed), 3)]:
            serving.follow(place, self.rng.choice([1, 7, 1000]))
        user = self.rng.choice(USERS)
        self.wrong += serving.unforeseen(user)
        self.times["foreseen"] += serving.replica.listener(user).ahead > 0
        if self.rng.random() < 0.3:
            self._ask(serving, self.rng.choice(USERS))

    def _ask(self, serving: Serving, user: str) -> None:
        self.times["asked"] += 1
        self.wrong += serving.ask(user, NOW_MS)

    def _hint(self) -> None:
        """The group's offsets follow the watermarks of some partition, some time."""
        kind, number = self._any_partition()
        self._hints[kind, number] = dict(self._owner[kind, number].owners[number].watermarks)

    def _kill(self) -> None:
        self.times["killed"] += 1
        self._die(self.rng.choice(self._processes), "is killed")

    def _take_any_over(self) -> None:
        self._take_over(*self._any_partition())

    def _take_over(self, kind: Kind, number: int) -> None:
        if len(self.processes(kind)) >= PROCESSES_MAX:
            return
        others = [process for process in self.processes(kind) if number not in process.owners]
        process = self.rng.choice(others) if others else self._start(kind)
        self.times["taken over"] += 1
        self._say(f"{process.name} takes {kind} {number} over")
        self._give(kind, number, process)

    def _rewind(self) -> None:
        kind, number = self._any_partition()
        owner = self._owner[kind, number].owners[number]
        topic = self.rng.choice(INPUTS[kind])
        owner.seek(topic, self.rng.randint(0, owner.watermarks.get(topic, 0)))
        self.times["rewound"] += 1
        self._say(f"{topic} {number} is delivered again from {owner.positions[topic]}")

    def _lose(self) -> None:
        places = [(owner, topic) for kind in PARTITIONS for owner in self.owners(kind) for topic in owner.positions]
        self.rng.shuffle(places)
        lost = next((place for place in places if place[0].lose(place[1], self.rng.choice([1, 5]))), None)
        if lost is not None:
            self.times["lost"] += 1
            self._say(f"a chunk of {lost[1]} {lost[0].number} is lost on the way")

    def _poison(self) -> None:
        self.times["poisoned"] += 1
        self.log.append(TRACK_DELTAS.name, self.rng.randrange(KEEPERS), POISONED, self.rng.choice(POISON))

    def _repeat(self) -> None:
        keeper = self.rng.randrange(KEEPERS)
        deltas = self.log.all(TRACK_DELTAS.name, keeper)
        if deltas:
            again = self.rng.choice(deltas[-5:])
            self.times["repeated"] += 1
            self.times["poisoned"] += again.key == POISONED
            self._say(f"delta {again.offset} of keeper {keeper} is repeated")
            self.log.append(TRACK_DELTAS.name, keeper, again.key, again.value)

    def _compact(self) -> None:
        """Anywhere, whoever has read how far."""
        kind, number = self._any_partition()
        processor = self._owner[kind, number].owners[number].processor
        for topic in (processor.changelog, *processor.restores):
            end = self.log.end(topic, number)
            self.times["compacted"] += 1
            self.log.compact(topic, number, self.rng.randint(0, end))

    # --- who owns what

    def _any_partition(self) -> tuple[Kind, int]:
        return self.rng.choice(list(self._owner))

    def _start(self, kind: Kind) -> Process:
        self._born += 1
        process = Process(self.log, kind, f"{kind}-process-{self._born}", KEEPERS, self._sabotage)
        process.skew_ms = self.rng.choice([0, 0, -SKEW_MS, SKEW_MS]) if self.faults != CALM else 0
        self._processes.append(process)
        return process

    def _give(self, kind: Kind, number: int, process: Process) -> None:
        before = self._owner.get((kind, number))
        if before is not None and kind == "learner":
            owner = before.owners[number]
            owner.rank()  # of those that wait it is only known then which objectives' they are
            self.lost[number] += owner.examples() - owner.flushed
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
