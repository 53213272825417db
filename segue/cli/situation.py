"""Where a command finds its Kafka, and how it writes its figures."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from segue.embedded.running import running_broker
from segue.errors import InputError, SituationError
from streams.runtime.settings import NoKafkaError, Settings, SettingsError


def writable(path: Path | None) -> Path | None:
    """A path that can be written, said before the work and not after it."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise typer.BadParameter(f"{path}: expected a file in a folder that is there")
    return path


JsonPath = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="PATH",
        help="write the figures as one flat JSON object (docs/cli-figures.md)",
        callback=writable,
    ),
]


def find_settings() -> Settings:
    """Settings from the environment, or of a running embedded broker.

    Raises
    ------
    SituationError
        where there is neither
    InputError
        where a variable has a value that cannot be used
    """
    try:
        return Settings.from_env(embedded=running_broker())
    except NoKafkaError as error:
        raise SituationError(
            "no Kafka found: start `segue up` in another terminal, or set KAFKA_BOOTSTRAP_SERVERS"
        ) from error
    except SettingsError as error:
        raise InputError(str(error)) from error


def write_figures(path: Path | None, figures: dict[str, Any]) -> None:
    """Write a flat object, where it is wanted; nan becomes null."""
    if path is None:
        return
    try:
        path.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        raise InputError(f"--json {path}: cannot be written: {error}") from error
