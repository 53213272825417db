"""The serving worker's wiring: aiokafka, the replica's followers, the clock."""
