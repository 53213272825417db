"""The learner: listeners' events in, listener rows and track deltas out, against a followed replica of the track rows."""

import asyncio
from collections.abc import Sequence

from online_models.listeners import Listeners
from online_models.track import TrackTable
from online_models.two_tower import TwoTower
from streams.deltas import TrackReplica
from streams.processor import LearnerProcessor
from streams.runtime.access import check_rights
from streams.runtime.admin import count_partitions
from streams.runtime.cold_rows import RowSpace
from streams.runtime.engine import Engine
from streams.runtime.follower import Follower, end_process
from streams.runtime.run import run_until_signalled
from streams.runtime.settings import Settings
from streams.topics import TRACKS_CHANGELOG

NAME = "learner"
RANK_BATCH = 64  # at a few hundred events a second a step has ten, which cost the ranker as much as these


class Learner:
    """One learner process: any number of them share the partitions."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine: Engine | None = None
        self._follower: Follower | None = None

    async def start(self) -> None:
        """Read the track rows, and join the group meanwhile: who comes back late moves everybody's partitions once more."""
        keepers = (await count_partitions(self.settings))["track"]
        replica = TrackReplica(TrackTable(neighbours_max=0), keepers)
        tower = TwoTower(replica.table)

        def apply(_topic: str, partition: int, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
            replica.apply(partition, rows)

        topics = {TRACKS_CHANGELOG.name: range(keepers)}
        self._follower = Follower(self.settings, topics, apply, failed=end_process)
        await self._follower.start()
        known = asyncio.create_task(self._follower.caught_up())
        space = RowSpace(self.settings.listener_rows_mb << 20)

        def build(number: int) -> LearnerProcessor:
            listeners = Listeners(rows=space.open(number))
            return LearnerProcessor(number, replica, tower, listeners=listeners, rank_batch=RANK_BATCH)

        self.engine = Engine(self.settings, NAME, build, LearnerProcessor.inputs, closed=space.close, needs=known)
        await self.engine.start()
        await known

    async def stop(self) -> None:
        """Flush, commit, leave."""
        if self.engine is not None:
            await self.engine.stop()
        if self._follower is not None:
            await self._follower.stop()


async def run(settings: Settings) -> None:
    """Run a learner until SIGTERM or Ctrl-C."""
    learner = Learner(settings)

    async def start() -> None:
        await check_rights(settings, NAME)
        await learner.start()

    await run_until_signalled(start, learner.stop, "learner ready")
