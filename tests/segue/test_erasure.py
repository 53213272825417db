"""What is held of a person, as their partition's records say it."""

import msgspec
import pytest

from online_models.listener_rows import CHOICES, HEAD, page_key
from segue.cli.forget import COMPACTED, KEPT
from segue.erasure import Held
from streams.steps import WATERMARK
from streams.topics import TOPICS, Topic

ROWS = (HEAD + b"ann", CHOICES + b"ann", page_key(0, b"ann"), page_key(7, b"ann"))


def held(*records: tuple[bytes, bytes | None]) -> Held:
    made = Held("ann", 0)
    for key, value in records:
        made.take(key, value)
    return made


def test_rows_are_counted_by_kind() -> None:
    ann = held(*((key, b"row") for key in ROWS))

    assert ann.counts() == {"head": 1, "pages": 2, "choices": 1}
    assert ann.known


def test_tombstones_leave_nothing() -> None:
    ann = held(*((key, b"row") for key in ROWS), *((key, None) for key in ROWS))

    assert ann.counts() == {"head": 0, "pages": 0, "choices": 0}
    assert not ann.known


@pytest.mark.parametrize(
    "key", [HEAD + b"anna", HEAD + b"joann", page_key(0, b"joann"), b"m", b"d" + bytes(8), HEAD, page_key(0, b"")]
)
def test_rows_of_others_are_not_theirs(key: bytes) -> None:
    assert not held((key, b"row")).known


def test_the_learner_has_read_what_is_below_its_marks() -> None:
    ann = held((WATERMARK, msgspec.msgpack.encode({"listeners": 3, "playlists": 9})))

    assert ann.caught_up({"listeners": 2})
    assert ann.caught_up({"listeners": 2, "playlists": 8})
    assert not ann.caught_up({"listeners": 3})
    assert not ann.caught_up({"listeners": 2, "listening-events": 0})


def test_before_the_first_step_nothing_was_read() -> None:
    assert not held().caught_up({"listeners": 0})


@pytest.mark.parametrize("topic", COMPACTED, ids=lambda topic: topic.name)
def test_personal_rows_are_compacted_within_a_day_and_their_segments_are_closed_before(topic: Topic) -> None:
    told = topic.settings()

    assert told["cleanup.policy"] == "compact"
    assert int(told["segment.ms"]) < int(told["max.compaction.lag.ms"]) <= 86_400_000
    assert int(told["delete.retention.ms"]) >= 86_400_000  # a follower or a learner that was away reads the tombstone


def test_every_topic_keyed_by_a_person_is_one_or_the_other() -> None:
    personal = {topic.name for topic in TOPICS if "user_id" in topic.key or topic.key == "as received"}

    assert personal == {topic.name for topic in (*COMPACTED, *KEPT)}
