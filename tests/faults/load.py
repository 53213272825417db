"""The load of a trial: events as fast as is wanted and the learners keep up, requests beside them, all of it in the ledger."""

import asyncio
import random
import time
from collections import Counter

from segue.client import SegueClient, request_for
from streams.messages import encode
from streams.topics import LISTENING_EVENTS, PLAYLIST_REQUESTS
from tests.faults.watch import Watch
from tests.integration.ledger import Ledger, event_of

REPEATED_EVERY, BROKEN_EVERY = 25, 40  # an event that is sent twice; a message that is none
HANDFUL = 50


class Load:
    """Sends while it is not held.

    per_s : events a second at most; lag_max : sent and not yet learnt, at most
    requests_per_s : of playlists, by the same listeners
    """

    def __init__(
        self,
        client: SegueClient,
        watch: Watch,
        *,
        seed: int,
        per_s: float,
        listeners: int = 500,
        tracks: int = 2000,
        lag_max: int = 20_000,
        requests_per_s: float = 10.0,
    ) -> None:
        self.client, self.watch, self.ledger = client, watch, Ledger()
        self.per_s, self.requests_per_s, self.lag_max = per_s, requests_per_s, lag_max
        self.listeners, self.tracks = listeners, tracks
        self.requested: set[str] = set()
        self._numbers = 0
        self._random = random.Random(seed)
        self._flowing, self._resting = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def sent(self) -> int:
        """Messages that a learner must take: learn, know again, or refuse."""
        return self.wanted.total()

    @property
    def wanted(self) -> Counter[str]:
        """The same by what is to become of them."""
        ledger = self.ledger
        return Counter(learnt=ledger.events, repeated=ledger.repeated, refused=ledger.refused)

    def start(self) -> None:
        """Begin to send."""
        self._flowing.set()
        self._tasks = [asyncio.create_task(self._send_events()), asyncio.create_task(self._send_requests())]

    async def hold(self) -> None:
        """Stop sending, and wait until the broker has what was sent; what has ended the sending is raised."""
        self._flowing.clear()
        resting = asyncio.ensure_future(self._resting.wait())
        await asyncio.wait([resting, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        if not resting.done():
            resting.cancel()
            for ended in self._tasks:
                if ended.done():
                    ended.result()
        await self.client.flush()

    def go_on(self) -> None:
        """Send again."""
        self._flowing.set()

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _rest(self) -> None:
        if not self._flowing.is_set():
            self._resting.set()
            await self._flowing.wait()
            self._resting.clear()

    async def _send_events(self) -> None:
        while True:
            await self._rest()
            began = time.monotonic()
            for _ in range(HANDFUL):
                await self._send_one()
            while self.sent - self.watch.taken > self.lag_max and self._flowing.is_set():
                await asyncio.sleep(0.02)
            await asyncio.sleep(max(0.0, began + HANDFUL / self.per_s - time.monotonic()))

    async def _send_requests(self) -> None:
        while True:
            if self._flowing.is_set():
                request = request_for(f"u{self._random.randrange(self.listeners)}")
                self.requested.add(request.request_id)
                await self.client.send(PLAYLIST_REQUESTS.name, request.user_id.encode(), encode(request))
            await asyncio.sleep(1.0 / self.requests_per_s)

    async def _send_one(self) -> None:
        self._numbers += 1
        number, ledger = self._numbers, self.ledger
        if number % BROKEN_EVERY == 0:
            user = f"u{self._random.randrange(self.listeners)}"
            await self.client.send(LISTENING_EVENTS.name, user.encode(), b'{"event_id": %d' % number)
            ledger.refused += 1
            return
        event = event_of(self._random, number, listeners=self.listeners, tracks=self.tracks)
        ledger.note(event)
        repeated = number % REPEATED_EVERY == 0
        ledger.repeated += repeated
        for _ in range(1 + repeated):
            await self.client.send(LISTENING_EVENTS.name, event.user_id.encode(), encode(event))
