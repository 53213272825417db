"""The monitor without a broker: rows are handed over by hand."""

import msgspec
import pytest

from online_models.track import META
from segue.monitor import Monitor
from streams.messages import DeadLetter
from streams.processor import LearnerMeta
from streams.runtime.settings import Settings
from streams.topics import DEAD_LETTERS, LISTENERS_CHANGELOG
from tests.builders import NOW_MS


def monitor() -> Monitor:
    return Monitor(Settings(bootstrap="nowhere:1"))


def letter(value: bytes = b"x") -> bytes:
    return msgspec.json.encode(DeadLetter("tracks", 0, 1, NOW_MS, "why", b"k", value))


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"[1]", b'{"reason":"no place"}', b"not JSON"])
def test_what_others_put_on_dead_letters_is_counted_apart(value: bytes | None) -> None:
    seen = monitor()
    seen._apply(DEAD_LETTERS.name, 0, [(b"k", letter()), (b"k", value), (b"k", letter())])

    assert (seen.dead_letters, seen.foreign) == (2, 1)


def test_a_dead_letter_may_be_longer_than_any_message() -> None:
    seen = monitor()
    seen._apply(DEAD_LETTERS.name, 0, [(b"k", letter(bytes(1_000_000)))])

    assert (seen.dead_letters, seen.foreign) == (1, 0)


def test_counts_of_all_partitions_are_added() -> None:
    seen = monitor()
    for partition, meta in enumerate((LearnerMeta(1, 10, 2, 1, 1), LearnerMeta(1, 5, 0, 3, 4))):
        seen._apply(LISTENERS_CHANGELOG.name, partition, [(META, msgspec.msgpack.encode(meta))])

    assert (seen.events_learnt, seen.duplicates, seen.refused, seen.drifts) == (15, 2, 4, 5)
