"""Simulated listeners: hidden tastes, boredom and repeats, over a made-up catalogue; seeded, for the demo, benchmarks, tests and closed loops."""
