"""`segue replay`: a log without a broker: predict, reveal, learn."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from segue.cli.options import From, SurfaceName, png
from segue.cli.shown import figure
from segue.cli.situation import JsonPath, write_figures
from segue.errors import InputError
from segue.importers import source_of

if TYPE_CHECKING:
    from segue.evaluation.replay import Replay

SHOW_EVERY = 200


def register(app: typer.Typer) -> None:
    @app.command()
    def replay(
        path: Annotated[Path, typer.Argument(help="file or folder of the log")],
        source: From = None,
        seed: Annotated[
            int, typer.Option(help="of everything random; the same seed gives the same figures and state", min=0)
        ] = 1,
        surface: Annotated[
            SurfaceName | None,
            typer.Option(help="what the next track is guessed with; what fits the source without it"),
        ] = None,
        ask_every: Annotated[int, typer.Option(help="guess before every n-th play; 0 guesses skips alone", min=0)] = 1,
        step: Annotated[int, typer.Option(help="events learnt together, as in a worker's transaction", min=1)] = 1,
        limit: Annotated[int, typer.Option(help="stop after so many events; 0 reads all", min=0)] = 0,
        plot: Annotated[Path | None, typer.Option(help="where the curves go, as PNG", callback=png)] = Path(
            "replay.png"
        ),
        json_path: JsonPath = None,
    ) -> None:
        """Before each play of your log: what would Segue have guessed? Then it hears the play and learns.

        Prints how often it was right, beside baselines that saw the same; needs no broker.
        """
        chosen = source_of(path, source)
        events, tracks = list(chosen.events(path)), list(chosen.tracks(path))
        if not events:
            raise InputError(f"{path}: holds no events that {chosen.name} can read")
        events = events[: limit or None]
        from segue.evaluation.replay import replay as run

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[so_far]}"),
        )
        with Progress(*columns) as progress:
            task = progress.add_task("replay", total=len(events), so_far="")

            def show(done: int, seen: "Replay") -> None:
                if done % SHOW_EVERY == 0 or done == len(events):
                    ranks = seen.ranks["segue"]
                    so_far = f"hit@20 {sum(0 <= rank < 20 for rank in ranks) / len(ranks):.3f}" if ranks else ""
                    progress.update(task, completed=done, so_far=so_far)

            asked = surface.value if surface is not None else chosen.surface
            seen = run(events, tracks, seed=seed, ask_every=ask_every, surface=asked, step=step, progress=show)
        figures = {"source": chosen.name, "surface": asked, "seed": seed, **seen.summary()}
        _print(seen, figures)
        if plot is not None:
            from segue.evaluation.curves import draw

            draw(seen, plot)
            print(f"curves: {plot}")
        write_figures(json_path, figures)


def _print(seen: "Replay", figures: dict[str, float | int | str]) -> None:
    from segue.evaluation.replay import METHODS

    console = Console()
    if seen.at:
        console.print(f"next track, {len(seen.at):,} targets, guessed before each play")
        table = Table("", "hit@20", "HR@10", "NDCG@10")
        for method in METHODS:
            name = "" if method == "segue" else method.replace("-", "_") + "_"
            table.add_row(
                method, *(f"{figures[name + measure]:.3f}" for measure in ("hit_at_20", "hr_at_10", "ndcg_at_10"))
            )
        console.print(table)
    auc, loss, error = (figure(float(figures[name]), ".4f") for name in ("skip_auc", "skip_log_loss", "skip_ece"))
    console.print(
        f"skips: AUC {auc}, log loss {loss}, calibration error {error} over {len(seen.predicted):,} plays, each predicted before it was learnt"
    )
    errors = ", ".join(f"{name} {figure(error, '.4f')}" for name, error in seen.calibration.items())
    console.print(f"calibration error of each objective: {errors}")
    console.print(f"events {figures['events']:,}, seed {figures['seed']}, state {figures['state_hash']}")
