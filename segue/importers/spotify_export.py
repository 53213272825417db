"""One's own Spotify export: StreamingHistory*.json, or Streaming_History_Audio_*.json / endsong_*.json (the extended one).

Under 30 s heard is a skip; podcasts (no track name) are left out. An export is one person's: they are called `Reading.user_id`.
The short export does not say which track of a name it was: its track_id is a hash of artist and title.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from segue.errors import InputError
from segue.importers.source import PLAYED_MS_MAX, SKIP_MS, Reading, Source, by_time, each, seen_in
from streams.messages import Context, ListeningEvent, Track

_SHORT = "StreamingHistory*.json"
_PATTERNS = (_SHORT, "Streaming_History_Audio_*.json", "endsong*.json")
Play = dict[str, Any]


def _events(path: Path, reading: Reading) -> Iterator[ListeningEvent]:
    yield from by_time(_plays(path, reading))


def _plays(path: Path, reading: Reading) -> Iterator[ListeningEvent]:
    earlier = set[str]()  # of the files before
    for file in _files(path):
        events = list(_plays_of(file, reading))
        for event in events:
            if event.event_id in earlier:  # exports overlap: one play stands in two files
                reading.left_out["repeated"] += 1
            else:
                yield event
        earlier.update(event.event_id for event in events)


def _plays_of(file: Path, reading: Reading) -> Iterator[ListeningEvent]:
    again = Counter[str]()

    def build(_line: int, row: Play) -> ListeningEvent | None:
        if not _title(row):
            reading.left_out["podcast"] += 1
            return None
        return _event(row, reading.user_id, again)

    yield from each(file, _rows(file), build, reading)


def _event(row: Play, user_id: str, again: Counter[str]) -> ListeningEvent:
    played = row.get("ms_played", row.get("msPlayed"))
    if not isinstance(played, int | float):
        raise ValueError(f"ms_played={played!r}, expected milliseconds")
    played_ms, at_ms, track_id = min(max(0, int(played)), PLAYED_MS_MAX), _end_ms(row), _track_id(row)
    same = _hash(user_id, track_id, str(at_ms), str(played_ms))
    again[same] += 1  # one song left twice at once in a minute is two plays
    country = str(row.get("conn_country") or "")
    return ListeningEvent(
        event_id=f"{same}-{again[same]}",
        at_ms=at_ms,
        user_id=user_id,
        track_id=track_id,
        kind="skip" if played_ms < SKIP_MS else "play",
        played_ms=played_ms,
        context=Context(country=country) if len(country) == 2 and country != "ZZ" else None,
    )


def _tracks(path: Path, reading: Reading) -> Iterator[Track]:
    seen = set[str]()

    def build(_line: int, row: Play) -> Track | None:
        track_id = _track_id(row)
        if not _title(row) or track_id in seen:
            return None
        seen.add(track_id)
        artist, album = _artist(row), str(row.get("master_metadata_album_album_name") or "")
        return Track(
            track_id=track_id,
            title=_title(row)[:512],
            artist_id=_hash(artist),
            artist=artist[:512],
            album_id=_hash(artist, album) if album else None,
        )

    for file in _files(path):
        yield from each(file, _rows(file), build, reading)


def _files(path: Path) -> list[Path]:
    """Every file of the export; the extended one alone where both are there, since it holds the same plays."""
    if path.is_file():
        return [path]
    found = _found(path)
    if not found:
        raise InputError(
            f"{path}: has no {', '.join(_PATTERNS)}; it is {seen_in(path)}: unpack the export and name its folder"
        )
    return [file for file in found if not file.match(_SHORT)] or found


def _found(folder: Path) -> list[Path]:
    """Files of an export in a folder or one below: Spotify packs them in one."""
    return sorted({file for pattern in _PATTERNS for file in (*folder.glob(pattern), *folder.glob(f"*/{pattern}"))})


def _rows(file: Path) -> Iterator[tuple[int, Play]]:
    """(place in the list from 1 on, play)."""
    try:
        rows = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise InputError(f"{file}: cannot be read: {error}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{file}: expected a list of plays, as Spotify writes it")
    yield from enumerate(rows, 1)


def _end_ms(row: Play) -> int:
    text = row.get("ts") or row.get("endTime")
    try:
        return int(datetime.fromisoformat(str(text)).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError as error:
        raise ValueError(f"time {text!r}, expected `ts` or `endTime` as Spotify writes them") from error


def _title(row: Play) -> str:
    return str(row.get("master_metadata_track_name") or row.get("trackName") or "")


def _artist(row: Play) -> str:
    return str(row.get("master_metadata_album_artist_name") or row.get("artistName") or "unknown")


def _track_id(row: Play) -> str:
    uri = str(row.get("spotify_track_uri") or "")
    return uri.rpartition(":")[2] if uri.startswith("spotify:track:") else _hash(_artist(row), _title(row))


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()


def _fits(path: Path) -> bool:
    return any(path.match(pattern) for pattern in _PATTERNS) if path.is_file() else bool(_found(path))


SPOTIFY_EXPORT = Source(
    "spotify-export", "the folder of your own Spotify export (either kind)", _fits, _events, _tracks
)
