"""Segue's own JSON lines, packed or not: a line is a listening event or, where it has a title, a track."""

from collections.abc import Iterator
from pathlib import Path

from segue.errors import InputError
from segue.importers.source import Source, open_text
from streams.messages import ListeningEvent, MessageError, Track, decode


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a file of JSON lines")
    try:
        with open_text(path) as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.encode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _is_track(line: bytes) -> bool:
    return b'"title"' in line and b'"event_id"' not in line


def _events(path: Path) -> Iterator[ListeningEvent]:
    for number, line in _lines(path):
        if not _is_track(line):
            try:
                yield decode(ListeningEvent, line)
            except MessageError as error:
                raise InputError(f"{path}, line {number}: {error}") from error


def _tracks(path: Path) -> Iterator[Track]:
    for number, line in _lines(path):
        if _is_track(line):
            try:
                yield decode(Track, line)
            except MessageError as error:
                raise InputError(f"{path}, line {number}: {error}") from error


def _fits(path: Path) -> bool:
    return path.is_file() and any(suffix in (".jsonl", ".ndjson") for suffix in path.suffixes)


JSONL = Source("jsonl", "a file of Segue's JSON lines: listening events and tracks", _fits, _events, _tracks)
