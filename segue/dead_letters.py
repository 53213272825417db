"""Dead letters: read to the end of their topic, chosen from, sent back to where they came from."""

import re
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from segue.errors import InputError, SituationError
from streams.messages import DeadLetter
from streams.runtime.admin import count_partitions
from streams.runtime.settings import Settings
from streams.runtime.store import READER, REQUEST_BYTES_MAX, read_to_end
from streams.topics import (
    BY_NAME,
    DEAD_LETTERS,
    EXPERIMENTS,
    LISTENERS,
    LISTENING_EVENTS,
    PLAYLIST_REQUESTS,
    PLAYLISTS,
    TRACKS,
)

INPUTS = tuple(topic.name for topic in (LISTENING_EVENTS, TRACKS, LISTENERS, PLAYLIST_REQUESTS, PLAYLISTS, EXPERIMENTS))
UNSENT_MAX = 500  # letters handed to the producer before they are waited for


class Address(NamedTuple):
    """Where a letter stands on `dead-letters`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"


class Found(NamedTuple):
    """A message of `dead-letters`; `letter` is None where it is none."""

    address: Address
    letter: DeadLetter | None


def address_of(text: str) -> Address:
    """An address from PARTITION:OFFSET; InputError where it is none.

    >>> address_of("3:1042")
    Address(partition=3, offset=1042)
    """
    numbers = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,18})", text)
    if numbers is None:
        raise InputError(f"{text!r}: expected PARTITION:OFFSET as `segue dead-letters list` prints it, such as 0:17")
    return Address(int(numbers[1]), int(numbers[2]))


class Choice(NamedTuple):
    """Which letters are meant: all conditions that are given hold.

    reason : a part of it, in any case
    """

    addresses: Collection[Address] = ()
    topic: str | None = None
    reason: str | None = None

    def __bool__(self) -> bool:
        return bool(self.addresses) or self.topic is not None or self.reason is not None

    def takes(self, address: Address, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        return (
            (not self.addresses or address in self.addresses)
            and (self.topic is None or letter.topic == self.topic)
            and (self.reason is None or self.reason.casefold() in letter.reason.casefold())
        )


def letter_of(value: bytes | None) -> DeadLetter | None:
    """A letter from its bytes, more of them than any public message has, as it holds one in base64; None for what is none, since anybody may write to a topic."""
    try:
        return msgspec.json.decode(value or b"", type=DeadLetter)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # policy: the reader counts it and goes on


async def read_letters(settings: Settings) -> AsyncIterator[Found]:
    """Every committed message that the topic holds now, once, partition by partition."""
    count = (await count_partitions(settings))[DEAD_LETTERS.group]
    reader = AIOKafkaConsumer(**settings.client(), **READER)
    await reader.start()
    try:
        for tp in (TopicPartition(settings.topic(DEAD_LETTERS), number) for number in range(count)):
            async for records in read_to_end(reader, tp, at_once=500):
                for record in records:
                    yield Found(Address(tp.partition, record.offset), letter_of(record.value))
    finally:
        await reader.stop()


def check_replayable(chosen: Sequence[tuple[Address, DeadLetter]]) -> None:
    """Only inputs are written to: SituationError names the first letter of another topic, or one that its topic would not take."""
    for address, letter in chosen:
        if letter.topic not in INPUTS:
            raise SituationError(
                f"dead letter {address} came from {letter.topic!r}, none of Segue's inputs ({', '.join(INPUTS)}): "
                "nothing was sent; choose others with --topic"
            )
        if letter.left_out:
            raise SituationError(
                f"dead letter {address} lacks {letter.left_out:,} bytes of what came, which stands on {letter.topic} at "
                f"{letter.partition}:{letter.offset} as long as that topic keeps it: nothing was sent; choose others"
            )
        if letter.key is None and BY_NAME[letter.topic].cleanup == "compact":
            raise SituationError(
                f"dead letter {address} has no key, which {letter.topic} does not take: nothing was sent; choose others"
            )


async def replay_letters(
    settings: Settings, chosen: Sequence[tuple[Address, DeadLetter]], sent: Callable[[int], None]
) -> None:
    """Send keys and bytes back to the topics that they came from, in the given order; `sent` is told how many the broker has.

    Raises
    ------
    SituationError
        for a letter that cannot go back, before any is sent; or where the broker takes no more
    """
    check_replayable(chosen)
    acknowledged = 0
    producer = AIOKafkaProducer(**settings.client(), enable_idempotence=True, max_request_size=REQUEST_BYTES_MAX)
    await producer.start()
    try:
        for start in range(0, len(chosen), UNSENT_MAX):
            part = [letter for _, letter in chosen[start : start + UNSENT_MAX]]
            waiting = [await producer.send(settings.topic(each.topic), each.value, each.key) for each in part]
            for future in waiting:
                await future
                acknowledged += 1
            sent(acknowledged)
    except KafkaError as error:
        raise SituationError(
            f"Kafka took {acknowledged:,} of {len(chosen):,} letters in their order and not dead letter {chosen[acknowledged][0]}: {error!r}"
        ) from error
    finally:
        await producer.stop()
