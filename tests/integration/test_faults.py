"""Workers killed, stopped and frozen in mid-stream: nothing lost, nothing counted twice, every output there once.

A small trial on the broker of all tests, which it leaves alone; `make faults` runs the great one, and kills its own.
"""

import pytest

from segue.embedded.kafka import EmbeddedKafka
from streams.runtime.settings import Settings
from tests.faults.__main__ import FAULTS, figures
from tests.faults.trial import Plan, run_trial


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_faults_lose_nothing_and_count_nothing_twice(kafka: EmbeddedKafka, settings: Settings) -> None:
    plan = Plan(
        each={"learner": 2, "keeper": 1, "serving": 1},
        kills={"learner": 5, "keeper": 1, "serving": 1},
        terms={"learner": 5, "keeper": 1, "serving": 1},
        zombies={"learner": 1},
        per_s=100.0,
    )

    trial = await run_trial(plan, kafka, settings)

    assert not trial.hang, (trial.hang, trial.crew.notes)
    assert [row for row in trial.rows if row.lost or row.twice] == []
    wanted = {"kills": 14, "zombies": 1, **dict.fromkeys(FAULTS, 0)}
    assert wanted == {name: value for name, value in figures(trial, 0.0).items() if name in wanted}
    assert (
        sum(worker.restarts for workers in trial.crew.workers.values() for worker in workers) >= plan.kills["learner"]
    )
