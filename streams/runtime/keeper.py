"""The track keeper: adds what learners send, and writes the track rows."""

from online_models.track import TrackTable
from streams.keeper import KeeperProcessor
from streams.runtime.access import check_rights
from streams.runtime.admin import count_partitions
from streams.runtime.engine import Engine
from streams.runtime.run import run_until_signalled
from streams.runtime.settings import Settings

NAME = "keeper"


async def run(settings: Settings) -> None:
    """Run a track keeper until SIGTERM or Ctrl-C."""
    engine = keeper_engine(settings)

    async def start() -> None:
        await check_rights(settings, NAME)
        await count_partitions(settings)  # a group whose topics are not there would wait for them without a word
        await engine.start()

    await run_until_signalled(start, engine.stop, "keeper ready")


def keeper_engine(settings: Settings) -> Engine:
    """A track keeper that has not begun."""
    return Engine(settings, NAME, lambda number: KeeperProcessor(number, TrackTable()), KeeperProcessor.inputs)
