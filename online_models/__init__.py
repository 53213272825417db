"""What Segue learns: statistics, rankers, embeddings, co-listening and bandits, each fed one event (or a batch) at a time.

Pure Python on numpy, River and hnswlib. It is not for moving data: no topic, no file, no clock and no network appears
here, and nothing of `streams`, `serving` or `segue` is imported. Time is the events' (`at_ms`) and randomness is a
generator that the caller hands in.
"""
