"""Lists a catalogue on a running Segue, and waits until the keepers have written it: events that know their track teach more."""

import asyncio
import time
from collections.abc import Sequence

from online_models.track import CATALOGUE
from segue.client import SegueClient
from segue.errors import SituationError
from streams.messages import Track
from streams.runtime.admin import count_partitions
from streams.runtime.follower import Follower
from streams.topics import BY_NAME, DEAD_LETTERS, TRACKS_CHANGELOG


class Listing:
    """What the keepers have written of the catalogue; an async context manager.

    refused : dead letters since it began, some of which may be tracks
    """

    def __init__(self, client: SegueClient, *, patience_s: float = 60.0) -> None:
        self.client, self.patience_s = client, patience_s
        self.refused = 0
        self._listed: set[bytes] = set()

    async def __aenter__(self) -> "Listing":
        counts = await count_partitions(self.client.settings)
        topics = {topic.name: range(counts[BY_NAME[topic.name].group]) for topic in (TRACKS_CHANGELOG, DEAD_LETTERS)}
        self._follower = Follower(self.client.settings, topics, self._apply)
        await self._follower.start()
        await self._follower.caught_up()
        self.refused = 0
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._follower.stop()

    def missing(self, tracks: Sequence[Track]) -> list[Track]:
        """Those that are not listed yet."""
        return [track for track in tracks if CATALOGUE + b"t:" + track.track_id.encode() not in self._listed]

    async def produce(self, tracks: Sequence[Track]) -> None:
        """Produce rows of the catalogue, and wait until each is listed or refused.

        Raises
        ------
        SituationError
            where nothing more of them is listed for `patience_s`
        """
        async for _ in self.client.produce_many(tracks):
            pass
        wanted = list({track.track_id: track for track in tracks}.values())
        left, since = len(wanted), time.monotonic()
        while (now_left := len(self.missing(wanted)) - self.refused) > 0:
            if now_left < left:
                left, since = now_left, time.monotonic()
            if time.monotonic() - since > self.patience_s:
                raise SituationError(
                    f"{left:,} of {len(wanted):,} tracks are not listed, and none was for {self.patience_s:g} s: "
                    "is a track keeper running (`segue worker keeper`)?"
                )
            await asyncio.sleep(0.05)

    def _apply(self, topic: str, _partition: int, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        if topic == DEAD_LETTERS.name:
            self.refused += len(rows)
            return
        for key, value in rows:
            if key[:1] == CATALOGUE:
                (self._listed.discard if value is None else self._listed.add)(key)
