"""The load of the benchmarks: made-up listeners and events, the same for the same seed."""

import numpy as np

from segue.simulation.catalogue import Catalogue
from streams.messages import ListeningEvent

START_MS = 1_750_000_000_000


def make_events(catalogue: Catalogue, count: int, *, listeners: int = 2000, seed: int = 1) -> list[ListeningEvent]:
    """Plays and skips, two to one, of well-known tracks more often; 50 ms apart."""
    rng = np.random.default_rng(seed)
    tracks = rng.choice(len(catalogue.tracks), count, p=catalogue.attraction).tolist()
    people, skipped = rng.integers(0, listeners, count).tolist(), (rng.random(count) < 1 / 3).tolist()
    return [
        ListeningEvent(
            event_id=f"e{number}",
            at_ms=START_MS + 50 * number,
            user_id=f"u{people[number]}",
            track_id=catalogue.tracks[tracks[number]].track_id,
            kind="skip" if skipped[number] else "play",
            played_ms=9_000 if skipped[number] else catalogue.tracks[tracks[number]].duration_ms,
        )
        for number in range(count)
    ]
