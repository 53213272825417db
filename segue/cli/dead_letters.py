"""`segue dead-letters`: what could not be used, looked at and sent back."""

import asyncio
import heapq
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from segue.cli.shown import moment, plain, shown
from segue.cli.situation import JsonPath, find_settings, writable, write_figures
from segue.errors import InputError, SituationError
from streams.messages import DeadLetter, encode
from streams.topics import BY_NAME

if TYPE_CHECKING:
    from segue.dead_letters import Address, Choice

Chosen = list[tuple["Address", DeadLetter]]
SHOWN_BYTES = 2000

FromTopic = Annotated[str | None, typer.Option(help="only letters that came from this topic")]
WithReason = Annotated[str | None, typer.Option(metavar="TEXT", help="only letters whose reason holds this text")]
StdoutOr = Annotated[
    str | None, typer.Option("--raw", metavar="PATH", help="write the value's bytes as received; - is standard output")
]


def register(app: typer.Typer) -> None:
    letters = typer.Typer(help="Look at what could not be used, and send it back.", no_args_is_help=True)
    app.add_typer(letters, name="dead-letters")
    letters.command("list")(list_letters)
    letters.command("show")(show_letter)
    letters.command("replay")(replay)


def list_letters(
    topic: FromTopic = None,
    reason: WithReason = None,
    limit: Annotated[int, typer.Option(help="the newest so many; 0 for all", min=0)] = 50,
    lines: Annotated[bool, typer.Option("--lines", help="JSON lines instead of a table, whole letters")] = False,
    json_path: JsonPath = None,
) -> None:
    """List the letters that the topic holds, the newest last."""
    choice = _choice([], topic, reason)
    chosen, counts = asyncio.run(_read(choice, limit or None))
    if lines:
        for address, letter in chosen:
            row = {"letter": str(address), **orjson.loads(encode(letter))}
            sys.stdout.buffer.write(orjson.dumps(row) + b"\n")
    else:
        _print(chosen, counts)
    write_figures(json_path, {**counts, "listed": len(chosen)})


def show_letter(
    letter: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="as `list` prints it")],
    raw: StdoutOr = None,
) -> None:
    """Show everything of one letter; its bytes are escaped."""
    if raw not in (None, "-"):
        writable(Path(raw))
    choice = _choice([letter], None, None)
    (found,), _ = asyncio.run(_read(choice, None))
    if raw is None:
        _print_whole(*found)
    else:
        _write_value(*found, raw)


def replay(
    letters: Annotated[list[str] | None, typer.Argument(metavar="[PARTITION:OFFSET]...", help="which ones")] = None,
    topic: FromTopic = None,
    reason: WithReason = None,
    everything: Annotated[bool, typer.Option("--all", help="every letter that the topic holds")] = False,
    json_path: JsonPath = None,
) -> None:
    """Send keys and values back to the topics that they came from.

    Letters stay where they are: one that is sent twice is there twice, though an event counts once within the last 512 of its listener.
    """
    from segue.dead_letters import INPUTS, replay_letters

    choice = _choice(letters or [], topic, reason)
    if everything == bool(choice):
        given = "--all and a selection" if everything else "no letter is chosen"
        raise InputError(f"{given}: give PARTITION:OFFSET, --topic or --reason, or else --all")
    if topic is not None and topic not in INPUTS:
        raise InputError(f"--topic {topic}: none of Segue's inputs, expected one of {', '.join(INPUTS)}")
    chosen, _ = asyncio.run(_read(choice, None))
    console = Console(stderr=True)
    with console.status("sending") as status:
        asyncio.run(replay_letters(find_settings(), chosen, lambda sent: status.update(f"sending: {sent:,}")))
    per_topic = Counter(letter.topic for _, letter in chosen)
    where = ", ".join(f"{count:,} to {name}" for name, count in sorted(per_topic.items()))
    print(f"sent back {len(chosen):,} dead letters" + (f": {where}" if where else ""))
    write_figures(json_path, {"replayed": len(chosen)})


