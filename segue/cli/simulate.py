"""`segue simulate`: demo traffic for a cluster that runs elsewhere."""

import asyncio
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segue.cli.situation import JsonPath, find_settings, write_figures
from segue.errors import SituationError
from segue.notes import Notes
from streams.runtime.settings import Settings

if TYPE_CHECKING:
    from segue.cli.show import Show
    from segue.client import SegueClient
    from segue.supervisor import Worker

ANSWER_WITHIN_S = 60.0


def register(app: typer.Typer) -> None:
    @app.command()
    def simulate(
        listeners: Annotated[int, typer.Option(help="simulated listeners", min=1, max=10_000)] = 30,
        seconds: Annotated[
            float, typer.Option(help="end by itself so long after the first answer; 0 never", min=0)
        ] = 0.0,
        json_path: JsonPath = None,
    ) -> None:
        """Simulated listeners for a cluster that runs already: they ask for playlists, hear, skip and like.

        Lists a made-up catalogue first, where it is not listed yet. Prints a line of figures every five seconds, or the live view of
        `segue up` in a terminal. Ctrl-C and SIGTERM end it cleanly.
        """
        figures = asyncio.run(_simulate(Elsewhere(find_settings()), listeners, seconds))
        write_figures(json_path, figures)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A cluster whose processes somebody else watches over."""

    settings: Settings
    workers: tuple["Worker", ...] = ()


async def _simulate(cluster: Elsewhere, listeners: int, seconds: float) -> dict[str, Any]:
    from segue.cli.show import Show

    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, ended.set)
    async with Show(cluster, Notes()) as show:
        works = (_live(show, listeners, seconds, ended), ended.wait(), show.watch())
        tasks = [asyncio.create_task(work) for work in works]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()  # an error of one ends the command
        figures = show.summary()
    del figures["restarts"]  # of workers here: there are none
    return figures


async def _live(show: "Show", listeners: int, seconds: float, ended: asyncio.Event) -> None:
    await _first_answer(show.client)
    if seconds:
        asyncio.get_running_loop().call_later(seconds, ended.set)
    await show.simulate(listeners)


async def _first_answer(client: "SegueClient") -> None:
    """Wait until a serving worker answers, so that what is counted as an error is one."""
    from segue.client import request_for

    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while True:
                try:
                    await client.playlist(request_for("listener-000"), timeout_s=2.0)
                    return
                except SituationError:  # policy: it may still be starting; asked again until the time is over
                    continue
    except TimeoutError as error:
        raise SituationError(
            f"no playlist came within {ANSWER_WITHIN_S:.0f} s: is a serving worker running (`segue worker serving`)?"
        ) from error
