"""Seeded histories of crashes, fenced owners and redelivery: whatever happens, the exact state is that of a calm history.

One seed again:  .venv/bin/python -m pytest 'tests/simulation/test_histories.py' -k 'seed-17]'
"""

from functools import cache

import pytest

from online_models.listener import Listener
from online_models.listeners import Listeners
from streams.keeper import KeeperProcessor
from streams.topics import TOPICS
from tests.simulation.checker import Durable, by_hand, conserved, differences, durable
from tests.simulation.workload import Workload, make_workload
from tests.simulation.world import CALM, Faults, World

HISTORIES, WORKLOADS = 100, 6
EVERYTHING = Faults(crash=0.15, kill=0.1, takeover=0.2, rewind=0.2, repeat=0.2, compact=0.2)


@cache
def calm(number: int) -> tuple[Workload, Durable]:
    """A workload, and what it comes to where nothing fails."""
    world = World(make_workload(number), seed=number, faults=CALM)
    world.run()
    return world.workload, durable(world)


@cache
def lived(seed: int) -> World:
    """A history of every fault."""
    return live(seed, EVERYTHING)


def live(seed: int, faults: Faults, sabotage: str = "") -> World:
    """A history that has come to its end."""
    world = World(calm(seed % WORKLOADS)[0], seed, faults, sabotage=sabotage)
    try:
        world.run()
    except Exception as error:
        error.add_note(str(world))
        raise
    return world


@pytest.mark.parametrize("seed", range(HISTORIES), ids="seed-{}".format)
def test_whatever_fails_the_state_is_that_of_a_calm_history(seed: int) -> None:
    expected = calm(seed % WORKLOADS)[1]
    world = live(seed, Faults.draw(seed))

    wrong = differences(world, expected)

    again = f"again: .venv/bin/python -m pytest 'tests/simulation/test_histories.py' -k 'calm_history and seed-{seed}]'"
    assert not wrong, "\n".join([*wrong[:10], again, str(world)])


@pytest.mark.parametrize("number", range(WORKLOADS), ids="workload-{}".format)
def test_a_calm_history_comes_to_what_one_counts_by_hand(number: int) -> None:
    world = World(make_workload(number), seed=number, faults=CALM)
    world.run()

    seen = durable(world)

    assert [*by_hand(seen, world.workload), *conserved(world, seen)] == []
    assert world.crashes == world.fenced == 0


@pytest.mark.parametrize("fault", ["crashes", "fenced", "killed", "taken_over", "rewound", "repeated", "compacted"])
def test_histories_hold_every_fault(fault: str) -> None:
    worlds = [lived(seed) for seed in range(3)]

    assert sum(getattr(world, fault) for world in worlds) > 0


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
    for seed in range(12):
        try:
            wrong = differences(live(seed, EVERYTHING, sabotage), calm(seed % WORKLOADS)[1])
        except ValueError as error:  # the rows do not fit each other
            wrong = [str(error)]
        if wrong:
            return wrong
    return []


def test_the_checker_says_nothing_where_nothing_is_broken() -> None:
    assert _noticed() == []


@pytest.mark.parametrize("sabotage", ["watermark", "watermark-first", "transaction", "fencing", "restore"])
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
        self.seen = {}
        add(self, *args)  # type: ignore[arg-type]

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
