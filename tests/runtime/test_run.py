"""A worker's life: started, ready, signalled, stopped; a signal that comes early is obeyed too."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import Iterator
from typing import Any

import aiokafka.conn
import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from streams.runtime import run as run_module
from streams.runtime.exits import FAILED
from streams.runtime.run import run_until_signalled
from tests.runtime.fakes import DEADLINE_S, Ended

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def unchanged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging is left as it is, and signals mean afterwards what they meant before."""
    monkeypatch.setattr(run_module, "quiet_logs", lambda: None)
    before = [signal.getsignal(signum) for signum in SIGNALS]
    yield
    for signum, handler in zip(SIGNALS, before, strict=True):
        signal.signal(signum, handler)


def signalled(signum: int = signal.SIGTERM) -> None:
    """Signal this process."""
    os.kill(os.getpid(), signum)


class Worker:
    """A worker that writes down what became of it."""

    def __init__(self) -> None:
        self.life: list[str] = []

    async def start(self) -> None:
        self.life.append("started")

    async def start_for_ever(self) -> None:
        self.life.append("starting")
        signalled()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.life.append("cancelled")
            raise

    async def stop(self) -> None:
        self.life.append("stopped")


async def live(worker: Worker, start: object = None) -> None:
    """Run a worker; it is to end soon."""
    running = run_until_signalled(start or worker.start, worker.stop, "it is ready")  # type: ignore[arg-type]
    await asyncio.wait_for(running, DEADLINE_S)


@pytest.mark.parametrize("signum", SIGNALS)
async def test_a_worker_is_ready_until_it_is_signalled(signum: int, capsys: pytest.CaptureFixture[str]) -> None:
    worker = Worker()
    living = asyncio.create_task(live(worker))
    said = ""
    async with asyncio.timeout(DEADLINE_S):
        while not said:
            await asyncio.sleep(0.001)
            said = capsys.readouterr().out
    assert worker.life == ["started"]
    signalled(signum)
    await living

    assert said == "it is ready\n"
    assert worker.life == ["started", "stopped"]


async def test_a_signal_during_the_start_cancels_it_and_stops(
    exits: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    worker = Worker()
    await live(worker, worker.start_for_ever)

    assert worker.life == ["starting", "cancelled", "stopped"]
    assert capsys.readouterr().out == ""
    assert exits == []


async def test_an_error_of_the_start_is_raised_and_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    async def broken() -> None:
        raise ConnectionError("no Kafka")

    worker = Worker()
    with pytest.raises(ConnectionError, match="no Kafka"):
        await live(worker, broken)

    assert capsys.readouterr().out == ""


async def test_an_error_of_the_stop_ends_the_process(exits: list[int]) -> None:
    class Broken(Worker):
        async def stop(self) -> None:
            raise ConnectionError("no Kafka")

    worker = Broken()
    with pytest.raises(Ended):
        await live(worker, worker.start_for_ever)

    assert exits == [FAILED]


async def test_a_stop_that_takes_too_long_ends_the_process(exits: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Worker):
        async def stop(self) -> None:
            while not exits:  # nor is it heeded that it is cancelled
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.001)

    monkeypatch.setattr(run_module, "STOP_S", 0.01)
    worker = Slow()
    with pytest.raises(Ended):
        await live(worker, worker.start_for_ever)

    assert exits == [FAILED]


async def test_a_second_signal_ends_at_once(exits: list[int]) -> None:
    class Signalled(Worker):
        async def stop(self) -> None:
            signalled()
            async with asyncio.timeout(DEADLINE_S):
                while not exits:
                    await asyncio.sleep(0.001)

    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # of `Ended`
    worker = Signalled()
    await live(worker, worker.start_for_ever)

    assert exits == [1]


def test_the_same_line_of_kafkas_client_is_said_seldom_and_our_own_always(monkeypatch: pytest.MonkeyPatch) -> None:
    now, seldom = [0.0], run_module.Seldom()
    monkeypatch.setattr(run_module.time, "monotonic", lambda: now[0])

    def said(name: str, text: str, at_s: float) -> bool:
        now[0] = at_s
        return seldom.filter(logging.LogRecord(name, logging.ERROR, "", 0, text, (), None))

    assert [said("aiokafka.conn", "node 2 is away", at_s) for at_s in (1.0, 1.1, 10.9, 11.1, 11.2)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert said("aiokafka.conn", "node 3 is away", 11.2)
    assert [said("streams.runtime.partition", "it ends", 12.0) for _ in range(3)] == [True] * 3


@pytest.mark.parametrize(("send", "what"), [("send", MetadataRequest([])), ("_send_sasl_token", b"")])
def test_what_is_sent_over_a_transport_that_closed_is_a_lost_connection(send: str, what: Any) -> None:
    async def sent() -> None:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        connection = run_module.Connection(host, port)
        connection._versions = {MetadataRequest.API_KEY: (0, 5)}
        connection._reader, connection._writer = await asyncio.open_connection(host, port)
        connection._read_task = asyncio.create_task(asyncio.sleep(0))  # what would notice has not had its turn
        connection._writer.transport.abort()
        await asyncio.sleep(0.01)

        with pytest.raises(KafkaConnectionError, match="was closed"):
            getattr(connection, send)(what)

        assert not connection.connected()
        server.close()

    uvloop.run(sent())


def test_every_process_on_uvloop_has_connections_that_survive_a_closed_transport() -> None:
    async def made() -> type:
        return aiokafka.conn.AIOKafkaConnection

    before, thresholds = asyncio.get_event_loop_policy(), gc.get_threshold()
    try:
        assert run_module.run_process(made()) is run_module.Connection
    finally:
        aiokafka.conn.AIOKafkaConnection = AIOKafkaConnection
        asyncio.set_event_loop_policy(before)
        gc.set_threshold(*thresholds)
