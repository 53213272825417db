"""Momentum: somebody who stays with an artist, hears tracks again, or tries new ones will go on so for some plays.

What the channels say is brought towards it: for each of three ways of going on, the share of the candidates' scores that have it is moved
towards the share of the last plays that had it. Computed from the history alone, so nothing is to be learnt or kept for it.
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from online_models.listener import Listener
from online_models.listener_rows import PLAY, SKIP, Heard
from online_models.track import Doubles
from serving.slate import Candidates, Query

WINDOW, FADES = 40, 0.8  # last plays looked at; of one against the one after it
USUAL, TRUST = np.array([0.3, 0.1, 0.2]), 0.5  # shares before anything is known, and the plays that they count for
AGAIN_MS = 2 * 3_600_000  # within which a track is heard again, and not once more
LEAST = 0.02  # no share is less, or more than all but so much


def follow(query: Query, candidates: Candidates) -> Candidates:
    """The candidates with `fused` brought as far as the surface's `momentum` says: 0 leaves it, 1 meets the shares of the last plays."""
    strength, total = query.surface.momentum, float(candidates.fused.sum())
    if strength <= 0.0 or total <= 0.0 or candidates.fused.min() < 0.0:  # an experiment may weigh a channel below zero
        return candidates
    fused = candidates.fused / total
    for having, share in zip(ways_of(query, candidates), shares_of(query.listener), strict=True):
        expected = min(max(float(fused[having].sum()), LEAST), 1.0 - LEAST)
        share = min(max(float(share), LEAST), 1.0 - LEAST)
        fused[having] *= (share / (1.0 - share) / (expected / (1.0 - expected))) ** strength
        fused /= fused.sum()
    return Candidates(candidates.rows, candidates.scores, fused)


def ways_of(query: Query, candidates: Candidates) -> NDArray[np.bool_]:
    """Whether each candidate is of the artist heard last, would be heard again, is new to the listener: bool[3, n]."""
    table, tracks, since_ms = query.replica.table, query.listener.tracks, query.at_ms - AGAIN_MS
    artists, keys = table.parts[candidates.rows, 1], table.keys
    artist = table.parts[query.heard[0], 1] if len(query.heard) else 0
    memories = [tracks.get(keys[row][2:]) for row in candidates.rows.tolist()]
    again = [memory is not None and memory.last_ms > since_ms for memory in memories]
    new = [memory is None for memory in memories]
    return np.array([(artists == artist) & (artist > 0), again, new], np.bool_)


def shares_of(listener: Listener) -> Doubles:
    """Of the last plays, the newest most: the share of the artist before, of tracks heard again, of new tracks; float64[3]."""
    window = [event for event in listener.history[-WINDOW:] if event.kind <= SKIP]
    left, last_ms, tracks = Counter(event.track_id for event in window), dict[str, int](), listener.tracks
    same = again = new = weight = 0.0
    before = None
    for event in window:
        track_id = event.track_id
        if event.kind == PLAY:
            same = FADES * same + _same_artist(before, event)
            again = FADES * again + (event.start_ms - last_ms.get(track_id, -AGAIN_MS) < AGAIN_MS)
            new = FADES * new + (track_id not in last_ms and tracks[track_id].count == left[track_id])
            weight, before = FADES * weight + 1.0, event
        last_ms[track_id] = event.at_ms
    trusted: Doubles = (np.array([same, again, new]) + TRUST * USUAL) / (weight + TRUST)
    return trusted


def _same_artist(before: Heard | None, event: Heard) -> bool:
    return before is not None and event.artist_id is not None and before.artist_id == event.artist_id
