"""Last.fm (hetrec2011): listening counts and tags; an artist stands for a track.

The counts carry no time: each pair of listener and artist is one play, in the order of the file, a minute apart from 2011-01-01 on.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from segue.importers.source import Reading, Row, Source, each, log_of, one_of, table
from streams.messages import ListeningEvent, Track

START_MS = 1_293_840_000_000
TAGS = 4
_COUNTS = ("user_artists.dat.gz", "user_artists.dat")


def _pairs(path: Path) -> tuple[Path, Iterator[tuple[int, Row]]]:
    file = log_of(path, *_COUNTS)
    return file, table(file, "userID", "artistID", "weight", delimiter="\t")


def _events(path: Path, reading: Reading) -> Iterator[ListeningEvent]:
    def build(line: int, row: Row) -> ListeningEvent:
        return ListeningEvent(
            event_id=f"{row['userID']}-{row['artistID']}",
            at_ms=START_MS + 60_000 * (line - 2),
            user_id=row["userID"],
            track_id=row["artistID"],
            kind="play",
        )

    yield from each(*_pairs(path), build, reading)


def _tracks(path: Path, reading: Reading) -> Iterator[Track]:
    names = dict(_columns(path, "artists.dat", "id", "name"))
    tag_names = dict(_columns(path, "tags.dat", "tagID", "tagValue"))
    tags: dict[str, Counter[str]] = defaultdict(Counter)
    for artist, tag in _columns(path, "user_taggedartists.dat", "artistID", "tagID"):
        tags[artist][tag_names.get(tag, tag)[:64]] += 1

    def build(line: int, artist: str) -> Track:
        name = (names.get(artist) or f"artist {artist}")[:512]
        top = [tag for tag, _ in tags[artist].most_common(TAGS) if tag]
        return Track(track_id=artist, title=name, artist_id=artist, artist=name, tags=top)

    file, pairs = _pairs(path)
    yield from each(
        file, ((2, artist) for artist in dict.fromkeys(row["artistID"] for _, row in pairs)), build, reading
    )


def _columns(path: Path, name: str, key: str, value: str) -> Iterator[tuple[str, str]]:
    for _, row in table(one_of(path, f"{name}.gz", name), key, value, delimiter="\t"):
        yield row[key], row[value]


def _fits(path: Path) -> bool:
    return any((path / name).exists() for name in _COUNTS) or path.name in _COUNTS


LASTFM = Source(
    "lastfm",
    "a folder with hetrec2011's user_artists.dat, artists.dat, tags.dat and user_taggedartists.dat",
    _fits,
    _events,
    _tracks,
    surface="discover-weekly",
)
