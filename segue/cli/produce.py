"""`segue produce`: a log of others into the topics."""

import asyncio
from collections.abc import AsyncIterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segue.cli.options import From
from segue.cli.progress import counting
from segue.cli.situation import JsonPath, find_settings, write_figures
from segue.errors import InputError
from segue.importers import Reading, source_of
from streams.messages import ListeningEvent, Track

if TYPE_CHECKING:
    from segue.client import SegueClient

User = Annotated[str, typer.Option(help="whose log it is, where the format does not say (spotify-export)")]


class OnError(StrEnum):
    """What to do about a row that cannot be used."""

    stop = "stop"
    skip = "skip"


def register(app: typer.Typer) -> None:
    @app.command()
    def produce(
        path: Annotated[Path, typer.Argument(help="file or folder of the log")],
        source: From = None,
        user: User = "me",
        speed: Annotated[float, typer.Option(help="times faster than life; 0 as fast as it goes", min=0)] = 0.0,
        on_error: Annotated[
            OnError, typer.Option(help="a row that cannot be used ends the command, or is left out and counted")
        ] = OnError.stop,
        json_path: JsonPath = None,
    ) -> None:
        """Produce a log's catalogue and then its events to the topics.

        With --on-error stop nothing is produced of a log that has a broken row.
        """
        reading = Reading(user, on_error.value)
        chosen = source_of(path, source)
        tracks, events = list(chosen.tracks(path, reading)), list(chosen.events(path, reading))
        if not tracks and not events:
            raise InputError(f"{path}: holds neither events nor tracks that {chosen.name} can read")
        asyncio.run(_produce(tracks, events, speed))
        left_out = {f"left_out_{why.replace('-', '_')}": count for why, count in sorted(reading.left_out.items())}
        print(f"produced {len(tracks):,} tracks and {len(events):,} events")
        if reading.left_out:
            print("left out: " + ", ".join(f"{count:,} {why}" for why, count in sorted(reading.left_out.items())))
        write_figures(json_path, {"tracks": len(tracks), "events": len(events), **left_out})


async def _produce(tracks: list[Track], events: list[ListeningEvent], speed: float) -> None:
    from segue.client import SegueClient

    async with SegueClient(find_settings(), listen=False) as client:
        with counting() as progress:
            for label, messages in (("tracks", tracks), ("events", events)):
                task = progress.add_task(label, total=len(messages))
                paced = speed > 0 and label == "events" and bool(events)
                produced = _paced(client, events, speed) if paced else client.produce_many(messages)
                async for done in produced:
                    progress.update(task, completed=done)


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
