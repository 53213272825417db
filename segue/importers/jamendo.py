"""The Jamendo catalogue (MTG): tracks.tsv in a folder; it has no events."""

from collections.abc import Iterator
from pathlib import Path

from segue.importers.source import Source, one_of, table
from streams.messages import ListeningEvent, Track


def _events(path: Path) -> Iterator[ListeningEvent]:
    yield from ()


def _tracks(path: Path) -> Iterator[Track]:
    file = one_of(path, "tracks.tsv.gz", "tracks.tsv")
    for row in table(file, "track_id", "artist_id", "album_id", "duration_s", "tags", delimiter="\t"):
        yield Track(
            track_id=row["track_id"],
            title=row["track_id"],
            artist_id=row["artist_id"] or None,
            artist=row["artist_id"] or None,
            album_id=row["album_id"] or None,
            tags=[tag.rpartition("---")[2][:64] for tag in row["tags"].split("|") if tag][:16],
            duration_ms=int(float(row["duration_s"]) * 1000) if row["duration_s"] else None,
        )


def _fits(path: Path) -> bool:
    return any((path / name).exists() for name in ("tracks.tsv.gz", "tracks.tsv"))


JAMENDO = Source("jamendo", "a folder with MTG-Jamendo's tracks.tsv (a catalogue, no events)", _fits, _events, _tracks)
