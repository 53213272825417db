"""`segue produce`: a log of others into the topics."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from segue.cli.situation import JsonPath, find_settings, write_figures
from segue.errors import InputError
from segue.importers import SOURCES, source_of
from streams.messages import ListeningEvent

if TYPE_CHECKING:
    from segue.client import SegueClient

From = Annotated[
    str | None, typer.Option("--from", metavar="SOURCE", help=f"{', '.join(SOURCES)}; guessed from the path without it")
]


def register(app: typer.Typer) -> None:
    @app.command()
    def produce(
        path: Annotated[Path, typer.Argument(help="file or folder of the log")],
        source: From = None,
        speed: Annotated[float, typer.Option(help="times faster than life; 0 as fast as it goes", min=0)] = 0.0,
        json_path: JsonPath = None,
    ) -> None:
        """Produce a log's catalogue and events to the topics."""
        figures = asyncio.run(_produce(path, source, speed))
        print(f"produced {figures['tracks']:,} tracks and {figures['events']:,} events")
        write_figures(json_path, figures)


async def _produce(path: Path, name: str | None, speed: float) -> dict[str, int]:
    from segue.client import SegueClient

    source = source_of(path, name)
    tracks, events = list(source.tracks(path)), list(source.events(path))
    if not tracks and not events:
        raise InputError(f"{path}: holds neither events nor tracks that {source.name} can read")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with SegueClient(find_settings(), listen=False) as client:
        with Progress(*columns) as progress:
            for label, messages in (("tracks", tracks), ("events", events)):
                task = progress.add_task(label, total=len(messages))
                if speed and events and label == "events":
                    async for done in _paced(client, events, speed):
                        progress.update(task, completed=done)
                else:
                    async for done in client.produce_many(messages):
                        progress.update(task, completed=done)
    return {"tracks": len(tracks), "events": len(events)}


async def _paced(client: "SegueClient", events: list[ListeningEvent], speed: float) -> AsyncIterator[int]:
    """Events at the distances of their own time, `speed` times faster."""
    loop = asyncio.get_running_loop()
    began, first_ms = loop.time(), events[0].at_ms
    for done, event in enumerate(events, 1):
        wait_s = began + (event.at_ms - first_ms) / 1000.0 / speed - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        await client.produce(event)
        yield done
    await client.flush()
