"""Pseudonymised Spotify histories: events.csv.gz, tracks.csv.gz, artists.csv.gz in a folder.

`end_ts` is the end of a play in seconds, whole minutes; under 30 s heard is a skip; long-form rows (podcasts) are left out. How long a track
is (`dur_est_ms`) is estimated from the whole log and belongs to the catalogue.
"""

from collections.abc import Iterator
from pathlib import Path

from segue.importers.source import (
    PLAYED_MS_MAX,
    SKIP_MS,
    Reading,
    Row,
    Source,
    by_time,
    each,
    log_of,
    number,
    one_of,
    table,
)
from streams.messages import ListeningEvent, Track

TAGS = 4
_EVENTS = ("events.csv.gz", "events.csv")
_LONG_FORM = ("1", "True", "true")


def _events(path: Path, reading: Reading) -> Iterator[ListeningEvent]:
    file = log_of(path, *_EVENTS)

    def build(line: int, row: Row) -> ListeningEvent | None:
        if row["long_form"] in _LONG_FORM:
            reading.left_out["long-form"] += 1
            return None
        played_ms = min(max(0, int(number(row, "ms_played"))), PLAYED_MS_MAX)
        return ListeningEvent(
            event_id=f"{row['user']}-{line - 2}",  # the row's number: the same in every run
            at_ms=int(number(row, "end_ts")) * 1000,
            user_id=row["user"],
            track_id=row["track_id"],
            kind="skip" if played_ms < SKIP_MS else "play",
            played_ms=played_ms,
        )

    yield from by_time(each(file, table(file, "user", "end_ts", "track_id", "ms_played", "long_form"), build, reading))


def _tracks(path: Path, reading: Reading) -> Iterator[Track]:
    log, artists = log_of(path, *_EVENTS), one_of(path, "artists.csv.gz", "artists.csv")
    durations = {row["track_id"]: row["dur_est_ms"] for _, row in table(log, "track_id", "dur_est_ms")}
    tags = {row["artist_id"]: row["tags"] for _, row in table(artists, "artist_id", "tags")}
    file = one_of(path, "tracks.csv.gz", "tracks.csv")

    def build(line: int, row: Row) -> Track:
        return Track(
            track_id=row["track_id"],
            title=row["track"][:512],
            artist_id=row["artist_id"] or None,
            artist=row["artist"][:512] or None,
            tags=top_tags(tags.get(row["artist_id"]) or ""),
            duration_ms=int(float(durations.get(row["track_id"]) or 0)) or None,
        )

    yield from each(file, table(file, "track_id", "artist_id", "artist", "track"), build, reading)


def top_tags(text: str) -> list[str]:
    """The heaviest of "tag:weight|tag:weight", by name where weights are equal."""
    weighed = [(tag, weight) for tag, _, weight in (part.rpartition(":") for part in text.split("|")) if tag]
    weighed.sort(key=lambda part: (-float(part[1] or 0), part[0]))
    return [tag[:64] for tag, _ in weighed[:TAGS]]


def _fits(path: Path) -> bool:
    return any((path / name).exists() for name in _EVENTS) or path.name in _EVENTS


SPOTIFY_PACK = Source(
    "spotify-pack", "a folder with events.csv.gz, tracks.csv.gz and artists.csv.gz", _fits, _events, _tracks
)
