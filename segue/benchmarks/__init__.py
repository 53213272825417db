"""Benchmarks over a real broker: they report, they never fail on time. Each states its goal and what it is not."""
