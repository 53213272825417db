"""`segue listener` and `segue export`: what is known, read from the changelogs."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Column, Table

from segue.cli.shown import moment, shown
from segue.cli.situation import find_settings
from segue.errors import SituationError


class What(StrEnum):
    """What can be exported."""

    listeners = "listeners"
    tracks = "tracks"


def register(app: typer.Typer) -> None:
    @app.command()
    def listener(
        user: Annotated[str, typer.Argument(help="user_id")],
        as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of a table")] = False,
    ) -> None:
        """Show all that is known of one person: counts, tastes, recent tracks."""
        known = asyncio.run(_listener(user))
        if as_json:
            sys.stdout.buffer.write(orjson.dumps(known, option=orjson.OPT_INDENT_2) + b"\n")
            return
        table = Table(Column(), Column(shown(user)), box=None)
        for name, value in known.items():
            table.add_row("last play" if name == "last_ms" else name.replace("_", " "), shown(told(name, value)))
        Console().print(table)

    @app.command()
    def export(what: Annotated[What, typer.Argument(help="listeners or tracks")]) -> None:
        """Write every row as JSON lines to standard output."""
        for row in asyncio.run(_listeners() if what is What.listeners else _tracks()):
            sys.stdout.buffer.write(orjson.dumps(row) + b"\n")


def told(name: str, value: Any) -> str:
    """A value as people read it, a dash for none."""
    if name == "last_ms" and value:
        return f"{moment(value)} UTC"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return "–" if value is None or not text or name == "last_ms" else text


async def _read(topic: str, apply: Callable[[str, int, Sequence[tuple[bytes, bytes | None]]], None]) -> None:
    """Read a compacted topic from its beginning to its end."""
    from streams.runtime.admin import count_partitions
    from streams.runtime.follower import Follower
    from streams.topics import BY_NAME

    settings = find_settings()
    parts = (await count_partitions(settings))[BY_NAME[topic].group]
    follower = Follower(settings, {topic: range(parts)}, apply)
    await follower.start()
    await follower.caught_up()
    await follower.stop()


async def _all_listeners() -> Any:
    from online_models.listeners import Listeners

    listeners = Listeners()

    def apply(_topic: str, _partition: int, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        for key, value in rows:
            listeners.apply_row(key, value)

    await _read("listeners-changelog", apply)
    return listeners


async def _all_tracks() -> Any:
    from online_models.track import META, TrackTable

    table = TrackTable()

    def apply(_topic: str, _partition: int, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        for key, value in rows:
            if key[:1] != META:
                table.apply_row(key, value)

    await _read("tracks-changelog", apply)
    return table


def described(listener: Any) -> dict[str, Any]:
    """A listener's exact counts and the like, flat."""
    from online_models.listener_rows import KINDS

    counts = {f"{kind}s": count for kind, count in zip(KINDS, listener.counts, strict=True)}
    profile = listener.profile
    return {
        "user_id": listener.user_id,
        "events": listener.events,
        **counts,
        "tracks": len(listener.tracks),
        "artists": len(listener.artists),
        "last_ms": listener.last_ms,
        "country": profile.country if profile is not None else None,
    }


async def _listener(user: str) -> dict[str, Any]:
    import numpy as np  # keeps `segue --help` fast

    from online_models.taste import taste
    from serving.favourites import favourites_of

    listeners = await _all_listeners()
    if user not in set(listeners.users()):
        raise SituationError(f"nothing is known of {user!r}: no event of theirs was learnt, or they were erased")
    listener, table = listeners.get(user), await _all_tracks()

    def title(track_id: str) -> str:
        meta = table.meta.get(table.index("t:" + track_id))
        return f"{meta.title} – {meta.artist or 'unknown'}" if meta is not None else track_id

    artist_names = {meta.artist_id: meta.artist for meta in table.meta.values() if meta.artist_id}
    known = favourites_of(listener, table, listener.last_ms)
    parts, _ = taste(table, known.rows, np.maximum(known.likings, 0.0))
    tags = [table.keys[part][2:] for part in parts.tolist() if table.keys[part].startswith("g:")]
    favourites = sorted(listener.artists.items(), key=lambda entry: -entry[1].liking)[:10]
    return {
        **described(listener),
        "favourite_artists": [artist_names.get(artist, artist) for artist, _ in favourites],
        "favourite_tags": tags[:10],
        "recent_tracks": [title(track_id) for track_id in list(listener.recent)[::-1]],
        "liked_tracks": [title(track_id) for track_id in list(listener.liked)[-20:]],
        "blocked_tracks": [title(track_id) for track_id in listener.blocked],
    }


async def _listeners() -> list[dict[str, Any]]:
    listeners = await _all_listeners()
    return [described(listeners.get(user)) for user in sorted(listeners.users())]


async def _tracks() -> list[dict[str, Any]]:
    from online_models.track import COUNTERS

    table = await _all_tracks()
    rows = []
    for row in range(1, len(table)):
        if not table.is_track[row]:
            continue
        meta = table.meta.get(row)
        counts = {name: int(table.counts[row, place]) for place, name in enumerate(COUNTERS)}
        rows.append(
            {
                "track_id": table.keys[row][2:],
                "title": meta.title if meta is not None else None,
                "artist": meta.artist if meta is not None else None,
                "listed": bool(table.listed[row]),
                **counts,
            }
        )
    return rows
