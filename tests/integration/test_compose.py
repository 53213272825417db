"""docker-compose.yml says what the commands and the settings understand, and the same commands run without Docker.

There is no container here: what a container would be given (argv, environment, broker settings) is taken from the file as it is, addresses
and folders replaced, and run as processes of this machine.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from aiokafka import AIOKafkaConsumer, TopicPartition

from segue.cli.main import app
from segue.cluster import NICENESS, WORKERS
from segue.embedded.jars import VERSION
from segue.embedded.kafka import EmbeddedKafka, die_with_parent
from streams.runtime.admin import count_partitions
from streams.runtime.settings import Settings
from streams.topics import TOPICS

ROOT = Path(__file__).parents[2]
SCALABLE = ("learner", "keeper", "serving", "traffic")
# what differs from one machine to the next: addresses, names of listeners, folders, the JVM's memory
PLACES = re.compile(r"listener|quorum\.voters|node\.id|process\.roles|log\.dirs|heap\.opts")
READY_S, FIGURES_S, END_S = 60.0, 60.0, 30.0


def interpolated(value: Any, env: Mapping[str, str]) -> Any:
    """The file with its ${NAME:-default} filled in: in the values, after YAML was read, as compose does."""
    if isinstance(value, dict):
        return {key: interpolated(each, env) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolated(each, env) for each in value]
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: env.get(found[1]) or found[2], value)
    return value


def compose(env: Mapping[str, str] | None = None) -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    filled: dict[str, Any] = interpolated(loaded, env or {})
    return filled


FILE = compose()
OURS = {name: service for name, service in FILE["services"].items() if service["image"].startswith("segue:")}


def broker_properties(environment: Mapping[str, object]) -> dict[str, str]:
    """Kafka's settings from the variables of its image: KAFKA_A_B is a.b, __ stands for _ and ___ for -."""
    named = {name[6:].lower(): str(value) for name, value in environment.items() if name.startswith("KAFKA_")}
    return {
        name.replace("___", "-").replace("__", "\0").replace("_", ".").replace("\0", "_"): value
        for name, value in named.items()
    }


def lines_of(properties: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in properties.splitlines() if line)


class ComposeKafka(EmbeddedKafka):
    """The embedded broker with the compose file's settings, but for what is a place."""

    def _properties(self, number: int) -> str:
        ours = lines_of(super()._properties(number))
        theirs = broker_properties(FILE["services"]["kafka"]["environment"])
        merged = ours | {name: value for name, value in theirs.items() if not PLACES.search(name)}
        return "".join(f"{name}={value}\n" for name, value in merged.items())


# --- the file says what the code understands


@pytest.mark.parametrize("name", OURS)
def test_every_service_runs_a_command_that_segue_has(name: str) -> None:
    command, argv = typer.main.get_command(app), [str(word) for word in OURS[name]["command"]]
    while hasattr(command, "commands"):
        assert argv, f"{name}: {command.name} wants a subcommand"
        command, argv = command.commands[argv[0]], argv[1:]

    command.make_context(name, argv)  # raises where an argument or an option is not one


@pytest.mark.parametrize("name", FILE["services"])
def test_every_image_has_a_version(name: str) -> None:
    _, _, tag = FILE["services"][name]["image"].rpartition(":")

    assert re.fullmatch(r"\d+\.\d+\.\d+", tag)


def test_the_broker_is_the_version_that_is_embedded() -> None:
    assert FILE["services"]["kafka"]["image"] == f"apache/kafka:{VERSION}"


def test_our_image_is_the_projects_version() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    assert version is not None
    assert {service["image"] for service in OURS.values()} == {f"segue:{version[1]}"}


