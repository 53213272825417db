"""What a source is, and how its files are opened."""

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from segue.errors import InputError
from streams.messages import ListeningEvent, Track


@dataclass(frozen=True, slots=True)
class Source:
    """One format.

    fits : whether a path looks like it
    events : all events of a path, in the order of time; tracks : its catalogue
    """

    name: str
    about: str
    fits: Callable[[Path], bool]
    events: Callable[[Path], Iterator[ListeningEvent]]
    tracks: Callable[[Path], Iterator[Track]]


def open_text(path: Path) -> TextIO:
    """A text file, packed by gzip or not; UTF-8, a mark at its beginning left out."""
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def one_of(folder: Path, *names: str) -> Path:
    """The first of some files that a folder holds; the path itself where it is a file.

    Raises
    ------
    InputError
    """
    if folder.is_file():
        return folder
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise InputError(f"{folder}: has no {' or '.join(names)}")


def table(path: Path, *columns: str, delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Rows of a file with a header line; InputError where a column is missing or the file cannot be read."""
    try:
        with open_text(path) as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            missing = set(columns) - set(reader.fieldnames or ())
            if missing:
                raise InputError(
                    f"{path}: has columns {', '.join(reader.fieldnames or ['none'])}; expected also {', '.join(sorted(missing))}"
                )
            yield from reader
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def whole(row: dict[str, str], column: str, path: Path) -> int:
    """A whole number of a row; InputError names file and row."""
    try:
        return int(float(row[column]))
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: {column}={row[column]!r} in {row}, expected a number") from error
