"""Seeds that failed once, and what they found; they run for ever, whatever the others do. `workload.py` and `world.py` draw from a seed
what is in them: where those change, a seed stands for another history."""

FAILED_ONCE: tuple[int, ...] = ()
