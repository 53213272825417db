"""What a trial finds is told, whoever lost it."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from online_models.track import META
from segue.errors import SituationError
from streams.processor import LearnerMeta
from streams.runtime.settings import Settings
from streams.topics import LISTENERS_CHANGELOG
from tests.faults.load import Load
from tests.faults.trial import Plan, Trial
from tests.faults.watch import Watch

SETTINGS = Settings(bootstrap="nowhere:1")


@pytest.mark.parametrize("role", ["learner", "keeper", "serving"])
async def test_what_a_role_loses_while_others_are_ended_is_lost(tmp_path: Path, role: str) -> None:
    kafka: Any = None
    trial = Trial(Plan(kills={}, terms={}, zombies={}), kafka, SETTINGS, tmp_path)
    calm: Any = SimpleNamespace(ledger=SimpleNamespace(events=7), hold=lambda: asyncio.sleep(0), go_on=lambda: None)
    trial.load = calm

    async def found() -> dict[str, tuple[int, int]]:
        return {**dict.fromkeys(("learner", "keeper", "serving"), (0, 0)), role: (2, 1)}

    trial._count = found  # type: ignore[method-assign]
    await trial._phase("broker kill -9", {"learner": 1}, lambda _role: asyncio.sleep(0, 0.5))
    await trial._phase("SIGTERM", {"learner": 1, "keeper": 1}, lambda _role: asyncio.sleep(0, 0.5))

    assert [(row.lost, row.twice) for row in trial.rows] == [(2, 1), (0, 0), (0, 0)]


async def test_a_trial_whose_load_has_ended_says_why() -> None:
    class Gone:
        async def send(self, *_: Any) -> None:
            raise SituationError("Kafka took nothing")

        async def flush(self) -> None:
            raise AssertionError("nothing was sent")

    gone: Any = Gone()
    load = Load(gone, Watch(SETTINGS), seed=1, per_s=1.0)
    load.start()
    await asyncio.sleep(0)

    with pytest.raises(SituationError, match="took nothing"):
        await asyncio.wait_for(load.hold(), 10.0)


def test_what_learners_count_themselves_is_known_by_what_became_of_it() -> None:
    client: Any = None
    watch = Watch(SETTINGS)
    load = Load(client, watch, seed=1, per_s=1.0)
    load.ledger.by_listener["ann", "play"], load.ledger.repeated, load.ledger.refused = 15, 2, 4
    for partition, meta in enumerate((LearnerMeta(1, 10, 2, 1), LearnerMeta(1, 5, 0, 3))):
        watch._apply(LISTENERS_CHANGELOG.name, partition, [(META, msgspec.msgpack.encode(meta))])

    assert load.wanted == watch.counted
    assert load.sent == watch.taken == 21
