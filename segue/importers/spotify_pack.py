"""Pseudonymised Spotify histories: events.csv.gz, tracks.csv.gz, artists.csv.gz in a folder.

`end_ts` is the end of a play in seconds; under 30 s heard is a skip; long-form rows (podcasts) are left out.
"""

from collections.abc import Iterator
from pathlib import Path

from segue.importers.source import Source, one_of, table, whole
from streams.messages import ListeningEvent, Track

SKIP_MS = 30_000
TAGS = 4


def _events(path: Path) -> Iterator[ListeningEvent]:
    file = one_of(path, "events.csv.gz", "events.csv")
    rows = [
        (whole(row, "end_ts", file), number, row)
        for number, row in enumerate(table(file, "user", "end_ts", "track_id", "ms_played", "long_form"))
        if row["long_form"] not in ("1", "True", "true")
    ]
    rows.sort(key=lambda entry: entry[:2])  # file order inside a minute
    for end_s, number, row in rows:
        played_ms = max(0, whole(row, "ms_played", file))
        yield ListeningEvent(
            event_id=f"{row['user']}-{number}",
            at_ms=end_s * 1000,
            user_id=row["user"],
            track_id=row["track_id"],
            kind="skip" if played_ms < SKIP_MS else "play",
            played_ms=min(played_ms, 7 * 86_400_000),
        )


def _tracks(path: Path) -> Iterator[Track]:
    events = one_of(path, "events.csv.gz", "events.csv")
    folder = events.parent
    durations = {
        row["track_id"]: whole(row, "dur_est_ms", events)
        for row in table(events, "track_id", "dur_est_ms")
        if row["dur_est_ms"]
    }
    tags = {
        row["artist_id"]: _top_tags(row["tags"])
        for row in table(one_of(folder, "artists.csv.gz", "artists.csv"), "artist_id", "tags")
    }
    for row in table(one_of(folder, "tracks.csv.gz", "tracks.csv"), "track_id", "artist_id", "artist", "track"):
        yield Track(
            track_id=row["track_id"],
            title=row["track"][:512],
            artist_id=row["artist_id"] or None,
            artist=row["artist"][:512] or None,
            tags=tags.get(row["artist_id"], []),
            duration_ms=durations.get(row["track_id"]) or None,
        )


def _top_tags(text: str) -> list[str]:
    """The heaviest of "tag:weight|tag:weight"."""
    weighed = []
    for part in filter(None, text.split("|")):
        tag, _, weight = part.rpartition(":")
        if tag:
            weighed.append((-float(weight or 0), tag[:64]))
    return [tag for _, tag in sorted(weighed)[:TAGS]]


def _fits(path: Path) -> bool:
    return (path / "events.csv.gz").exists() or path.name in ("events.csv", "events.csv.gz")


SPOTIFY_PACK = Source(
    "spotify-pack", "a folder with events.csv.gz, tracks.csv.gz and artists.csv.gz", _fits, _events, _tracks
)