@pytest.mark.parametrize("name", SCALABLE)
def test_a_scalable_service_has_no_name_and_no_port_of_its_own(name: str) -> None:
    assert not {"container_name", "ports", "hostname", "network_mode"} & set(OURS[name])


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_is_started_again_and_has_time_to_end(name: str) -> None:
    assert OURS[name]["restart"] == "unless-stopped"
    assert OURS[name]["stop_grace_period"] == "30s"
    assert OURS[name]["depends_on"]["topics"]["condition"] == "service_completed_successfully"


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_gives_way_as_it_does_under_segue_up(name: str) -> None:
    weight = 1024 / 1.25 ** NICENESS.get(name, 0)  # sched(7): a step of niceness is a quarter

    assert OURS[name]["cpu_shares"] == round(weight)


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_our_services_is_one_that_is_read(name: str) -> None:
    read = set()

    class Recording(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            read.add(key)
            return super().get(key, default)

    environment = {key: str(value) for key, value in OURS[name]["environment"].items()}
    settings = Settings.from_env(Recording(environment))

    assert set(environment) <= read
    assert settings == Settings(bootstrap="kafka:9092")  # the file's defaults are the code's


def test_a_variable_of_the_host_reaches_the_services() -> None:
    services = compose({"SEGUE_PARTITIONS": "8", "SEGUE_LISTENERS": "3"})["services"]

    assert services["topics"]["environment"]["SEGUE_PARTITIONS"] == "8"
    assert services["traffic"]["command"][-1] == "3"


def test_the_broker_is_set_as_the_embedded_one_is() -> None:
    theirs = broker_properties(FILE["services"]["kafka"]["environment"])
    ours = lines_of(EmbeddedKafka(Path("unused"))._properties(0))
    expected = {name: value for name, value in ours.items() if not PLACES.search(name)}

    assert expected == {name: theirs.get(name) for name in expected}


def test_the_host_reaches_the_broker_by_loopback_alone() -> None:
    (port,) = FILE["services"]["kafka"]["ports"]

    assert port == "127.0.0.1:9094:9094"
    assert "HOST://localhost:9094" in FILE["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_what_the_image_is_built_from_is_there_and_reaches_the_build() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = [line.split()[1:-1] for line in dockerfile.splitlines() if line.startswith("COPY ")]
    sources = {source for line in copied for source in line}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert all((ROOT / source).exists() for source in sources)
    assert sources == allowed
    assert "USER segue" in dockerfile
    assert 'ENTRYPOINT ["segue"]' in dockerfile


def test_docker_compose_accepts_the_file() -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("no docker client with the compose plugin")
    done = subprocess.run(["docker", "compose", "config", "--quiet"], cwd=ROOT, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


# --- the same commands, run here


class Service:
    """One service of the file as a process of this machine."""

    def __init__(self, name: str, bootstrap: str) -> None:
        self.name, self.lines = name, list[str]()
        given = {key: str(value) for key, value in OURS[name]["environment"].items()}
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("SEGUE_", "KAFKA_"))}
        self.env = kept | given | {"KAFKA_BOOTSTRAP_SERVERS": bootstrap}

    async def start(self, *further: str) -> "Service":
        argv = [sys.executable, "-m", "segue.cli.main", *map(str, OURS[self.name]["command"]), *further]
        self.process = await asyncio.create_subprocess_exec(
            *argv,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
        return self

    async def says(self, pattern: str, within_s: float) -> str:
        """The first line that matches, from here on."""
        assert self.process.stdout is not None
        async with asyncio.timeout(within_s):
            async for line in self.process.stdout:
                self.lines.append(line.decode().rstrip())
                if re.search(pattern, self.lines[-1]):
                    return self.lines[-1]
        raise AssertionError(f"{self.name} ended without saying {pattern!r}: {self.lines[-20:]}")

    async def ends(self) -> int:
        async with asyncio.timeout(END_S):
            output, _ = await self.process.communicate()
        self.lines += output.decode().splitlines()
        return self.process.returncode  # type: ignore[return-value]

    async def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.ends()

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def running(name: str, bootstrap: str, *further: str) -> AsyncIterator[Service]:
    """A service's process, which does not outlive the test."""
    service = await Service(name, bootstrap).start(*further)
    try:
        yield service
    finally:
        await service.kill()


async def end_of_tracks(settings: Settings) -> int:
    reader = AIOKafkaConsumer(**settings.client())
    await reader.start()
    try:
        parts = range((await count_partitions(settings))["track"])
        ends = await reader.end_offsets([TopicPartition(settings.topic("tracks"), part) for part in parts])
        return sum(ends.values())
    finally:
        await reader.stop()


@pytest.mark.kafka
@pytest.mark.slow
async def test_the_services_play_together_and_end_cleanly(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        kafka = await stack.enter_async_context(ComposeKafka())
        settings = Settings(bootstrap=kafka.bootstrap)
        for expected in (f"created .*{TOPICS[-1].name}", f"all {len(TOPICS)} topics are there"):
            topics = await stack.enter_async_context(running("topics", kafka.bootstrap))
            await topics.says(expected, READY_S)
            assert await topics.ends() == 0
        workers = [
            await stack.enter_async_context(running(name, kafka.bootstrap)) for name in ("learner", "keeper", "serving")
        ]
        for worker in workers:
            await worker.says(f"^{worker.name} ready$", READY_S)

        by_signal, by_itself = tmp_path / "by_signal.json", tmp_path / "by_itself.json"
        traffic = await stack.enter_async_context(running("traffic", kafka.bootstrap, "--json", str(by_signal)))
        await traffic.says(r"learnt [1-9][\d,]* events .* [1-9][\d,]* playlists", FIGURES_S)
        assert await traffic.terminate() == 0, traffic.lines
        listed = await end_of_tracks(settings)
        again = await stack.enter_async_context(
            running("traffic", kafka.bootstrap, "--seconds", "3", "--json", str(by_itself))
        )
        assert await again.ends() == 0, again.lines
        codes = {worker.name: await worker.terminate() for worker in workers}

        assert listed == await end_of_tracks(settings)  # a catalogue that is listed is not produced again
        assert codes == {"learner": 0, "keeper": 0, "serving": 0}
        for path in (by_signal, by_itself):
            figures = json.loads(path.read_text())
            assert figures["events_learnt"] > 0
            assert figures["playlists"] > 0
            assert (figures["errors"], figures["dead_letters"]) == (0, 0)
