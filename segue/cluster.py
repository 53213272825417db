"""A whole Segue on this machine: the broker, the topics, and one supervised process of each worker."""

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from segue.embedded.kafka import BrokerError, EmbeddedKafka
from segue.embedded.running import announce, withdraw
from segue.errors import SituationError
from segue.forked import prepare
from segue.supervisor import Pauses, Worker, segue_argv
from streams.runtime.admin import create_topics
from streams.runtime.settings import Settings

WORKERS = ("keeper", "learner", "serving")
# of 19; answers come first: a playlist does not wait for a transaction, and what is learnt half a second later is learnt
NICENESS = {"keeper": 10, "learner": 10}
READY_S = 90.0
BROKER_LOOK_S = 0.2


class RunningCluster:
    """Use it as an async context manager; `settings` says where it is.

    home : folder of data and logs; say : takes notes of what happens
    settings : of a Kafka that runs already; without them KAFKA_BOOTSTRAP_SERVERS is used, else one is started in `home`
    workers : what is started, one process of each

    Raises
    ------
    SettingsError
        where a variable has a value that cannot be used
    """

    def __init__(
        self,
        home: Path,
        say: Callable[[str], None],
        *,
        settings: Settings | None = None,
        workers: tuple[str, ...] = WORKERS,
    ) -> None:
        self.home, self.say, self.names = home, say, workers
        self.workers: list[Worker] = []
        self._kafka: EmbeddedKafka | None = None
        if settings is None and not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
            self._kafka = EmbeddedKafka(home / "data", say=say)
        self.settings = settings or Settings.from_env(embedded=self._kafka.bootstrap if self._kafka else None)
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "RunningCluster":
        try:
            prepare(self.say)
            if self._kafka is not None:
                await self._start_broker(self._kafka)
            created = await create_topics(self.settings)
            if created:
                self.say(f"created {len(created)} topics")
            logs = self.home / "logs"
            logs.mkdir(parents=True, exist_ok=True)
            for name in self.names:
                argv = segue_argv("worker", name)
                log, niceness = logs / f"{name}.log", NICENESS.get(name, 0)
                worker = Worker(name, argv, self.settings.environ(), log, self.say, niceness=niceness)
                worker.start()
                self.workers.append(worker)
                self._stack.push_async_callback(worker.stop)
            await self._ready()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    @property
    def kafka_id(self) -> str:
        """Names whose topics these are, for files: our own broker's or the address of another, and the prefix."""
        where = self.settings.bootstrap if self._kafka is None else "here"
        return re.sub(r"[^A-Za-z0-9]+", "-", f"{where}-{self.settings.prefix}").strip("-")

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start_broker(self, kafka: EmbeddedKafka) -> None:
        self.say("starting Apache Kafka")
        await self._stack.enter_async_context(kafka)
        announce(kafka.bootstrap)
        self._stack.callback(withdraw)
        watching = asyncio.create_task(self._keep_broker(kafka))
        self._stack.push_async_callback(asyncio.wait, [watching])
        self._stack.callback(watching.cancel)

    async def _keep_broker(self, kafka: EmbeddedKafka) -> None:
        """Start the broker again, on its data, wherever its process has ended."""
        pauses = Pauses()
        while True:  # until it is cancelled
            began = time.monotonic()
            while kafka.pids:
                await asyncio.sleep(BROKER_LOOK_S)
            pause_s = pauses.after(time.monotonic() - began)
            self.say(f"the broker's process has ended; starting it again in {pause_s:g} s")
            await asyncio.sleep(pause_s)
            try:
                kafka.launch()
                await kafka.answers()
            except (BrokerError, OSError) as error:  # policy: said, and tried again
                self.say(str(error))

    async def _ready(self) -> None:
        self.say(f"starting {', '.join(self.names)}")
        try:
            async with asyncio.timeout(READY_S):
                await asyncio.gather(*(worker.ready.wait() for worker in self.workers))
        except TimeoutError as error:
            late = [worker.name for worker in self.workers if not worker.ready.is_set()]
            raise SituationError(
                f"{', '.join(late)} did not get ready within {READY_S:.0f} s: see {self.home / 'logs'}"
            ) from error
