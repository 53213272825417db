"""Segue's own JSON lines, packed or not: a line is a listening event or, where it has a title, a track."""

from collections.abc import Iterator
from pathlib import Path

from segue.errors import InputError
from segue.importers.source import UNREADABLE, Reading, Source, by_time, each, open_bytes
from streams.messages import ListeningEvent, Track, decode

_MARK = b"\xef\xbb\xbf"  # some editors begin a file with it
_SUFFIXES = (".jsonl", ".ndjson")


def _lines(path: Path, *, tracks: bool) -> Iterator[tuple[int, bytes]]:
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a file of JSON lines")
    try:
        with open_bytes(path) as file:
            for number, line in enumerate(file, 1):
                line = line.removeprefix(_MARK) if number == 1 else line
                if line.strip() and (b'"title"' in line and b'"event_id"' not in line) == tracks:
                    yield number, line
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _events(path: Path, reading: Reading) -> Iterator[ListeningEvent]:
    yield from by_time(each(path, _lines(path, tracks=False), lambda _, line: decode(ListeningEvent, line), reading))


def _tracks(path: Path, reading: Reading) -> Iterator[Track]:
    yield from each(path, _lines(path, tracks=True), lambda _, line: decode(Track, line), reading)


def _fits(path: Path) -> bool:
    return path.is_file() and any(suffix in _SUFFIXES for suffix in path.suffixes)


JSONL = Source("jsonl", "a file of Segue's JSON lines: listening events and tracks", _fits, _events, _tracks)
