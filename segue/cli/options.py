"""Options that several commands take."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from segue.cli.situation import writable
from segue.importers import SOURCES

From = Annotated[
    str | None, typer.Option("--from", metavar="SOURCE", help=f"{', '.join(SOURCES)}; guessed from the path without it")
]


class SurfaceName(StrEnum):
    """The surfaces, as the command line knows them."""

    next_up = "next-up"
    daily_mix = "daily-mix"
    discover_weekly = "discover-weekly"
    radio = "radio"


def png(path: Path | None) -> Path | None:
    """A PNG that can be written, said before the work and not after it."""
    if path is not None and path.suffix.lower() != ".png":
        raise typer.BadParameter(f"{path}: expected a name that ends in .png")
    return writable(path)
