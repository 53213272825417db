"""What a source is, how it is read, and how its files are opened."""

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, TextIO, TypeVar, cast

import msgspec

from segue.errors import InputError
from streams.messages import ListeningEvent, Surface, Track

M = TypeVar("M", ListeningEvent, Track)
Row = dict[str, str]
UNREADABLE = (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error)
SKIP_MS = 30_000  # less than this heard is a skip
PLAYED_MS_MAX = 7 * 86_400_000


@dataclass(slots=True)
class Reading:
    """How one log is read, and what of it was not used.

    user_id : whose log it is, where the format does not say
    on_error : "stop" ends at the first row that cannot be used, "skip" leaves it out
    left_out : rows that were not used, by why ("broken", "podcast", ...)
    """

    user_id: str = "me"
    on_error: Literal["stop", "skip"] = "stop"
    left_out: Counter[str] = field(default_factory=Counter)

    def refuse(self, reason: str) -> None:
        """A row cannot be used: ends the reading, or counts it.

        Raises
        ------
        InputError
            where `on_error` is "stop"
        """
        if self.on_error == "stop":
            raise InputError(reason)
        self.left_out["broken"] += 1


@dataclass(frozen=True, slots=True)
class Source:
    """One format.

    about : what a path must hold
    fits : whether a path looks like it
    read_events, read_tracks : how it is read; see `events` and `tracks`
    surface : what its next track is guessed with; discover-weekly where nothing is heard twice
    """

    name: str
    about: str
    fits: Callable[[Path], bool]
    read_events: Callable[[Path, Reading], Iterator[ListeningEvent]]
    read_tracks: Callable[[Path, Reading], Iterator[Track]]
    surface: Surface = "next-up"

    def events(self, path: Path, reading: Reading | None = None) -> Iterator[ListeningEvent]:
        """All events, in the order of time, those of one moment in the order of the file; InputError where they cannot be read."""
        return self.read_events(path, Reading() if reading is None else reading)

    def tracks(self, path: Path, reading: Reading | None = None) -> Iterator[Track]:
        """The catalogue; InputError where it cannot be read."""
        return self.read_tracks(path, Reading() if reading is None else reading)


def by_time(events: Iterable[ListeningEvent]) -> Iterator[ListeningEvent]:
    """Events in the order of time, those of one moment as they came."""
    yield from sorted(events, key=lambda event: event.at_ms)


def each(
    path: Path, rows: Iterable[tuple[int, Any]], build: Callable[[int, Any], M | None], reading: Reading
) -> Iterator[M]:
    """Messages built from (line, row) pairs, validated; None leaves a row out. What cannot be built is refused with its line."""
    for line, row in rows:
        try:
            message = build(line, row)
            if message is not None:
                message = msgspec.convert(msgspec.to_builtins(message), type(message))
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            reading.refuse(f"{path}, line {line}: {error}")
            continue
        if message is not None:
            yield message


def table(path: Path, *columns: str, delimiter: str = ",") -> Iterator[tuple[int, Row]]:
    """(line, row) of a file with a header line.

    Raises
    ------
    InputError
        where a column is missing or the file cannot be read
    """
    try:
        with open_text(path) as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            missing = set(columns) - set(reader.fieldnames or ())
            if missing:
                seen = ", ".join(reader.fieldnames or ["none"])
                raise InputError(f"{path}: has columns {seen[:300]}; expected also {', '.join(sorted(missing))}")
            for row in reader:
                yield reader.line_num, row
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def number(row: Row, column: str) -> float:
    """A number of a row; ValueError says what is there instead."""
    try:
        return float(row[column])
    except (ValueError, TypeError) as error:
        raise ValueError(f"{column}={row[column]!r}, expected a number") from error


def open_bytes(path: Path) -> IO[bytes]:
    """A file, unpacked where its name ends in .gz."""
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def open_text(path: Path) -> TextIO:
    """The same as text: UTF-8, a mark at its beginning left out."""
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", newline="")


def one_of(path: Path, *names: str) -> Path:
    """The first of some files that lies in a folder, or beside a file.

    Raises
    ------
    InputError
    """
    folder = path if path.is_dir() else path.parent
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise InputError(f"{folder}: has no {' or '.join(names)}; it is {seen_in(folder)}")


def log_of(path: Path, *names: str) -> Path:
    """The file itself, or the first of some files in a folder."""
    return path if path.is_file() else one_of(path, *names)


def seen_in(path: Path) -> str:
    """What a path is, for messages."""
    if path.is_file():
        return f"a file {path.name}"
    names = sorted(entry.name for entry in path.iterdir())
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"a folder with {', '.join(names[:5])}{more}" if names else "an empty folder"
