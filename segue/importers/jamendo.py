"""The Jamendo catalogue (MTG): tracks.tsv in a folder; it has no events."""

from collections.abc import Iterator
from pathlib import Path

from segue.importers.source import Reading, Row, Source, each, log_of, number, table
from streams.messages import ListeningEvent, Track

_FILES = ("tracks.tsv.gz", "tracks.tsv")


def _events(path: Path, reading: Reading) -> Iterator[ListeningEvent]:
    yield from ()


def _tracks(path: Path, reading: Reading) -> Iterator[Track]:
    file = log_of(path, *_FILES)

    def build(line: int, row: Row) -> Track:
        return Track(
            track_id=row["track_id"],
            title=row["track_id"],
            artist_id=row["artist_id"] or None,
            artist=row["artist_id"] or None,
            album_id=row["album_id"] or None,
            tags=[tag.rpartition("---")[2][:64] for tag in row["tags"].split("|") if tag][:16],
            duration_ms=int(number(row, "duration_s") * 1000) if row["duration_s"] else None,
        )

    columns = ("track_id", "artist_id", "album_id", "duration_s", "tags")
    yield from each(file, table(file, *columns, delimiter="\t"), build, reading)


def _fits(path: Path) -> bool:
    return any((path / name).exists() for name in _FILES) or path.name in _FILES


JAMENDO = Source("jamendo", "a folder with MTG-Jamendo's tracks.tsv (a catalogue, no events)", _fits, _events, _tracks)
