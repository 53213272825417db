"""The embedded Apache Kafka: starts, keeps its data, is found, leaves nothing behind."""

import asyncio
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from segue.embedded import jars
from segue.embedded.jars import JarsError, kafka_jars, locked
from segue.embedded.kafka import BrokerError, EmbeddedKafka, free_ports
from segue.supervisor import segue_argv
from streams.runtime.admin import TopicsError, count_partitions, create_topics
from streams.runtime.settings import EMBEDDED_PARTITIONS, Settings
from streams.topics import LISTENERS, LISTENING_EVENTS, TOPICS
from tests.integration.ledger import read_all

pytestmark = pytest.mark.kafka


async def test_creating_topics_again_does_no_harm(settings: Settings) -> None:
    assert await create_topics(settings) == []
    assert await count_partitions(settings) == {"listener": 2, "track": 2, "single": 1}


async def test_topics_are_compacted_where_they_hold_rows(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    wanted = [ConfigResource(ConfigResourceType.TOPIC, settings.topic(topic)) for topic in TOPICS]
    answers = await admin.describe_configs(wanted)
    await admin.close()
    seen = {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for answer in answers
        for resource in answer.resources
    }

    for topic in TOPICS:
        assert topic.settings().items() <= seen[settings.topic(topic)].items()


async def test_missing_topics_are_named(kafka: EmbeddedKafka) -> None:
    with pytest.raises(TopicsError, match="run `segue topics create`"):
        await count_partitions(Settings(bootstrap=kafka.bootstrap, prefix="nobody-made-these-"))


@pytest.mark.parametrize("seen", [True, False], ids=["before", "at the same moment"])
async def test_group_of_topics_that_disagrees_is_refused(
    kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    settings = Settings(bootstrap=kafka.bootstrap, prefix=f"uneven-{seen}-", partitions=2)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    names = settings.topic(LISTENING_EVENTS), settings.topic(LISTENERS)
    await admin.create_topics([NewTopic(names[0], 2, 1), NewTopic(names[1], 3, 1)])
    while not set(names) <= set(await admin.list_topics()):
        await asyncio.sleep(0.02)
    await admin.close()
    answers, ask = list[list[Any]]([] if seen else [[]]), AIOKafkaAdminClient.describe_topics

    async def describe_topics(admin: AIOKafkaAdminClient) -> list[Any]:
        return answers.pop() if answers else await ask(admin)

    monkeypatch.setattr(AIOKafkaAdminClient, "describe_topics", describe_topics)

    with pytest.raises(TopicsError, match="they must agree"):
        await create_topics(settings)


async def test_broker_that_cannot_start_says_why(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    taken = EmbeddedKafka(tmp_path, port=kafka.ports[0])
    with pytest.raises(BrokerError, match="port"):
        await taken.start()

    assert taken.pids == []


@pytest.mark.slow
async def test_command_says_when_it_is_ready_others_find_it_and_its_data_are_there_after_a_restart(
    tmp_path: Path,
) -> None:
    (port,), data = free_ports(1), tmp_path / "data"
    data.mkdir()
    (data / "cluster-id").write_text("-y-H4OkdQZaWYepLv3A43Q")  # a random id may begin with a dash
    env = {**os.environ, "SEGUE_HOME": str(tmp_path / "home")}
    env.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    broker = await asyncio.create_subprocess_exec(
        *segue_argv("broker", "--port", str(port), "--data", str(data)), env=env, stdout=subprocess.PIPE
    )
    assert broker.stdout is not None
    line = await asyncio.wait_for(broker.stdout.readline(), 90.0)

    assert line.decode().strip() == f"Kafka ready at 127.0.0.1:{port}"
    made = await asyncio.create_subprocess_exec(*segue_argv("topics", "create"), env=env, stdout=subprocess.PIPE)
    out, _ = await asyncio.wait_for(made.communicate(), 60.0)

    assert (made.returncode, out.decode().startswith("created listening-events")) == (0, True)
    async with AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{port}") as producer:
        await producer.send_and_wait(LISTENING_EVENTS.name, b"kept", b"ann", partition=0)
    broker.send_signal(signal.SIGINT)

    assert await asyncio.wait_for(broker.wait(), 30.0) == 0
    assert not (tmp_path / "home" / "broker.json").exists()

    async with EmbeddedKafka(data) as kafka:
        settings = Settings(bootstrap=kafka.bootstrap, partitions=EMBEDDED_PARTITIONS)

        assert await read_all(settings, LISTENING_EVENTS.name) == [(0, b"ann", b"kept")]
        pids = kafka.pids
    assert not any(_alive(pid) for pid in pids)


def test_jars_are_held_to_their_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "env" / "jars"
    folder.mkdir(parents=True)
    for name in locked():
        (folder / name).write_bytes(b"something else")
    monkeypatch.setattr(jars, "_CACHE", tmp_path)

    with pytest.raises(JarsError, match="SHA-256"):
        kafka_jars()


def test_jars_that_cannot_be_fetched_are_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import jgo

    def unreachable(*_: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(jars, "_CACHE", tmp_path)
    monkeypatch.setattr(jgo, "build", unreachable)
    said: list[str] = []

    with pytest.raises(JarsError, match=r"no route to host.*KAFKA_BOOTSTRAP_SERVERS"):
        kafka_jars(said.append)
    assert "45 MB" in said[0]


def test_processes_that_need_the_jars_at_once_fetch_them_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import jgo

    inside, most = 0, 0
    both_asked = threading.Barrier(2, timeout=10)

    def slow(*_: object) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.2)  # long enough for the other to come in, were it let
        inside -= 1
        raise ConnectionError("no route to host")

    def ask() -> None:
        both_asked.wait()
        with pytest.raises(JarsError, match="no route"):
            kafka_jars(lambda _: None)

    monkeypatch.setattr(jars, "_CACHE", tmp_path)
    monkeypatch.setattr(jgo, "build", slow)
    with ThreadPoolExecutor(2) as pool:
        for asked in [pool.submit(ask) for _ in range(2)]:
            asked.result()

    assert most == 1


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
