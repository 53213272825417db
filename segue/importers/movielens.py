"""MovieLens: ratings.csv and movies.csv (packed or not) in a folder; films stand for tracks.

A rating of 4 or more is a play, a lower one a skip: each film was seen once, and liked or not. Genres are tags.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from segue.importers.source import Reading, Row, Source, by_time, each, log_of, number, one_of, table
from streams.messages import ListeningEvent, Track

LIKED = 4.0
_RATINGS = ("ratings.csv.gz", "ratings.csv")


def _events(path: Path, reading: Reading) -> Iterator[ListeningEvent]:
    file = log_of(path, *_RATINGS)

    def build(line: int, row: Row) -> ListeningEvent:
        return ListeningEvent(
            event_id=f"{row['userId']}-{line - 2}",
            at_ms=int(number(row, "timestamp")) * 1000,
            user_id=row["userId"],
            track_id=row["movieId"],
            kind="play" if number(row, "rating") >= LIKED else "skip",
        )

    yield from by_time(each(file, table(file, "userId", "movieId", "rating", "timestamp"), build, reading))


def _tracks(path: Path, reading: Reading) -> Iterator[Track]:
    file = one_of(path, "movies.csv.gz", "movies.csv")

    def build(line: int, row: Row) -> Track:
        genres = [genre.lower() for genre in row["genres"].split("|") if genre and not genre.startswith("(")]
        return Track(
            track_id=row["movieId"], title=row["title"][:512], tags=genres[:16], released_ms=_released_ms(row["title"])
        )

    yield from each(file, table(file, "movieId", "title", "genres"), build, reading)


def _released_ms(title: str) -> int | None:
    """The year that a title ends with: "Heat (1995)"."""
    year = re.search(r"\((\d{4})\)\s*$", title)
    return int(datetime(int(year[1]), 1, 1, tzinfo=UTC).timestamp() * 1000) if year and int(year[1]) else None


def _fits(path: Path) -> bool:
    return any((path / name).exists() for name in _RATINGS) or path.name in _RATINGS


MOVIELENS = Source(
    "movielens",
    "a folder with MovieLens's ratings.csv and movies.csv",
    _fits,
    _events,
    _tracks,
    surface="discover-weekly",
)
