"""The workers of a trial, and what is done to them."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from segue.supervisor import Worker, segue_argv
from streams.runtime.settings import Settings
from tests.faults.watch import Watch
from tests.integration.ledger import until

RECOVERED_S = 90.0  # what takes longer is called a hang
PAUSES_S = (0.5,)  # a kill is no failure of the worker's own: the pauses do not grow
STOPPED_S = 13.0  # of a zombie: past the session timeout of 10 s


class Crew:
    """Some processes of each role under supervision, who are ended in all the ways that there are.

    notes : what their supervisors said; groups : by role, what was last seen of its group
    Each blow answers the longest pause that a partition of the role had from it until all is well again, in seconds.
    """

    def __init__(self, settings: Settings, folder: Path, watch: Watch, *, each: Mapping[str, int], seed: int) -> None:
        self.settings, self.folder, self.watch = settings, folder, watch
        self.notes: list[str] = []
        self.groups: dict[str, str] = {}
        self.workers: dict[str, list[Worker]] = {}
        self._random = random.Random(seed)
        self._made = 0
        for role, count in each.items():
            self.workers[role] = [self._worker(role) for _ in range(count)]

    async def start(self) -> None:
        """Start all; returns once each is ready."""
        for worker in self._all():
            worker.start()
        await until("all workers are ready", lambda: all(worker.ready.is_set() for worker in self._all()), RECOVERED_S)

    async def stop(self) -> None:
        """End all."""
        await asyncio.gather(*(worker.stop() for worker in self._all()))

    async def kill(self, role: str, signum: signal.Signals) -> float:
        """A signal that ends one of them at a random moment; the supervisor starts it again."""
        worker = await self._one_of(role)
        at, restarts = time.monotonic(), worker.restarts
        worker.ready.clear()
        os.kill(_pid(worker), signum)
        await until(f"{worker.name} was started again", lambda: worker.restarts > restarts, RECOVERED_S)
        return await self._recovered(role, at)

    async def make_zombie(self, role: str) -> float:
        """Stop one past the session timeout, so that others take its partitions, then let it go on."""
        worker = await self._one_of(role)
        at, pid = time.monotonic(), _pid(worker)
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(STOPPED_S)
        finally:
            os.kill(pid, signal.SIGCONT)
        return await self._recovered(role, at)

    async def scale(self, role: str, count: int) -> float:
        """Start or end (SIGTERM) some until so many run."""
        at, workers = time.monotonic(), self.workers[role]
        while len(workers) > count:
            await workers.pop().stop()
        while len(workers) < count:
            workers.append(self._worker(role))
            workers[-1].start()
        return await self._recovered(role, at)

    async def recovered(self, at: float) -> float:
        """The longest pause of any role from a time until all is well."""
        return max(await asyncio.gather(*(self._recovered(role, at) for role in self.workers)))

    async def _recovered(self, role: str, at: float) -> float:
        workers = self.workers[role]
        self.groups.pop(role, None)
        await until(f"each {role} is ready", lambda: all(worker.ready.is_set() for worker in workers), RECOVERED_S)
        await until(f"the group of {role} is stable", lambda: self._is_stable(role), RECOVERED_S)
        stable = time.monotonic()
        await until(f"all partitions of {role} move", lambda: self.watch.moved_since(role, stable), RECOVERED_S)
        return self.watch.longest_pause(role, at, time.monotonic())

    async def _is_stable(self, role: str) -> bool:
        await asyncio.sleep(0.2)
        admin = AIOKafkaAdminClient(**self.settings.client(), request_timeout_ms=5000)
        try:
            await admin.start()
            (answer,) = await admin.describe_consumer_groups([f"{self.settings.prefix}segue-{role}"])
            (group,) = answer.groups
            state, members, workers = group[2], len(group[5]), self.workers[role]
            self.groups[role] = f"the group of {role} was {state}, with {members} members of {len(workers)}"
            return bool(state == "Stable" and members == len(workers))
        except (KafkaError, OSError, TimeoutError):  # policy: a broker that is just starting says nothing yet
            return False
        finally:
            await admin.close()

    async def _one_of(self, role: str) -> Worker:
        worker = self._random.choice(self.workers[role])
        await until(f"{worker.name} is ready", worker.ready.is_set, RECOVERED_S)
        await asyncio.sleep(self._random.random())
        return worker

    def _worker(self, role: str) -> Worker:
        self._made += 1
        name = f"{role}-{self._made}"
        argv = segue_argv("worker", role)
        environ, log = self.settings.environ(), self.folder / f"{name}.log"
        return Worker(name, argv, environ, log, self.notes.append, pauses_s=PAUSES_S)

    def _all(self) -> list[Worker]:
        return [worker for workers in self.workers.values() for worker in workers]


def _pid(worker: Worker) -> int:
    assert worker.process is not None, f"{worker.name} was started"
    return worker.process.pid
