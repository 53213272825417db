"""The tests: they mirror the packages; `simulation/` holds seeded histories of faults."""
