"""`segue bench`: how fast it is on this machine; reports, never fails on time."""

import asyncio
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from segue.cli.situation import JsonPath, write_figures


class What(StrEnum):
    """What is measured."""

    throughput = "throughput"
    freshness = "freshness"
    all = "all"


def register(app: typer.Typer) -> None:
    @app.command()
    def bench(
        what: Annotated[What, typer.Argument(help="throughput, freshness, or all")] = What.all,
        events: Annotated[int, typer.Option(help="events of each throughput run", min=1000)] = 40_000,
        seconds: Annotated[float, typer.Option(help="length of the freshness run", min=2)] = 20.0,
        events_per_s: Annotated[
            float, typer.Option(help="plays beside the probes of the freshness run", min=1)
        ] = 500.0,
        requests_per_s: Annotated[float, typer.Option(help="probes of the freshness run", min=1)] = 20.0,
        json_path: JsonPath = None,
    ) -> None:
        """Measure on an embedded Kafka of its own, all on this machine.

        throughput: events/s of a stock Faust agent that counts in a Table, of the same count on Segue's engine (exactly once), and of the
        full learner. freshness: from a play produced to the first playlist that reflects it, and its parts.
        """
        figures: dict[str, Any] = {}
        if what in (What.throughput, What.all):
            from segue.benchmarks.throughput import measure_throughput

            figures |= asyncio.run(measure_throughput(events))
        if what in (What.freshness, What.all):
            from segue.benchmarks.freshness import measure_freshness
            from streams.runtime.run import run_process

            figures |= run_process(measure_freshness(seconds, events_per_s=events_per_s, requests_per_s=requests_per_s))
        table = Table("figure", "value", box=None)
        for name, value in figures.items():
            table.add_row(name, f"{value:,.1f}")
        Console().print(table)
        write_figures(json_path, figures)
