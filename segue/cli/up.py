"""`segue up`: the whole in one command, and a live view of it."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from segue.cli.produce import From
from segue.cli.situation import JsonPath, write_figures
from segue.embedded.processes import die_with_parent
from segue.errors import InputError, SegueError
from segue.importers import source_of

DEMO_S = 60.0


def register(app: typer.Typer) -> None:
    @app.command()
    def up(
        events: Annotated[
            Path | None,
            typer.Option(help="play this log through the topics instead of simulated listeners, then stay up"),
        ] = None,
        source: From = None,
        fresh: Annotated[bool, typer.Option("--fresh", help="forget what was learnt before")] = False,
        seconds: Annotated[float, typer.Option(help="end by itself after so many seconds; 0 never", min=0)] = 0.0,
        listeners: Annotated[int, typer.Option(help="simulated listeners", min=1, max=10_000)] = 30,
        demo: Annotated[bool, typer.Option("--demo", help="without a terminal, end by itself after a minute")] = False,
        json_path: JsonPath = None,
    ) -> None:
        """Start everything: a broker, a learner, a keeper, a serving worker, and listeners.

        The broker is an embedded Apache Kafka (KAFKA_BOOTSTRAP_SERVERS makes it use yours). What was learnt is kept in $SEGUE_HOME
        (~/.segue) and is there at the next `segue up`. Other commands find the broker by themselves. Ctrl-C ends it cleanly.
        """
        if events is not None:
            source_of(events, source)  # a wrong path is said before anything starts
        if demo and not seconds and not sys.stdout.isatty():
            seconds = DEMO_S
        with _foreground() if demo else contextlib.nullcontext():
            figures = asyncio.run(_up(events, source, fresh, seconds, listeners))
        write_figures(json_path, figures)


async def _up(events: Path | None, source: str | None, fresh: bool, seconds: float, listeners: int) -> dict[str, Any]:
    from segue.cli.show import Show

    ended = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, ended.set)
    if seconds:
        asyncio.get_running_loop().call_later(seconds, ended.set)
    async with contextlib.AsyncExitStack() as stack:
        from segue.cluster import RunningCluster
        from segue.playing import Played

        say = _Say()
        cluster = RunningCluster(_home(fresh), say)
        await stack.enter_async_context(cluster)
        show = Show(cluster, say)
        await stack.enter_async_context(show)
        if events is not None:
            played = Played(cluster.home / "data" / f"played-{cluster.kafka_id}.json")
            work = asyncio.create_task(show.play(events, source, played))
        else:
            work = asyncio.create_task(show.simulate(listeners))
        waiting = asyncio.create_task(ended.wait())
        watching = asyncio.create_task(show.watch())
        await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()  # an error of it ends the command
            await waiting
        for task in (work, waiting, watching):
            task.cancel()
        await asyncio.wait({work, waiting, watching})
        return show.summary()
    raise SegueError("the cluster did not come up")


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


def _home(fresh: bool) -> Path:
    from segue.embedded.running import home, running_broker

    if running_broker() is not None:
        raise InputError(f"a Segue is already up in {home()}: stop it first, or set SEGUE_HOME to another folder")
    if fresh:
        shutil.rmtree(home() / "data", ignore_errors=True)
    home().mkdir(parents=True, exist_ok=True)
    return home()


class _Say:
    """Where notes go: to stderr, or to the view once there is one."""

    def __init__(self) -> None:
        self.listener: Any = None

    def __call__(self, line: str) -> None:
        if self.listener is not None:
            self.listener(line)
        else:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
