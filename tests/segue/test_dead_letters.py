"""Dead letters without a broker: which are meant, how they look, what is never sent back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

import segue.dead_letters
from segue.cli.dead_letters import described, escaped
from segue.cli.main import app
from segue.dead_letters import Address, Choice, Found, address_of, letter_of, replay_letters
from segue.errors import InputError, SegueError, SituationError
from streams.messages import DeadLetter, encode
from streams.runtime.settings import Settings
from streams.topics import BY_NAME
from tests.builders import NOW_MS

SETTINGS = Settings(bootstrap="nowhere:1", prefix="p-")


def letter(topic: str = "listening-events", reason: str = "broken", **fields: Any) -> DeadLetter:
    """A letter of ann's."""
    wanted = {"key": b"ann", "value": b"junk", "at_ms": NOW_MS, **fields}
    return DeadLetter(topic=topic, partition=0, offset=7, reason=reason, **wanted)


LETTERS = [
    Found(Address(0, 3), letter(at_ms=NOW_MS + 2000, reason="Invalid enum value 'listen'")),
    Found(Address(0, 4), None),
    Found(Address(1, 0), letter("tracks", key=b"t1\x1b[31m", value=b'{"title":"\xff"}', at_ms=NOW_MS + 1000)),
    Found(Address(1, 9), letter("track-deltas", key=b"\0\0\0\1", value=b"", at_ms=NOW_MS)),
]