def _choice(letters: list[str], topic: str | None, reason: str | None) -> "Choice":
    from segue.dead_letters import Choice, address_of

    if topic is not None and topic not in BY_NAME:
        raise InputError(f"--topic {plain(topic)}: unknown, expected one of {', '.join(BY_NAME)}")
    return Choice(frozenset(map(address_of, letters)), topic, reason or None)


async def _read(choice: "Choice", newest: int | None) -> tuple[Chosen, dict[str, int]]:
    """The letters that are meant, oldest first, and how many messages there are.

    Raises
    ------
    SituationError
        where one that is named is not there
    """
    from segue.dead_letters import read_letters

    held: list[tuple[int, Address, DeadLetter]] = []
    counts = {"letters": 0, "chosen": 0, "unreadable": 0}
    async for address, letter in read_letters(find_settings()):
        if letter is None:
            counts["unreadable"] += 1
            continue
        counts["letters"] += 1
        if not choice.takes(address, letter):
            continue
        counts["chosen"] += 1
        entry = (letter.at_ms, address, letter)  # an address is there once: letters are never compared
        if newest is None or len(held) < newest:
            heapq.heappush(held, entry)
        else:
            heapq.heappushpop(held, entry)
    missing = sorted(set(choice.addresses) - {address for _, address, _ in held})
    if missing and choice.topic is None and choice.reason is None:
        raise SituationError(
            f"no dead letter at {missing[0]}: retention may have removed it; `segue dead-letters list` says which there are"
        )
    return [(address, letter) for _, address, letter in sorted(held, key=lambda entry: entry[:2])], counts


def _print(chosen: Chosen, counts: dict[str, int]) -> None:
    columns = (Column("letter", no_wrap=True), "when (UTC)", "topic", "key", "reason")
    table = Table(*columns, box=SIMPLE_HEAD)
    for address, letter in chosen:
        key = "none" if letter.key is None else escaped(letter.key[:60])
        table.add_row(str(address), moment(letter.at_ms), shown(letter.topic), shown(key), shown(letter.reason[:300]))
    console = Console()
    if chosen:
        console.print(table)
    if len(chosen) < counts["chosen"]:
        print(f"the newest {len(chosen):,} of {counts['chosen']:,} dead letters; --limit 0 lists all")
    else:
        print(f"{counts['chosen']:,} dead letters")
    if counts["unreadable"]:
        print(f"{counts['unreadable']:,} other messages on the topic are no dead letters, and were left out")


def _print_whole(address: "Address", letter: DeadLetter) -> None:
    print(f"letter   {address}")
    print(f"when     {moment(letter.at_ms)} UTC")
    print(f"from     {plain(letter.topic)} {letter.partition}:{letter.offset}")
    print(f"reason   {plain(letter.reason)}")
    for name, data in (("key", letter.key), ("value", letter.value)):
        print(f"{name:8} {described(data)}")
    if letter.left_out:
        print(f"left out {letter.left_out:,} bytes, for which a letter has no room: all of them stand where it is from")


def described(data: bytes | None) -> str:
    """Bytes on a line, escaped; how many are left out where there are many.

    >>> described(b"red \\x1b")
    'red \\\\x1b (5 bytes)'
    """
    if data is None:
        return "none"
    left = len(data) - SHOWN_BYTES
    rest = f"… and {left:,} bytes more, which --raw writes too" if left > 0 else ""
    return f"{escaped(data[:SHOWN_BYTES])}{rest} ({len(data):,} bytes)"


def escaped(data: bytes) -> str:
    """Bytes as text that a terminal may show: what is no UTF-8 or would be obeyed stands as an escape, a backslash twice."""
    text = data.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _write_value(address: "Address", letter: DeadLetter, path: str) -> None:
    if letter.value is None:
        raise SituationError(f"dead letter {address} has no value: what came was a tombstone")
    if path == "-":
        sys.stdout.buffer.write(letter.value)
        return
    try:
        Path(path).write_bytes(letter.value)
    except OSError as error:
        raise InputError(f"--raw {path}: cannot be written: {error}") from error
