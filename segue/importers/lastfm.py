"""Last.fm (hetrec2011): artists.dat-like listening counts; an artist stands for a track.

The counts carry no time: each pair of listener and artist is one play, in the order of the file, a minute apart from 2011-01-01 on.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from segue.importers.source import Source, one_of, table
from streams.messages import ListeningEvent, Track

START_MS = 1_293_840_000_000
TAGS = 4


def _pairs(path: Path) -> Iterator[dict[str, str]]:
    yield from table(
        one_of(path, "user_artists.dat.gz", "user_artists.dat"), "userID", "artistID", "weight", delimiter="\t"
    )


def _events(path: Path) -> Iterator[ListeningEvent]:
    for number, row in enumerate(_pairs(path)):
        yield ListeningEvent(
            event_id=f"{row['userID']}-{row['artistID']}",
            at_ms=START_MS + 60_000 * number,
            user_id=row["userID"],
            track_id=row["artistID"],
            kind="play",
        )


def _tracks(path: Path) -> Iterator[Track]:
    tags: dict[str, Counter[str]] = defaultdict(Counter)
    folder = path if path.is_dir() else path.parent
    for row in table(
        one_of(folder, "user_taggedartists.dat.gz", "user_taggedartists.dat"), "artistID", "tagID", delimiter="\t"
    ):
        tags[row["artistID"]][row["tagID"]] += 1
    for artist in dict.fromkeys(row["artistID"] for row in _pairs(path)):
        yield Track(
            track_id=artist, title=f"artist {artist}", tags=[f"tag {tag}" for tag, _ in tags[artist].most_common(TAGS)]
        )


def _fits(path: Path) -> bool:
    return any((path / name).exists() for name in ("user_artists.dat.gz", "user_artists.dat"))


LASTFM = Source(
    "lastfm", "a folder with hetrec2011's user_artists.dat and user_taggedartists.dat", _fits, _events, _tracks
)
