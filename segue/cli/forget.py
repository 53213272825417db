"""`segue forget`: erase a person, and say what is left of them and until when."""

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from segue.cli.shown import plain
from segue.cli.situation import JsonPath, find_settings, write_figures
from segue.errors import InputError
from streams.runtime.settings import Settings
from streams.topics import (
    DEAD_LETTERS,
    LISTENERS,
    LISTENERS_CHANGELOG,
    LISTENING_EVENTS,
    PLAYLIST_REQUESTS,
    PLAYLISTS,
    Topic,
)

if TYPE_CHECKING:
    from segue.erasure import Held

KEPT = (LISTENING_EVENTS, PLAYLISTS, PLAYLIST_REQUESTS, DEAD_LETTERS)  # clean-up delete: nobody can erase by key there
COMPACTED = (LISTENERS, LISTENERS_CHANGELOG)
_HOUR_MS, _FOREVER_MS = 3_600_000, 1 << 62
Figures = dict[str, int | bool | None]


def register(app: typer.Typer) -> None:
    @app.command()
    def forget(
        user: Annotated[str, typer.Argument(help="user_id")],
        yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
        wait_s: Annotated[float, typer.Option("--wait", help="seconds that a learner may take", min=1)] = 30.0,
        json_path: JsonPath = None,
    ) -> None:
        """Erase a person: every row of theirs, for good.

        Stop producing their events first: one that comes later begins a stranger. Again and again does no harm.
        """
        from segue.erasure import erase, look  # keeps `segue --help` fast

        _check(user)
        settings = find_settings()
        held = asyncio.run(look(settings, user))
        figures: Figures = {"known": held.known, "unread": held.unread_messages, "removed_profile": held.profile}
        figures |= {f"removed_{name}": count for name, count in held.counts().items()}
        print(
            f"{plain(user)}: {_described(held)}" if held.known else f"{plain(user)} is unknown: nothing is to be erased"
        )
        if held.known:
            if not yes:
                typer.confirm("Erase all of it, for good?", abort=True)
            asyncio.run(erase(settings, held, wait_s))
        figures["rows_left"] = len(held.rows)
        figures |= asyncio.run(_left(settings))
        _say(figures)
        write_figures(json_path, dict(figures))


def _check(user: str) -> None:
    try:
        length = len(user.encode()) and len(user)
    except UnicodeEncodeError as error:
        raise InputError(f"{plain(user)!r}: not UTF-8, expected an id in UTF-8") from error
    if not 1 <= length <= 128:
        raise InputError(f"USER has {length} characters, expected 1 to 128")


def _described(held: "Held") -> str:
    counts = held.counts()
    parts = [f"{sum(counts.values())} rows ({', '.join(f'{name} {count}' for name, count in counts.items())})"]
    if held.profile:
        parts.append("a profile")
    if held.unread_messages:
        parts.append(f"{held.unread_messages:,} messages that no learner has read yet")
    return ", ".join(parts)


async def _left(settings: Settings) -> Figures:
    """Until when what cannot be removed at once is kept, at most."""
    from streams.runtime.topic_settings import read_topic_settings

    told, now_ms = await read_topic_settings(settings, (*COMPACTED, *KEPT)), time.time_ns() // 1_000_000
    compacted = [_sum(told.get(topic.name, {}), "max.compaction.lag.ms") for topic in COMPACTED]
    bound_ms = None if None in compacted else max(ms for ms in compacted if ms is not None)
    figures: Figures = {"compacted_within_ms": bound_ms}
    for topic in KEPT:
        kept_ms = _sum(told.get(topic.name, {}), "retention.ms", "segment.ms")  # a segment is removed as a whole
        figures[until_name(topic)] = None if kept_ms is None else now_ms + kept_ms
    return figures


def _sum(told: dict[str, str], *names: str) -> int | None:
    """Settings in ms together; None where one says for ever, or is not told."""
    values = [int(told.get(name, -1)) for name in names]
    return sum(values) if all(0 <= value < _FOREVER_MS for value in values) else None


def until_name(topic: Topic) -> str:
    """The figure that says until when a topic keeps what it holds now."""
    return f"{topic.name.replace('-', '_')}_until_ms"


def _say(figures: Figures) -> None:
    """What was done, and what is left."""
    if figures["known"]:
        print("Erased: the learner has removed the rows, serving workers forget them as they read it.")
    if figures["rows_left"]:
        print(f"{figures['rows_left']} rows are there again: messages of theirs arrive. Stop them, and run this again.")
    bound_ms = figures["compacted_within_ms"]
    bound = "without a bound: set max.compaction.lag.ms" if bound_ms is None else f"within {bound_ms / _HOUR_MS:.3g} h"
    print(f"On the brokers' disks until compaction, {bound}: what rows and profiles said.")
    print("Not to be erased by key, and kept until, at the latest:")
    for topic in KEPT:
        until_ms = figures[until_name(topic)]
        day = (
            "for ever, or not told"
            if until_ms is None
            else f"{datetime.fromtimestamp(until_ms / 1000, UTC):%F %H:%M} UTC"
        )
        print(f"  {topic.name:18} {day}")
