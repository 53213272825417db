"""The engine of the write path: Faust delivers, one task per partition number applies and commits in Kafka transactions.

fetched chunk -> agent -> Partition.put -> [buffer] -> Processor.step -> Store.commit: transaction(rows, outputs, watermarks)
"""

import asyncio
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import faust
from faust.tables.manager import TableManager
from faust.types.auth import CredentialsT
from faust.types.tuples import TP

from streams.runtime.exits import FAILED
from streams.runtime.membership import IDLE_MS_MAX
from streams.runtime.partition import BUFFERED_BYTES_MAX, BUFFERED_MAX, STEP_MAX, Partition
from streams.runtime.settings import Settings
from streams.runtime.store import Store
from streams.runtime.transport import ChunkTransport
from streams.steps import Processor

log = logging.getLogger(__name__)
# Chunks that are fetched, and not with their partitions yet: those take what comes, so they are seldom more than one fetch.
CHUNKS_MAX = 64


class Engine:
    """Runs one processor per assigned partition number.

    name : of the worker; its consumer group is prefix + "segue-" + name
    build : partition number -> processor
    inputs : logical topics, co-partitioned
    closed : called with the number of a partition that was given back
    needs : ends when there is what the processors need; the group is joined meanwhile
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        build: Callable[[int], Processor],
        inputs: Sequence[str],
        *,
        step_max: int = STEP_MAX,
        buffered_max: int = BUFFERED_MAX,
        buffered_bytes_max: int = BUFFERED_BYTES_MAX,
        closed: Callable[[int], None] | None = None,
        needs: asyncio.Task[None] | None = None,
    ) -> None:
        self.settings, self.name, self.build, self.closed, self.needs = settings, name, build, closed, needs
        self._bounds = {"step_max": step_max, "buffered_max": buffered_max, "buffered_bytes_max": buffered_bytes_max}
        self.partitions: dict[int, Partition] = {}
        self._inputs = frozenset(settings.topic(topic) for topic in inputs)
        self._stopping = False
        self._owned: set[TP] = set()
        self._assigned = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._app = self._faust_app()

    async def start(self) -> None:
        """Join the group; returns once what was assigned first is restored."""
        self._app.finalize()
        self._watching = asyncio.create_task(self._watch())
        await self._app.start()
        await self._assigned.wait()
        await asyncio.gather(*(partition.restored.wait() for partition in self.partitions.values()))

    async def stop(self) -> None:
        """Running steps end, coalesced state is flushed, the group is told how far we are and left."""
        self._stopping = True
        if self._watching is None:  # it was never started
            return
        self._watching.cancel()
        await self._close(list(self.partitions))
        await self._app.consumer.commit_watermarks()
        await self._app.stop()

    async def _watch(self) -> None:
        """Faust only notes that it has crashed, and reads no more: a fresh process goes on."""
        await self._app._crashed.wait()
        log.critical("Faust has crashed: %r; ending, to start again from what is committed", self._app.crash_reason)
        os._exit(FAILED)

    def stats(self) -> dict[int, dict[str, Any]]:
        """Figures by partition number."""
        return {number: partition.stats() for number, partition in sorted(self.partitions.items())}

    def _faust_app(self) -> faust.App:
        settings, membership = self.settings, self.settings.membership(self.name)
        app = faust.App(
            membership["group_id"],
            broker=[f"kafka://{address}" for address in settings.bootstrap.split(",")],
            broker_credentials=credentials(settings),
            store="memory://",
            datadir=tempfile.gettempdir(),  # nothing is kept there; Faust would make a folder where we stand
            web_enabled=False,
            autodiscover=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            broker_max_poll_interval=IDLE_MS_MAX / 1000,
            broker_session_timeout=membership["session_timeout_ms"] / 1000,
            broker_heartbeat_interval=membership["heartbeat_interval_ms"] / 1000,
            consumer_group_instance_id=membership.get("group_instance_id"),
            stream_wait_empty=False,
            stream_buffer_maxsize=CHUNKS_MAX,
            TableManager=NoTables,
        )
        app.transport = ChunkTransport(app.conf.broker_consumer, app)
        app.on_partitions_revoked.connect(self._revoked, weak=False)
        app.on_partitions_assigned.connect(self._were_assigned, weak=False)
        topic = app.topic(*sorted(self._inputs), key_serializer="raw", value_serializer="raw", acks=False)
        app.agent(topic, name=f"segue-{self.name}")(self._deliver)
        app.timer(1.0)(self._hint)
        return app

    async def _deliver(self, stream: Any) -> None:
        async for event in stream.events():
            tp = event.message.tp
            if self._stopping or tp not in self._owned:
                continue  # its new owner will get it; opening a store now would fence that one
            await self._open(tp.partition).put(tp, event.value)

    async def _hint(self) -> None:
        if not self._stopping:
            await self._app.consumer.commit_watermarks()

    async def _were_assigned(self, _app: faust.App, assigned: set[TP], **_: Any) -> None:
        self._owned |= assigned
        if assigned and (gone := self._inputs - {tp.topic for tp in assigned}):  # nobody would read it, without a word
            log.critical(
                "%s: not there any more, deleted under a running worker; ending. `segue topics create` makes what is missing",
                ", ".join(sorted(gone)),
            )
            os._exit(FAILED)
        for number in sorted({tp.partition for tp in assigned if tp.topic in self._inputs}):
            if not self._stopping:
                self._open(number)
        self._assigned.set()

    async def _revoked(self, _app: faust.App, revoked: set[TP], **_: Any) -> None:
        self._owned -= revoked
        await self._close(sorted({tp.partition for tp in revoked if tp.topic in self._inputs}))
        # `stop` tells the offsets itself: a commit here that it cuts off would keep the group from hearing that we leave
        await self._hint()
        self._app.consumer.forget(revoked)

    def _open(self, number: int) -> Partition:
        if number not in self.partitions:
            store = Store(self.settings, self.name, number, self.build(number))
            self.partitions[number] = Partition(store, self._app.consumer, **self._bounds, needs=self.needs)
        return self.partitions[number]

    async def _close(self, numbers: Sequence[int]) -> None:
        closing = {number: self.partitions.pop(number) for number in numbers if number in self.partitions}
        await asyncio.gather(*(partition.close() for partition in closing.values()))
        if self.closed is not None:
            for number in closing:
                self.closed(number)


class NoTables(TableManager):
    """Faust's tables, of which there are none."""

    async def on_start(self) -> None:
        """As Faust's, which first waits a second for tables that are still being made; the group is joined after it."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


def credentials(settings: Settings) -> CredentialsT | None:
    """How a Faust app logs in; None where it need not."""
    if settings.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            mechanism=settings.sasl_mechanism,
            username=settings.sasl_username,
            password=settings.sasl_password,
            ssl_context=settings.ssl_context(),
        )
    if settings.security_protocol == "SSL":
        return faust.SSLCredentials(settings.ssl_context())
    return None
