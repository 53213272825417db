"""The `segue` command and the wiring: embedded Kafka, importers, simulated listeners, evaluation.

Nobody imports this package; it may import all others.
"""
