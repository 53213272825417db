"""A fuzzer over every public topic: hostile messages into the pure cores of all workers. `python -m tests.fuzz` runs many."""
