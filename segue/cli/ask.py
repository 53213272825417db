"""`segue playlist` and `segue tail`: ask, and look."""

import asyncio
import contextlib
from typing import Annotated

import orjson
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from segue.cli.options import SurfaceName
from segue.cli.shown import plain, shown
from segue.cli.situation import JsonPath, find_settings
from segue.errors import InputError, SituationError
from streams.messages import Playlist, Slot, encode
from streams.rights import Right
from streams.topics import BY_NAME


def register(app: typer.Typer) -> None:
    @app.command()
    def playlist(
        user: Annotated[str, typer.Argument(help="user_id")],
        surface: Annotated[SurfaceName, typer.Option(help="what kind of list")] = SurfaceName.next_up,
        size: Annotated[int, typer.Option(help="tracks", min=1, max=200)] = 20,
        seed: Annotated[
            list[str] | None, typer.Option(help="track_id to start a radio from; may be given again")
        ] = None,
        explain: Annotated[
            bool, typer.Option("--explain", help="show channels, probabilities and what was filtered out")
        ] = False,
        json_path: JsonPath = None,
    ) -> None:
        """Ask for a playlist over Kafka, and print it."""
        answer = asyncio.run(_ask(user, surface.value, size, seed or [], explain))
        if answer.error is not None:
            raise SituationError(f"the request was refused: {answer.error}")
        _print(answer, explain)
        if json_path is not None:
            json_path.write_bytes(encode(answer) + b"\n")

    @app.command()
    def tail(
        topic: Annotated[str, typer.Argument(help="one of the topics, as in `segue topics list`")],
        beginning: Annotated[bool, typer.Option("--beginning", help="from the first message that is kept")] = False,
        count: Annotated[int, typer.Option(help="end after so many; 0 never", min=0)] = 0,
    ) -> None:
        """Print a topic's messages as they come, one line each; Ctrl-C ends it."""
        if topic not in BY_NAME:
            raise InputError(f"topic {topic!r}: unknown, expected one of {', '.join(BY_NAME)}")
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_tail(topic, beginning, count))


async def _ask(user: str, surface: str, size: int, seeds: list[str], explain: bool) -> Playlist:
    from segue.client import SegueClient, request_for

    _readable(user, *seeds)
    if not 1 <= len(user) <= 128:
        raise InputError(f"USER has {len(user)} characters, expected 1 to 128")
    async with SegueClient(find_settings()) as client:
        return await client.playlist(
            request_for(user, surface=surface, size=size, seed_tracks=seeds, explain=explain, deadline_ms=1000)
        )


def _readable(*texts: str) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{plain(text)!r}: not UTF-8, expected an id in UTF-8") from error


def _print(answer: Playlist, explain: bool) -> None:
    table = Table("", "title", "artist", "why", title=shown(f"{answer.surface} for {answer.user_id}"), box=SIMPLE_HEAD)
    for slot in answer.tracks:
        why = shown(slot.reason)
        if explain:
            why = Text.assemble(why, "\n", shown(_details(slot), "dim"))
        table.add_row(str(slot.rank + 1), shown(slot.title), shown(slot.artist), why)
    console = Console()
    console.print(table)
    arms = "".join(f"; {name}: {arm}" for name, arm in answer.arms.items())
    console.print(
        shown(
            f"{answer.level}, {answer.latency_ms:.1f} ms, from {answer.seen_events:,} events of this listener; "
            f"rows at most {answer.freshness_ms:.0f} ms old{arms}"
        )
    )
    if explain:
        for label, counts in (("proposed", answer.channels), ("removed", answer.removed)):
            console.print(shown(f"{label}: " + ", ".join(f"{name} {count}" for name, count in counts.items())))


def _details(slot: Slot) -> str:
    """Channels, score and chances of one place, on one line."""
    chances = [f"{name} {chance:.0%}" for name, chance in slot.objectives.items()]
    return ", ".join([*slot.channels, f"score {slot.score:.3f}", *chances, f"propensity {slot.propensity:.2f}"])


async def _tail(topic: str, beginning: bool, count: int) -> None:
    from aiokafka import AIOKafkaConsumer, TopicPartition

    from streams.runtime.access import require
    from streams.runtime.admin import count_partitions
    from streams.runtime.store import READER

    settings = find_settings()
    await require(settings, [Right("topic", settings.topic(topic), "Read")])
    parts = (await count_partitions(settings))[BY_NAME[topic].group]
    reader = AIOKafkaConsumer(**settings.client(), **READER)
    await reader.start()
    try:
        tps = [TopicPartition(settings.topic(topic), number) for number in range(parts)]
        reader.assign(tps)
        await (reader.seek_to_beginning(*tps) if beginning else reader.seek_to_end(*tps))
        seen = 0
        async for record in reader:
            print(_line(record.partition, record.offset, record.key, record.value), flush=True)
            seen += 1
            if count and seen >= count:
                return
    finally:
        await reader.stop()


def _line(partition: int, offset: int, key: bytes | None, value: bytes | None) -> str:
    """A message on one line: its JSON, else its size."""
    text = None if value is None else value.decode("utf-8", "replace")
    with contextlib.suppress(orjson.JSONDecodeError):
        orjson.loads(value or b"")
        return plain(f"{partition}:{offset} {(key or b'').decode('utf-8', 'replace')} {text}")
    return f"{partition}:{offset} {key!r} {'tombstone' if value is None else f'{len(value)} bytes'}"
