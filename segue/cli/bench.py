"""`segue bench`: how fast it is on this machine; reports, never fails on time."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from segue.cli.progress import counting
from segue.cli.situation import JsonPath, write_figures
from streams.runtime.settings import EMBEDDED_PARTITIONS, Settings, listener_rows_mb


class What(StrEnum):
    """What is measured."""

    throughput = "throughput"
    freshness = "freshness"
    restore = "restore"
    answers = "answers"
    all = "all"


def register(app: typer.Typer) -> None:
    @app.command()
    def bench(
        what: Annotated[
            What, typer.Argument(help="throughput, freshness, restore, answers; or all, which is the first two")
        ] = What.all,
        events: Annotated[int, typer.Option(help="events of each throughput run", min=1000)] = 40_000,
        seconds: Annotated[float, typer.Option(help="length of the freshness run", min=2)] = 20.0,
        events_per_s: Annotated[
            float, typer.Option(help="plays beside the probes of the freshness run", min=1)
        ] = 500.0,
        requests_per_s: Annotated[float, typer.Option(help="probes of the freshness run", min=1)] = 20.0,
        listeners: Annotated[int, typer.Option(help="listeners who have rows in the restore run", min=1)] = 1_000_000,
        requests: Annotated[int, typer.Option(help="requests of the answers run", min=4)] = 1000,
        tracks: Annotated[int, typer.Option(help="tracks of the catalogue of the answers run", min=100)] = 5000,
        json_path: JsonPath = None,
    ) -> None:
        """Measure on an embedded Kafka of its own, all on this machine.

        throughput: events/s of a stock Faust agent that counts in a Table, of the same count on Segue's engine (exactly once), and of the
        full learner. freshness: from a play produced to the first playlist that reflects it, and its parts. restore: from the start of a
        learner that has many listeners until it learns again, and its memory (SEGUE_LISTENER_ROWS_MB bounds the rows'); it takes minutes.
        answers: what an answer costs the processor in a serving worker, by part, without a Kafka; and a hash of all answers.
        """
        figures: dict[str, Any] = {}
        if what in (What.throughput, What.all):
            from segue.benchmarks.throughput import measure_throughput

            figures |= asyncio.run(_on_its_own(partial(measure_throughput, events)))
        if what in (What.freshness, What.all):
            from segue.benchmarks.freshness import measure_freshness
            from streams.runtime.run import run_process

            measure = partial(measure_freshness, seconds, events_per_s=events_per_s, requests_per_s=requests_per_s)
            figures |= run_process(_on_its_own(measure))
        if what is What.restore:
            figures |= _restore(listeners)
        if what is What.answers:
            from segue.benchmarks.answers import measure_answers

            figures |= measure_answers(requests, tracks=tracks)
        table = Table("figure", "value", box=None)
        for name, value in figures.items():
            table.add_row(name, value if isinstance(value, str) else f"{value:,.1f}")
        Console().print(table)
        write_figures(json_path, figures)


def _restore(listeners: int) -> dict[str, float]:
    from segue.benchmarks.restoring import measure_restore

    with counting() as progress:
        task = progress.add_task("listeners' rows", total=listeners)

        def filled(done: int) -> None:
            progress.update(task, completed=done, description="restoring" if done == listeners else "listeners' rows")

        return asyncio.run(_on_its_own(partial(measure_restore, listeners, filled)))


async def _on_its_own(measure: Callable[[Settings], Awaitable[dict[str, float]]]) -> dict[str, float]:
    """What a measure finds on an embedded Kafka that nobody else uses."""
    from segue.embedded.kafka import EmbeddedKafka

    rows_mb = listener_rows_mb()
    async with EmbeddedKafka() as kafka:
        return await measure(
            Settings(bootstrap=kafka.bootstrap, partitions=EMBEDDED_PARTITIONS, listener_rows_mb=rows_mb)
        )
