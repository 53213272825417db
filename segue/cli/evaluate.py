"""`segue evaluate`: a scenario and its baselines, all on the same seeded input."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from segue.cli.options import png
from segue.cli.progress import counting
from segue.cli.situation import JsonPath, write_figures


class ScenarioName(StrEnum):
    """What is evaluated."""

    bandits = "bandits"
    drift = "drift"
    likes = "likes"
    listening = "listening"
    mixing = "mixing"
    recall = "recall"
    skips = "skips"


def register(app: typer.Typer) -> None:
    @app.command()
    def evaluate(
        scenario: Annotated[ScenarioName, typer.Argument(help="what is evaluated")],
        seed: Annotated[int, typer.Option(help="of the first run", min=0)] = 1,
        seeds: Annotated[int, typer.Option(help="runs, each with the next seed; intervals are over them", min=1)] = 3,
        rounds: Annotated[int, typer.Option(help="of each run", min=1)] = 10_000,
        peers: Annotated[bool, typer.Option(help="others' software too, where it is installed (slow)")] = True,
        data: Annotated[
            Path | None, typer.Option(help="folder of the log; what lies beside the project without it")
        ] = None,
        ask_every: Annotated[int, typer.Option(help="guess before every n-th like", min=1)] = 1,
        refit_days: Annotated[int, typer.Option(help="skips: days of the log between LightGBM's fits", min=1)] = 1,
        listeners: Annotated[
            int,
            typer.Option(help="drift, listening, mixing: how many are simulated, over ten times as many tracks", min=2),
        ] = 50,
        plot: Annotated[
            Path | None, typer.Option(help="drift, listening: where the curves go, as PNG", callback=png)
        ] = None,
        json_path: JsonPath = None,
    ) -> None:
        """Run a scenario beside its baselines; needs no broker.

        bandits: what each policy loses against the best of 100 arms in seeded worlds, and how many decisions it makes a second.
        drift: how soon skips are predicted again once simulated listeners' tastes have turned, with the ranker's care and without; false alarms.
        likes: what is liked next in MovieLens, guessed from the whole catalogue before each like is learnt; one run, with --seed.
        listening: simulated listeners who ask each strategy for playlists in a copy of the same world; completed listens, regret, cold start.
        mixing: what serving loses where listeners are shared out among four learners, in simulated worlds, and in a log where --data names one.
        recall: what is found again of a held-out fifth of what Last.fm's listeners heard, after the rest was learnt in a random order; one run, with --seed.
        skips: whether each play of a log will be skipped, predicted before it is learnt; one run, with --seed.
        """
        if plot is not None and scenario not in (ScenarioName.drift, ScenarioName.listening):
            raise typer.BadParameter(
                f"{scenario.value} draws no curves: leave --plot out, or evaluate drift or listening"
            )
        from segue.evaluation.scenarios import SCENARIOS
        from segue.evaluation.scenarios.scenario import Options

        chosen = SCENARIOS[scenario.value]
        options = Options(
            seed=seed,
            seeds=seeds,
            rounds=rounds,
            peers=peers,
            data=data,
            ask_every=ask_every,
            refit_days=refit_days,
            listeners=listeners,
            plot=plot,
        )
        with counting() as progress:
            task = progress.add_task(chosen.name)
            report = chosen.run(
                options, lambda done, total, now: progress.update(task, completed=done, total=total, description=now)
            )
        console = Console()
        for sheet in report.sheets:
            table = Table(title=sheet.title)
            for place, name in enumerate(sheet.columns):
                table.add_column(name, justify="right" if place else "left")
            for row in sheet.rows:
                table.add_row(*row)
            console.print(table)
        for note in report.notes:
            console.print(note, markup=False)
        write_figures(json_path, {"scenario": chosen.name, **report.figures})
