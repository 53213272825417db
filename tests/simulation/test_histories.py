"""Seeded histories of faults: whatever happens, the exact state is that of a calm history, and nothing else is wrong either (`checker`).

One seed again:  .venv/bin/python -m tests.simulation.soak --first 17 --seeds 1;  more of them:  make soak SEEDS=20000
"""

from collections.abc import Sequence
from functools import cache

import pytest

from online_models.listener import Listener
from online_models.listeners import Listeners
from online_models.ranker import Ranker
from serving.filters import FILTERS
from serving.pending import PendingEvent, PendingEvents
from serving.radio import Radio
from serving.replica import Replica
from streams.keeper import KeeperProcessor
from streams.topics import TOPICS
from tests.simulation.checker import by_hand, conserved, differences, durable
from tests.simulation.faults import CALM
from tests.simulation.history import EVERYTHING, HISTORIES, WORKLOADS, calm, live, problems, workload_of
from tests.simulation.seeds import FAILED_ONCE
from tests.simulation.workload import make_workload
from tests.simulation.world import World

SEEDS = [*range(HISTORIES), *(seed for seed in FAILED_ONCE if seed >= HISTORIES)]
HAPPENED = (
    *("crashes", "fenced", "killed", "taken over", "rewound", "lost", "repeated", "poisoned", "compacted", "asked"),
    "foreseen",
    *("crash", "refuse", "expire", "seize"),
)


@cache
def lived(seed: int) -> World:
    """A history of every fault."""
    return live(seed, EVERYTHING)


@pytest.mark.parametrize("seed", SEEDS, ids="seed-{}".format)
def test_whatever_fails_the_state_is_that_of_a_calm_history(seed: int) -> None:
    wrong = problems(seed)

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("number", range(WORKLOADS), ids="workload-{}".format)
def test_a_calm_history_comes_to_what_one_counts_by_hand(number: int) -> None:
    world = World(make_workload(number), seed=number, faults=CALM)
    world.run()

    seen = durable(world)

    assert [*by_hand(seen, world.workload), *conserved(world, seen)] == []
    assert world.wrong == []
    assert {"asked"} <= {name for name, times in world.times.items() if times} <= {"asked", "foreseen"}


@pytest.mark.parametrize("fault", HAPPENED)
def test_histories_hold_every_fault(fault: str) -> None:
    worlds = [lived(seed) for seed in range(8)]

    assert sum(world.times[fault] for world in worlds) > 0


def test_the_same_seed_is_the_same_history() -> None:
    logs = []
    for _ in range(2):
        world = live(3, EVERYTHING)
        logs.append([world.log.all(topic.name, number) for topic in TOPICS for number in range(3)])

    assert logs[0] == logs[1]


def test_another_seed_is_another_history() -> None:
    one, other = live(0, EVERYTHING), live(WORKLOADS, EVERYTHING)

    assert one.happened != other.happened


# --- the harness can fail: each way to break the write path is noticed


def _noticed(sabotage: str = "") -> list[str]:
    """What the checker says of the first history in which it says something."""
    for seed in range(8):
        try:
            wrong = differences(live(seed, EVERYTHING, sabotage), calm(workload_of(seed))[1])
        except (ValueError, AssertionError) as error:  # the rows do not fit each other
            wrong = [str(error)]
        if wrong:
            return wrong
    return []


def test_the_checker_says_nothing_where_nothing_is_broken() -> None:
    assert _noticed() == []


@pytest.mark.parametrize("sabotage", ["watermark", "watermark-first", "transaction", "fencing", "restore", "numbering"])
def test_the_checker_notices_an_engine_that_is_broken(sabotage: str) -> None:
    assert _noticed(sabotage) != []


@pytest.fixture(name="known")
def _known() -> None:
    """The calm histories are made before anything is broken."""
    for number in range(WORKLOADS):
        calm(number)


@pytest.mark.usefixtures("known")
def test_the_checker_notices_events_that_count_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listener, "knows", lambda *_: False)

    assert any("listeners counted" in each for each in _noticed())


@pytest.mark.usefixtures("known")
def test_the_checker_notices_deltas_that_count_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    add = KeeperProcessor._add

    def forgetful(self: KeeperProcessor, *args: object) -> None:
        known, self.seen = self.seen, {}
        add(self, *args)  # type: ignore[arg-type]
        self.seen = known | self.seen

    monkeypatch.setattr(KeeperProcessor, "_add", forgetful)

    assert any("is not the sum of its deltas" in each for each in _noticed())


@pytest.mark.usefixtures("known")
def test_the_checker_notices_an_erasure_that_leaves_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    erase = Listeners.erase

    def heads_only(self: Listeners, user_id: str) -> dict[bytes, bytes | None]:
        return {key: None for key in erase(self, user_id) if key[:1] == b"h"}

    monkeypatch.setattr(Listeners, "erase", heads_only)

    assert any("listeners of learner" in each for each in _noticed())


@pytest.mark.usefixtures("known")
def test_the_checker_notices_playlists_that_count_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listener, "offer", lambda *_: None)

    assert any("trials" in each for each in _noticed())


@pytest.mark.usefixtures("known")
def test_the_checker_notices_blocked_tracks_in_a_slate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILTERS, "blocked", lambda _query, candidates: candidates.rows >= 0)
    monkeypatch.setattr(Radio, "_check", lambda *_: None)

    assert any("holds blocked" in each for each in _noticed())


@pytest.mark.usefixtures("known")
def test_the_checker_notices_removed_tracks_in_a_slate(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Replica._take_tracks

    def keep_all(self: Replica, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        take(self, [row for row in rows if row[1] is not None])

    monkeypatch.setattr(Replica, "_take_tracks", keep_all)

    assert any("holds unknown or removed" in each for each in _noticed())


@pytest.mark.usefixtures("known")
def test_the_checker_notices_events_that_stay_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PendingEvents, "learnt", lambda *_: [])

    assert any("pending events" in each for each in _noticed())


@pytest.mark.usefixtures("known")
def test_the_checker_notices_events_that_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    take = PendingEvents.take

    def every_other(self: PendingEvents, partition: int, events: Sequence[PendingEvent]) -> None:
        take(self, partition, [event for event in events if event.offset % 2])

    monkeypatch.setattr(PendingEvents, "take", every_other)

    assert any("as rows and pending events say" in each for each in _noticed())


@pytest.mark.usefixtures("known")
def test_the_checker_notices_a_worker_that_waits_for_the_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replica, "listener", lambda self, user_id: self.listeners.get(user_id))

    assert any("as rows and pending events say" in each for each in _noticed())


@pytest.mark.usefixtures("known")
def test_the_checker_notices_a_worker_that_does_not_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listener, "refresh", lambda *_: None)

    assert any("holds other memories" in each for each in _noticed())


@pytest.mark.usefixtures("known")
def test_the_checker_notices_a_history_that_is_not_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listener, "_drop_oldest", lambda _: None)

    assert any("history, at most 64" in each for each in _noticed())


@pytest.mark.usefixtures("known")
def test_the_checker_notices_weights_that_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ranker, "restore", lambda *_: None)

    assert any("examples of" in each for each in _noticed())
