"""Honest evaluation: predict, reveal, learn, with the code that runs in production and nothing else."""
