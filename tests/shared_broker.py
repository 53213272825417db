"""One embedded Apache Kafka for all processes of a test session, as a broker costs seconds to start. Not for tests that end brokers: they start their own."""

import asyncio
import contextlib
import sys
import threading
from pathlib import Path

from aiokafka.errors import KafkaError

from segue.embedded.jars import JarsError
from segue.embedded.kafka import BrokerError, EmbeddedKafka, free_ports
from streams.runtime.access import administering
from streams.runtime.settings import Settings
from tests.integration.ledger import until

STARTED_S = 200.0  # the first time its jars are fetched


class SharedBroker:
    """Of the process that distributes the tests; `port` is known before it is started.

    It runs in a thread of its own: the broker's process ends with the thread that started it.
    """

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to start it; no harm where it runs."""
        if self._thread is None:
            self._thread = threading.Thread(target=asyncio.run, args=[self._run()], daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End it; returns once it has ended."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    async def _run(self) -> None:
        try:
            async with EmbeddedKafka(port=self.port):
                await asyncio.to_thread(self._ended.wait)
        except (BrokerError, JarsError) as error:  # policy: said; the tests say that nobody answers them
            sys.stderr.write(f"{error}\n")


async def reached(port: int) -> EmbeddedKafka:
    """The broker of that port, once it answers: to ask for its address, not to start or end it."""
    kafka = EmbeddedKafka(Path("the data of another process"), port=port)

    async def answers() -> bool:
        with contextlib.suppress(KafkaError):
            async with administering(Settings(bootstrap=kafka.bootstrap)) as admin:
                await admin.list_topics()
                return True
        return False

    await until(f"the broker of the session answers at {kafka.bootstrap}", answers, STARTED_S)
    return kafka
