"""Seeded histories: the pure processors over a log in memory, with crashes, fenced owners and redelivery."""
