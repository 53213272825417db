"""MovieLens: ratings.csv and movies.csv (packed or not) in a folder; films stand for tracks.

A rating of 4 or more is a play, a lower one a skip; genres are tags.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from segue.importers.source import Source, one_of, table, whole
from streams.messages import ListeningEvent, Track

LIKED = 4.0


def _events(path: Path) -> Iterator[ListeningEvent]:
    file = one_of(path, "ratings.csv.gz", "ratings.csv")
    rows = [
        (whole(row, "timestamp", file), number, row)
        for number, row in enumerate(table(file, "userId", "movieId", "rating", "timestamp"))
    ]
    rows.sort(key=lambda entry: entry[:2])
    for at_s, number, row in rows:
        yield ListeningEvent(
            event_id=f"{row['userId']}-{number}",
            at_ms=at_s * 1000,
            user_id=row["userId"],
            track_id=row["movieId"],
            kind="play" if float(row["rating"]) >= LIKED else "skip",
        )


def _tracks(path: Path) -> Iterator[Track]:
    file = (
        one_of(path, "movies.csv.gz", "movies.csv")
        if path.is_dir()
        else one_of(path.parent, "movies.csv.gz", "movies.csv")
    )
    for row in table(file, "movieId", "title", "genres"):
        year = re.search(r"\((\d{4})\)\s*$", row["title"])
        genres = [genre.lower() for genre in row["genres"].split("|") if not genre.startswith("(")]
        yield Track(
            track_id=row["movieId"],
            title=row["title"][:512],
            tags=genres[:16],
            released_ms=int(datetime(int(year[1]), 1, 1, tzinfo=UTC).timestamp() * 1000)
            if year and int(year[1])
            else None,
        )


def _fits(path: Path) -> bool:
    return any((path / name).exists() for name in ("ratings.csv.gz", "ratings.csv")) or path.name in (
        "ratings.csv",
        "ratings.csv.gz",
    )


MOVIELENS = Source("movielens", "a folder with MovieLens's ratings.csv and movies.csv", _fits, _events, _tracks)
