"""One's own Spotify export: StreamingHistory*.json, or Streaming_History_Audio_*.json / endsong_*.json (the extended one).

Under 30 s heard is a skip; podcasts (no track name) are left out. The person is called "me", unless the export names a user.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from segue.errors import InputError
from segue.importers.source import Source
from streams.messages import ListeningEvent, Track

SKIP_MS = 30_000
_PATTERNS = ("StreamingHistory*.json", "Streaming_History_Audio_*.json", "endsong*.json")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted({file for pattern in _PATTERNS for file in path.rglob(pattern)})
    if not found:
        raise InputError(f"{path}: has no {', '.join(_PATTERNS)}; unpack the export and name its folder")
    return found


def _plays(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(end in ms, row) of every play of music, in order of time; the extended format wins where both are there."""
    files = _files(path)
    extended = [file for file in files if not file.name.startswith("StreamingHistory")]
    plays = []
    for file in extended or files:
        try:
            rows = orjson.loads(file.read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            raise InputError(f"{file}: cannot be read: {error}") from error
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"{file}: expected a list of plays, as Spotify writes it")
        plays += [(_end_ms(row, file), row) for row in rows if _title(row)]
    plays.sort(key=lambda play: play[0])
    return plays


def _end_ms(row: dict[str, Any], file: Path) -> int:
    text = row.get("ts") or row.get("endTime")
    try:
        return int(datetime.fromisoformat(str(text).replace("Z", "+00:00")).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError as error:
        raise InputError(f"{file}: time {text!r}, expected `ts` or `endTime` as Spotify writes them") from error


def _title(row: dict[str, Any]) -> str:
    return str(row.get("master_metadata_track_name") or row.get("trackName") or "")


def _artist(row: dict[str, Any]) -> str:
    return str(row.get("master_metadata_album_artist_name") or row.get("artistName") or "unknown")


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()


def _track_id(row: dict[str, Any]) -> str:
    uri = str(row.get("spotify_track_uri") or "")
    return uri.rpartition(":")[2] if uri.startswith("spotify:track:") else _hash(_artist(row), _title(row))


def _events(path: Path) -> Iterator[ListeningEvent]:
    for number, (at_ms, row) in enumerate(_plays(path)):
        played = row.get("ms_played", row.get("msPlayed"))
        if not isinstance(played, int | float):
            raise InputError(f"{path}: ms_played={played!r} at {at_ms}, expected milliseconds")
        played_ms = min(max(0, int(played)), 7 * 86_400_000)
        user_id = str(row.get("username") or "me")[:128]
        track_id = _track_id(row)
        yield ListeningEvent(
            event_id=_hash(user_id, track_id, str(at_ms), str(number)),
            at_ms=at_ms,
            user_id=user_id,
            track_id=track_id,
            kind="skip" if played_ms < SKIP_MS else "play",
            played_ms=played_ms,
        )


def _tracks(path: Path) -> Iterator[Track]:
    rows = {_track_id(row): row for _, row in _plays(path)}
    for track_id, row in rows.items():
        album = str(row.get("master_metadata_album_album_name") or "")
        yield Track(
            track_id=track_id,
            title=_title(row)[:512],
            artist_id=_hash(_artist(row)),
            artist=_artist(row)[:512],
            album_id=_hash(_artist(row), album) if album else None,
        )


def _fits(path: Path) -> bool:
    if path.is_file():
        return any(path.match(pattern) for pattern in _PATTERNS)
    return any(next(path.rglob(pattern), None) is not None for pattern in _PATTERNS)


SPOTIFY_EXPORT = Source(
    "spotify-export", "the folder of your own Spotify export (either kind)", _fits, _events, _tracks
)
