"""`segue compare`: figures of two runs, and whether something got worse."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from segue.cli.situation import JsonPath, write_figures
from segue.errors import InputError, SituationError


def register(app: typer.Typer) -> None:
    @app.command()
    def compare(
        base: Annotated[
            Path, typer.Argument(help="figures that --json of `segue replay` or `segue evaluate` wrote before")
        ],
        head: Annotated[Path, typer.Argument(help="and now")],
        json_path: JsonPath = None,
    ) -> None:
        """Hold the figures of a run to those of the same run before a change; ends with 1 where one is worse by more than its tolerance."""
        from segue.evaluation.comparison import compare as changes_of

        changes = changes_of(_figures(base), _figures(head))
        table = Table(title=f"{head.name} against {base}")
        for name in ("figure", "base", "head", "change", "may be worse by", ""):
            table.add_column(name, justify="right" if name not in ("figure", "") else "left")
        for watched, before, now, is_lost in changes:
            verdict = "worse" if is_lost else "ok"
            table.add_row(
                watched.name, f"{before:.4f}", f"{now:.4f}", f"{now - before:+.4f}", f"{watched.tolerance:g}", verdict
            )
        Console().print(table)
        write_figures(json_path, {each.watched.name: each.head - each.base for each in changes})
        if lost := [each.watched.name for each in changes if each.lost]:
            raise SituationError(f"worse than {base} by more than the tolerance: {', '.join(lost)}")


def _figures(path: Path) -> dict[str, Any]:
    try:
        figures = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}: expected the JSON object that --json wrote: {error}") from error
    if not isinstance(figures, dict):
        raise InputError(f"{path}: expected the JSON object that --json wrote, got {type(figures).__name__}")
    return figures
