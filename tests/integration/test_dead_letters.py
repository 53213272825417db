"""Dead letters over Kafka: refused by a worker, listed, shown, sent back, learnt."""

import asyncio
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from segue.dead_letters import Address, Found, read_letters
from streams.messages import DeadLetter, encode
from streams.processor import dead_letter
from streams.runtime.settings import Settings
from streams.topics import DEAD_LETTERS, LISTENING_EVENTS, TRACKS
from tests.builders import NOW_MS, event, learner, raw
from tests.integration.ledger import read_all

pytestmark = pytest.mark.kafka
LARGE = b'{"title":"' + b"\\u0000" * 300_000 + b'"}'


def segue(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run `segue dead-letters` as a user would."""
    command = [sys.executable, "-m", "segue.cli.main", "dead-letters", *arguments]
    return subprocess.run(
        command, env={**settings.environ(), "COLUMNS": "200"}, capture_output=True, timeout=60, check=False
    )


async def send(settings: Settings, *letters: bytes, commit: bool = True) -> None:
    """Put messages on `dead-letters`, partition 1, in one transaction."""
    producer = AIOKafkaProducer(
        **settings.client(), transactional_id=f"{settings.prefix}{commit}", max_request_size=8 << 20
    )
    await producer.start()
    await producer.begin_transaction()
    for each in letters:
        await producer.send_and_wait(settings.topic(DEAD_LETTERS), each, b"ann", partition=1)
    await (producer.commit_transaction() if commit else producer.abort_transaction())
    await producer.stop()


def refused(key: bytes | None, value: bytes, topic: str = LISTENING_EVENTS.name) -> bytes:
    """A letter as the learner writes it."""
    return dead_letter(raw(topic, value, key, offset=5), 1, NOW_MS, "broken").value or b""


async def read(settings: Settings) -> list[Found]:
    return [found async for found in read_letters(settings)]


def test_letters_are_read_once_to_their_end_and_only_those_that_were_committed(settings: Settings) -> None:
    async def told() -> list[Found]:
        await send(settings, refused(b"ann", b"never said"), commit=False)
        await send(settings, refused(b"ann", b"junk"), b"no letter")
        return await read(settings)

    found = asyncio.run(told())

    assert [(each.letter.value if each.letter else None) for each in found] == [b"junk", None]


def test_an_empty_topic_is_read_at_once(settings: Settings) -> None:
    assert asyncio.run(read(settings)) == []


def test_letters_are_listed_shown_and_sent_back_as_they_were(settings: Settings, tmp_path: Path) -> None:
    good = encode(event())
    asyncio.run(
        send(settings, refused(b"ann", good), refused(b"t\xff", LARGE, TRACKS.name), refused(None, b"\x00\xff"))
    )
    lines = [orjson.loads(line) for line in segue(settings, "list", "--lines").stdout.splitlines()]
    assert [line["letter"] for line in lines] == ["1:0", "1:1", "1:2"]
    assert segue(settings, "show", "1:1", "--raw", "-").stdout == LARGE
    assert b"value    \\x00\\xff (2 bytes)" in segue(settings, "show", "1:2").stdout
    done = segue(settings, "replay", "--all", "--json", str(tmp_path / "figures.json"))

    assert done.stdout == b"sent back 3 dead letters: 2 to listening-events, 1 to tracks\n", done.stderr
    assert orjson.loads((tmp_path / "figures.json").read_bytes()) == {"replayed": 3}
    events = [(key, value) for _, key, value in asyncio.run(read_all(settings, LISTENING_EVENTS.name))]
    assert sorted(events, key=str) == sorted([(b"ann", good), (None, b"\x00\xff")], key=str)
    assert [(key, value) for _, key, value in asyncio.run(read_all(settings, TRACKS.name))] == [(b"t\xff", LARGE)]
    processor = learner()
    processor.step([raw(LISTENING_EVENTS.name, value, key) for key, value in events], NOW_MS)
    assert (processor.meta.events, processor.meta.dead_letters) == (1, 1)


def test_what_cannot_be_done_is_one_line_and_nothing_is_sent(settings: Settings) -> None:
    forged = DeadLetter("listeners-changelog", 0, 1, NOW_MS, "forged", b"hann", b"\x01")
    asyncio.run(send(settings, encode(forged)))
    for arguments, code, says in (
        (("replay",), 2, b"no letter is chosen"),
        (("replay", "--all"), 1, b"none of Segue's inputs"),
        (("replay", "1:7"), 1, b"no dead letter at 1:7"),
        (("show", "seven"), 2, b"expected PARTITION:OFFSET"),
    ):
        done = segue(settings, *arguments)

        assert (done.returncode, len(done.stderr.splitlines()), says in done.stderr) == (code, 1, True), done.stderr
    assert asyncio.run(read_all(settings, "listeners-changelog")) == []


def test_addresses_hold_across_partitions(settings: Settings) -> None:
    async def told() -> list[Found]:
        async with AIOKafkaProducer(**settings.client()) as producer:
            for partition in (0, 1):
                tp = TopicPartition(settings.topic(DEAD_LETTERS), partition)
                await producer.send_and_wait(tp.topic, refused(b"ann", b"junk"), b"ann", partition=tp.partition)
        return await read(settings)

    assert [Address(0, 0), Address(1, 0)] == [each.address for each in asyncio.run(told())]