class Producer:
    """Takes what it is sent; `refuses` is where it does not."""

    sent: list[tuple[str, bytes | None, bytes | None]]
    refuses = 10**9

    def __init__(self, **_: Any) -> None:
        Producer.sent = []

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send(self, topic: str, value: bytes | None, key: bytes | None) -> "asyncio.Future[None]":
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(Producer.sent) >= self.refuses:
            done.set_exception(segue.dead_letters.KafkaError("full"))
        else:
            Producer.sent.append((topic, key, value))
            done.set_result(None)
        return done


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that holds LETTERS, and a producer that takes everything."""

    async def read(_settings: Settings) -> AsyncIterator[Found]:
        for each in LETTERS:
            yield each

    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "nowhere:1")
    monkeypatch.setenv("SEGUE_TOPIC_PREFIX", "p-")
    monkeypatch.setattr("segue.dead_letters.read_letters", read)
    monkeypatch.setattr("segue.dead_letters.AIOKafkaProducer", Producer)
    Producer.sent = []


def run(*arguments: str) -> tuple[str, BaseException | None]:
    """What a command prints, and the error that ends it."""
    done = CliRunner().invoke(app, ["dead-letters", *arguments], env={"COLUMNS": "200"})
    return done.stdout, done.exception


def test_an_address_is_read_as_it_is_printed() -> None:
    assert Address(3, 1042) == address_of(str(Address(3, 1042)))


@pytest.mark.parametrize("text", ["", "3", "3:", ":4", "3:x", "-1:4", "1:2:3", " 1:2", "1:" + "9" * 30, "٣:١"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected PARTITION:OFFSET"):
        address_of(text)


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        (Choice(), True),
        (Choice([Address(0, 3)]), True),
        (Choice([Address(0, 4)]), False),
        (Choice(topic="listening-events", reason="ENUM"), True),
        (Choice(topic="tracks", reason="enum"), False),
        (Choice([Address(0, 3)], reason="nan"), False),
    ],
)
def test_all_conditions_of_a_choice_hold(choice: Choice, taken: bool) -> None:
    assert taken == choice.takes(Address(0, 3), letter(reason="Invalid enum value"))


@pytest.mark.parametrize("value", [None, b"", b"junk", b"[]", b"{}", b"\xff", b"[" * 5000, b'{"topic":"x"}'])
def test_what_is_no_letter_is_none(value: bytes | None) -> None:
    assert letter_of(value) is None


def test_a_letter_larger_than_an_input_is_read() -> None:
    large = letter(value=b"x" * 3_000_000)

    assert large == letter_of(encode(large))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"ann", "ann"),
        ("“Blå”".encode(), "“Blå”"),
        (b"\x1b[31m\n", "\\x1b[31m\\n"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"\\xff", "\\\\xff"),
        ("\u202eevil\U000e0001".encode(), "\\u202eevil\\U000e0001"),
    ],
)
def test_bytes_are_shown_without_what_a_terminal_would_obey(data: bytes, text: str) -> None:
    assert text == escaped(data)


def test_a_long_value_says_how_much_of_it_is_not_shown() -> None:
    assert described(b"x" * 2500).endswith("x… and 500 bytes more, which --raw writes too (2,500 bytes)")


@pytest.mark.usefixtures("topic")
def test_the_list_is_ordered_by_time_and_counts_what_is_no_letter() -> None:
    shown, _ = run("list")

    assert [line.split()[0] for line in shown.splitlines() if line.strip()[:2] in ("0:", "1:")] == ["1:9", "1:0", "0:3"]
    assert "t1\\x1b[31m" in shown
    assert "3 dead letters" in shown
    assert "1 other messages on the topic are no dead letters" in shown


@pytest.mark.usefixtures("topic")
def test_lines_and_figures_hold_the_newest(tmp_path: Path) -> None:
    shown, _ = run("list", "--limit", "1", "--lines", "--json", str(tmp_path / "figures.json"))

    (line,) = map(orjson.loads, shown.splitlines())
    assert (line["letter"], line["value"], line["reason"]) == ("0:3", "anVuaw==", "Invalid enum value 'listen'")
    expected = {"letters": 3, "chosen": 3, "unreadable": 1, "listed": 1}
    assert expected == orjson.loads((tmp_path / "figures.json").read_bytes())


@pytest.mark.usefixtures("topic")
def test_one_letter_is_shown_whole_and_its_bytes_are_written(tmp_path: Path) -> None:
    shown, _ = run("show", "1:0")
    assert 'value    {"title":"\\xff"} (13 bytes)' in shown
    assert "from     tracks 0:7" in shown
    run("show", "1:0", "--raw", str(tmp_path / "value"))

    assert (tmp_path / "value").read_bytes() == b'{"title":"\xff"}'


@pytest.mark.usefixtures("topic")
def test_replay_sends_key_and_bytes_to_where_they_came_from() -> None:
    shown, error = run("replay", "1:0", "0:3")

    assert (shown, error) == ("sent back 2 dead letters: 1 to listening-events, 1 to tracks\n", None)
    assert Producer.sent == [
        ("p-tracks", b"t1\x1b[31m", b'{"title":"\xff"}'),
        ("p-listening-events", b"ann", b"junk"),
    ]


@pytest.mark.usefixtures("topic")
def test_a_choice_that_meets_nothing_sends_nothing() -> None:
    assert run("replay", "--reason", "no such") == ("sent back 0 dead letters\n", None)


@pytest.mark.usefixtures("topic")
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("replay",), 2, "no letter is chosen: give PARTITION:OFFSET, --topic or --reason, or else --all"),
        (("replay", "--reason", ""), 2, "no letter is chosen"),
        (("replay", "--all", "--topic", "tracks"), 2, "--all and a selection"),
        (("replay", "--topic", "track-deltas"), 2, "none of Segue's inputs, expected one of listening-events"),
        (("replay", "--topic", "gossip"), 2, "--topic gossip: unknown"),
        (("replay", "--all"), 1, "dead letter 1:9 came from 'track-deltas', none of Segue's inputs"),
        (("replay", "0:3", "0:8"), 1, "no dead letter at 0:8"),
        (("show", "0:4"), 1, "no dead letter at 0:4"),
        (("show", "four"), 2, "expected PARTITION:OFFSET"),
        (("list", "--topic", "gossip"), 2, "expected one of listening-events"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_sent(arguments: tuple[str, ...], code: int, says: str) -> None:
    _, error = run(*arguments)

    assert isinstance(error, SegueError)
    assert (error.exit_code, says in str(error)) == (code, True)
    assert Producer.sent == []


@pytest.mark.parametrize("forged", [*sorted(set(BY_NAME) - set(segue.dead_letters.INPUTS)), "", "elsewhere"])
async def test_no_letter_reaches_a_topic_that_is_no_input(forged: str) -> None:
    with pytest.raises(SituationError, match="none of Segue's inputs"):
        await replay_letters(SETTINGS, [(Address(0, 1), letter(forged))], print)


async def test_a_letter_without_a_key_is_not_sent_to_a_compacted_topic() -> None:
    with pytest.raises(SituationError, match="has no key, which tracks does not take"):
        await replay_letters(SETTINGS, [(Address(0, 1), letter("tracks", key=None))], print)


async def test_how_many_went_is_said_where_kafka_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segue.dead_letters.AIOKafkaProducer", Producer)
    monkeypatch.setattr(Producer, "refuses", 2)
    with pytest.raises(SituationError, match="took 2 of 3 letters in their order and not dead letter 0:2"):
        await replay_letters(SETTINGS, [(Address(0, n), letter()) for n in range(3)], print)
