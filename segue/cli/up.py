"""`segue up`: the whole in one command, and a live view of it."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from segue.cli.options import From
from segue.cli.situation import JsonPath, write_figures
from segue.embedded.processes import die_with_parent
from segue.errors import InputError
from segue.importers import source_of
from segue.notes import Notes
from streams.messages import ListeningEvent, Track

DEMO_S = 60.0
Log = tuple[Path, Sequence[ListeningEvent], Sequence[Track]]


def register(app: typer.Typer) -> None:
    @app.command()
    def up(
        events: Annotated[
            Path | None,
            typer.Option(help="play this log through the topics instead of simulated listeners, then stay up"),
        ] = None,
        source: From = None,
        fresh: Annotated[bool, typer.Option("--fresh", help="forget what was learnt before")] = False,
        seconds: Annotated[float, typer.Option(help="end by itself so long after it is ready; 0 never", min=0)] = 0.0,
        listeners: Annotated[int, typer.Option(help="simulated listeners", min=1, max=10_000)] = 30,
        demo: Annotated[bool, typer.Option("--demo", help="without a terminal, end by itself after a minute")] = False,
        json_path: JsonPath = None,
    ) -> None:
        """Start everything: a broker, a learner, a keeper, a serving worker, and listeners.

        The broker is an embedded Apache Kafka (KAFKA_BOOTSTRAP_SERVERS makes it use yours). What was learnt is kept in $SEGUE_HOME
        (~/.segue) and is there at the next `segue up`. Other commands find the broker by themselves. Ctrl-C ends it cleanly.
        """
        log = None
        if events is not None:  # what is wrong with it is said before anything starts, or is forgotten
            chosen = source_of(events, source)
            log = events, list(chosen.events(events)), list(chosen.tracks(events))
        if demo and not seconds and not sys.stdout.isatty():
            seconds = DEMO_S
        from segue.embedded.running import claim

        with claim() as home, _foreground() if demo else contextlib.nullcontext():
            if fresh:
                _forget_all(home)
            figures = asyncio.run(_up(home, log, seconds, listeners))
        write_figures(json_path, figures)


async def _up(home: Path, log: Log | None, seconds: float, listeners: int) -> dict[str, Any]:
    from segue.cli.show import Show
    from segue.cluster import RunningCluster
    from segue.playing import Played

    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, ended.set)
    say = Notes()
    cluster = RunningCluster(home, say)
    show = Show(cluster, say)

    async def start(stack: contextlib.AsyncExitStack) -> None:
        await stack.enter_async_context(cluster)
        await stack.enter_async_context(show)
        if seconds:
            loop.call_later(seconds, ended.set)

    async def work() -> None:
        watching = asyncio.create_task(show.watch())
        try:
            if log is not None:
                played = Played(cluster.home / "data" / f"played-{cluster.kafka_id}.json")
                await show.play(*log, played)
            else:
                await show.simulate(listeners)
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async with contextlib.AsyncExitStack() as stack:
        await until_ended(start(stack), ended)
        await until_ended(work(), ended)
    return show.summary()


async def until_ended(work: Coroutine[Any, Any, None], ended: asyncio.Event) -> None:
    """Do something; cancelled where `ended` comes before it is done, not begun where it came already. An error of it is raised."""
    if ended.is_set():
        work.close()
        return
    tasks = [asyncio.create_task(work), asyncio.create_task(ended.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    if not tasks[0].cancelled():
        tasks[0].result()


@contextlib.contextmanager
def _foreground() -> Iterator[None]:
    """Take the terminal for a process group of our own: Ctrl-C then ends us, and not the `make` that would call it an error."""
    if not sys.stdin.isatty():
        yield
        return
    terminal, before = sys.stdin.fileno(), os.getpgrp()
    die_with_parent()
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(terminal, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, before)


def _forget_all(folder: Path) -> None:
    elsewhere = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if elsewhere:
        raise InputError(
            f"--fresh with KAFKA_BOOTSTRAP_SERVERS={elsewhere}: that Kafka keeps what was learnt; "
            "begin anew there by another SEGUE_TOPIC_PREFIX, without --fresh"
        )
    try:
        shutil.rmtree(folder / "data")
    except FileNotFoundError:  # nothing was learnt there yet
        return
    except OSError as error:
        raise InputError(f"--fresh: {error.filename} cannot be removed: {error.strerror}") from error
