"""`segue topics grow`: all rows to topics of another partition count, under another prefix."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from segue.cli.situation import JsonPath, find_settings, write_figures
from streams.runtime.settings import Settings

if TYPE_CHECKING:
    from segue.growing import Copied


def grow(
    partitions: Annotated[int, typer.Option(help="of the new topics, more or fewer than now", min=1, max=10_000)],
    to_prefix: Annotated[str, typer.Option(metavar="NAME-", help="before the names of the new topics")],
    json_path: JsonPath = None,
) -> None:
    """Copy everything that is known to new topics with another number of partitions; the old ones stay as they are.

    First stop producers and workers, as docs/operations.md says under "Growing"; where something is still running or unread, it says what, and
    copies nothing. Afterwards start everything with SEGUE_TOPIC_PREFIX=NAME-.
    """
    began = time.monotonic()
    copied = asyncio.run(_grow(find_settings(), to_prefix, partitions))
    figures = {
        "rows": copied.rows,
        "listeners": copied.listeners,
        "tracks": copied.tracks,
        "from_partitions": copied.from_partitions,
        "to_partitions": partitions,
        "seconds": round(time.monotonic() - began, 3),
    }
    print(
        f"copied {copied.rows:,} rows, of {copied.listeners:,} listeners and {copied.tracks:,} tracks, from {copied.from_partitions} "
        f"partitions to {partitions}\nstart workers, producers and clients with SEGUE_TOPIC_PREFIX={to_prefix} SEGUE_PARTITIONS={partitions}"
    )
    write_figures(json_path, figures)


async def _grow(settings: Settings, to_prefix: str, partitions: int) -> "Copied":
    from segue.growing import grow_topics, grown

    target = grown(settings, to_prefix, partitions)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("looking", total=None)

        def tell(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        return await grow_topics(settings, target, tell)
