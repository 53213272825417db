"""One seed, one history: what it came to, against the calm history of the same workload."""

from functools import lru_cache

from tests.simulation.checker import Durable, differences, durable
from tests.simulation.faults import CALM, Faults
from tests.simulation.workload import Workload, make_workload
from tests.simulation.world import World

HISTORIES, WORKLOADS = 200, 6  # of the fast lane; beyond its seeds there is a workload for each ten
EVERYTHING = Faults(**dict.fromkeys(Faults.__dataclass_fields__, 0.12))
AGAIN = "again: .venv/bin/python -m tests.simulation.soak --first {seed} --seeds 1"


def workload_of(seed: int) -> int:
    """The number of a seed's workload."""
    return seed % WORKLOADS if seed < 10 * HISTORIES else seed // 10


@lru_cache(maxsize=8)
def calm(number: int) -> tuple[Workload, Durable]:
    """A workload, and what it comes to where nothing fails."""
    world = World(make_workload(number), seed=number, faults=CALM)
    world.run()
    return world.workload, durable(world)


def live(seed: int, faults: Faults, sabotage: str = "") -> World:
    """A history that has come to its end."""
    world = World(calm(workload_of(seed))[0], seed, faults, sabotage=sabotage)
    try:
        world.run()
    except Exception as error:
        error.add_note(str(world))
        raise
    return world


def problems(seed: int) -> list[str]:
    """What is wrong with how a seed's history went, and how to repeat it; nothing, where nothing is."""
    expected = calm(workload_of(seed))[1]
    world = live(seed, Faults.draw(seed))
    wrong = differences(world, expected)
    return [*wrong[:10], AGAIN.format(seed=seed), str(world)] if wrong else []
