"""How a worker lives: it starts, says that it is ready, waits for SIGTERM or Ctrl-C, and stops cleanly."""

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import aiokafka.conn
import uvloop
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

from streams.runtime.exits import FAILED

T = TypeVar("T")
log = logging.getLogger(__name__)
STOP_S = 12.0
GC_THRESHOLDS = 20_000, 20, 50
SAME_S = 10.0  # a library says the same again after so long


class Connection(AIOKafkaConnection):
    """A connection to a broker whose transport may be uvloop's.

    To write to one that is closed is a RuntimeError there, and aiokafka expects an OSError (aio-libs/aiokafka#1038): what was sending would end
    for good, of the task that reads metadata without a word, and whoever waits for those would wait for ever.

    Raises
    ------
    KafkaConnectionError
        where what is to be sent would go to a transport that is closed, which is not known of this connection yet
    """

    def send(self, *args: Any, **options: Any) -> Any:
        self._check_transport()
        return super().send(*args, **options)

    def _send_sasl_token(self, *args: Any, **options: Any) -> Any:
        self._check_transport()
        return super()._send_sasl_token(*args, **options)

    def _check_transport(self) -> None:
        if self._writer is not None and self._writer.transport.is_closing():
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {self.host}:{self.port} was closed")


def run_process(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that is all of a process, on the loop and with the garbage collection that suit one that answers others.

    Full collections are seldom, one for 20 million containers that stayed (hourly at 500 events/s): each looks through everything that lives
    long, and stops the process for 50 ms and more.
    """
    gc.set_threshold(*GC_THRESHOLDS)
    aiokafka.conn.AIOKafkaConnection = Connection
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # Faust's consumer thread makes a loop of its own
    return asyncio.run(main)


async def run_until_signalled(
    start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]], ready: str
) -> None:
    """Start, print the line `ready`, wait for a signal, stop. A second signal ends at once."""
    quiet_logs()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, lambda: os._exit(1) if ended.is_set() else ended.set())
    starting = asyncio.ensure_future(start())
    waiting = asyncio.ensure_future(ended.wait())
    await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()
        gc.collect()
        gc.freeze()  # the code, and most of what was restored, live as long as the worker
        sys.stdout.write(ready + "\n")
        sys.stdout.flush()
    await waiting
    ending = asyncio.ensure_future(_end(starting, stop))
    # who waits for a broker that is away may not heed that it is cancelled
    await asyncio.wait([ending], timeout=STOP_S)
    if not ending.done():
        log.critical("did not stop within %g s; ending", STOP_S)
        os._exit(FAILED)
    try:
        ending.result()
    except Exception:  # policy: it is to end now; what it did not commit is replayed by the next
        log.exception("did not stop cleanly; ending")
        os._exit(FAILED)


async def _end(starting: "asyncio.Future[None]", stop: Callable[[], Awaitable[None]]) -> None:
    if not starting.done():  # some of its partitions may be at work already
        starting.cancel()
        await asyncio.wait([starting])
    await stop()


class Seldom(logging.Filter):
    """Lets a library's line through once in `SAME_S`: while a broker is away, Kafka's client says so 200 times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to say it; what is not of Kafka's client always is."""
        if not record.name.startswith("aiokafka"):
            return True
        text, now = record.getMessage(), time.monotonic()
        self._said = {line: at for line, at in self._said.items() if now - at < SAME_S}
        return self._said.setdefault(text, now) == now


def quiet_logs() -> None:
    """Warnings and worse on stderr; libraries that report the broker's every hiccup only when it is an error."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(Seldom())
    for name in ("aiokafka", "faust", "mode", "aiokafka.producer.sender", "aiokafka.conn", "asyncio"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # the first group of a fresh broker waits a moment for its coordinator: no error
    logging.getLogger("aiokafka.consumer.group_coordinator").setLevel(logging.CRITICAL)
