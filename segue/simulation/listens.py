"""What the listeners of a world do with playlists that nobody made for them: tracks drawn by how well known they are. A log to learn from, without a loop."""

from collections.abc import Iterator

import numpy as np

from online_models.track import Doubles
from segue.simulation.lives import Lives
from segue.simulation.world import SIZE, Visit, World
from streams.messages import ListeningEvent


class Turned(Lives):
    """From a moment on everybody likes what they did not like before, and the other way round."""

    def __init__(self, world: World, turned_ms: int) -> None:
        super().__init__(world)
        self.turned_ms = turned_ms

    def liking(self, visit: Visit) -> Doubles:
        liking = super().liking(visit)
        return np.where(np.isfinite(liking), -liking, -np.inf) if visit.at_ms >= self.turned_ms else liking


def listens(world: World, lives: Lives, seed: int) -> Iterator[ListeningEvent]:
    """The events of all visits, one visit after the other."""
    rng = np.random.default_rng([78, seed])
    for visit in world.visits:
        known = np.where(world.released_ms <= visit.at_ms, world.attraction, 0.0)
        playlist = rng.choice(len(known), SIZE, replace=False, p=known / known.sum()).tolist()
        yield from lives.live(visit, playlist, f"u{visit.listener}-{visit.number}").events
