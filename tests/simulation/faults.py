"""What may fail in a world, and how often.

To add a fault: give it a chance here, an action in `World._act` or `World._trouble`, and let `checker` say what it must not change.
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Faults:
    """How often each happens, relative to the steps.

    Before, between or after the moves of a commit:
    crash : the process ends; refuse : the broker refuses a record; expire : the transaction takes too long; seize : another process opens the partition

    Between steps:
    kill : a process ends; takeover : another process opens a partition; in neither case is the old one told
    rewind : delivery begins again below the watermark; lose : a chunk is lost on the way
    repeat : a delta is in its topic twice; poison : something unreadable is in it
    compact : a changelog is compacted
    """

    crash: float = 0.0
    refuse: float = 0.0
    expire: float = 0.0
    seize: float = 0.0
    kill: float = 0.0
    takeover: float = 0.0
    rewind: float = 0.0
    lose: float = 0.0
    repeat: float = 0.0
    poison: float = 0.0
    compact: float = 0.0

    @classmethod
    def draw(cls, seed: int) -> "Faults":
        """Some of the faults, more or less of each."""
        rng = random.Random(f"faults-{seed}")
        chances = {name: rng.choice([0.0, 0.05, 0.2]) for name in cls.__dataclass_fields__}
        return cls(**chances) if any(chances.values()) else cls(crash=0.2)


CALM = Faults()
IN_COMMIT = ("crash", "refuse", "expire", "seize")
