"""Rarer faults: brokers that are not there yet and one of three that dies, a fresh machine, more workers than partitions."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from segue.client import SegueClient, request_for
from segue.embedded.kafka import EmbeddedKafka
from segue.supervisor import segue_argv
from streams.runtime.access import administering
from streams.runtime.admin import create_topics
from streams.runtime.settings import Settings
from tests.integration.cases import Load, Team, check_counts, learnt, run_alone
from tests.integration.ledger import read_listeners, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(400)]
KINDS = ("keeper", "learner", "serving")


async def test_brokers_that_come_after_their_workers_and_one_of_them_dies_under_load(tmp_path: Path) -> None:
    """The one that coordinates the learner's transactions; what was acknowledged is on two of the three."""
    kafka = EmbeddedKafka(brokers=3)
    settings = kafka.settings(prefix="three-", partitions=2, replication=3)
    async with Team(settings, tmp_path) as team:
        team.start(*KINDS)
        await until("each has failed", lambda: all(worker.restarts for worker in team.workers.values()), 60.0)
        for kind in KINDS:
            line = f"segue: no Kafka answers at {settings.bootstrap}: is it running? KAFKA_BOOTSTRAP_SERVERS says where"

            assert f"{kind} ended with 1 ({line}); starting it again in 0.5 s" in team.notes
            assert "Traceback" not in team.log(kind)

        async with kafka:
            await create_topics(settings)
            async with SegueClient(settings) as client:
                load = Load(client)
                await load.send(100)
                await team.ready(within_s=120.0)
                async with administering(settings) as admin:
                    number = await admin.find_coordinator(f"{settings.prefix}segue-learner-0", 1) - 1
                async with load.flowing(0.2):
                    await until("it flows", lambda: load.ledger.events >= 200, 60.0)
                    kafka.kill(number)
                    events = load.ledger.events
                    await until("it flows without it", lambda: load.ledger.events >= events + 100, 60.0)
                await learnt(settings, load.ledger)

                assert not (await client.playlist(request_for("u1"), 30.0)).error

                kafka.launch(number)
                await kafka.answers(number)
                await load.send(200)
                await learnt(settings, load.ledger)
                await check_counts(settings, load.ledger)
                await asyncio.gather(*(team.stop(kind) for kind in KINDS))
    assert not kafka.data.exists()


@pytest.mark.parametrize("kind", KINDS)
async def test_topics_that_are_missing(kafka: EmbeddedKafka, kind: str) -> None:
    settings = Settings(bootstrap=kafka.bootstrap, prefix="missing-", partitions=2)
    code, said = await run_alone(settings, kind)

    assert (code, said) == (
        1,
        f"segue: topic missing-listening-events is missing on {kafka.bootstrap}: run `segue topics create`\n",
    )


async def test_more_workers_than_partitions(settings: Settings, tmp_path: Path) -> None:
    """Three share two partitions: one has nothing to do, until it is the only one."""
    async with Team(settings, tmp_path) as team, SegueClient(settings) as client:
        load = Load(client)
        team.start("keeper", *(f"{kind}-{number}" for kind in ("learner", "serving") for number in (1, 2, 3)))
        await team.ready()
        async with load.flowing(0.2):
            await until("it flows", lambda: load.ledger.events >= 100, 30.0)
            for number in (1, 2):  # one of them at least has a partition
                for kind in ("learner", "serving"):
                    await _kill(team, f"{kind}-{number}")
                events = load.ledger.events
                await until("it flows", lambda events=events: load.ledger.events >= events + 100, 30.0)  # type: ignore[misc]
            answers = [await client.playlist(request_for(f"u{number}"), 40.0) for number in range(8)]
        await learnt(settings, load.ledger)

    assert not any(answer.error for answer in answers)
    assert team.notes == []  # nobody else has failed
    await check_counts(settings, load.ledger)


async def test_everything_is_restored_on_a_fresh_machine(settings: Settings, tmp_path: Path) -> None:
    async with Team(settings, tmp_path) as team, SegueClient(settings, listen=False) as client:
        load = Load(client)
        team.start("keeper", "learner", env=_machine(tmp_path / "old"))
        await load.send(400)
        await learnt(settings, load.ledger)
        for kind in ("learner", "keeper"):
            await team.stop(kind)
        before = await _exported(settings)
        shutil.rmtree(tmp_path / "old")
        team.start("keeper", "learner", env=_machine(tmp_path / "new"))
        await team.ready()
        await load.send(1)
        await learnt(settings, load.ledger)
        after = await _exported(settings)
        heard = next(iter(user for user, row in after.items() if row != before[user]))

        assert len(before) == 40
        assert {user: row for user, row in after.items() if user != heard} == {
            user: row for user, row in before.items() if user != heard
        }

        await load.send(200)
        await learnt(settings, load.ledger)
    listeners = await read_listeners(settings)

    assert team.notes == []
    assert {
        user: [each.track_id for each in listeners.get(user).history] for user in listeners.users()
    } == load.ledger.order
    await check_counts(settings, load.ledger)


async def _kill(team: Team, name: str) -> None:
    process = team.workers[name].process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    await team.stop(name)


def _machine(home: Path) -> dict[str, str]:
    """Folders of a machine on which nothing was before."""
    (home / "tmp").mkdir(parents=True)
    return {"HOME": str(home), "TMPDIR": str(home / "tmp"), "XDG_CACHE_HOME": str(home / "cache")}


async def _exported(settings: Settings) -> dict[str, str]:
    """What `segue export listeners` says, a line for each."""
    process = await asyncio.create_subprocess_exec(
        *segue_argv("export", "listeners"), env=settings.environ(), stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return {json.loads(line)["user_id"]: line for line in said.decode().splitlines()}
