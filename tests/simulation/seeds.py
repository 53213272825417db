"""Seeds that failed once; they always run. What is in a history follows from its seed by `workload.py`, `faults.py` and `world.py`: after a
change there, a seed stands for another one."""

FAILED_ONCE: tuple[int, ...] = (422, 610, 2819, 4236, 5090)
