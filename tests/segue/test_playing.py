"""A log is played once, and whoever was heard last is asked for no longer than there is something to come."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

import segue.playing
from segue.errors import InputError
from segue.playing import SLICE, Played, Player
from segue.simulation.traffic import Figures
from streams.messages import ListeningEvent, Playlist, PlaylistRequest
from tests.builders import NOW_MS

LOG = Path("log.jsonl")


def events(count: int) -> list[ListeningEvent]:
    return [
        ListeningEvent(event_id=f"e{n}", at_ms=NOW_MS + n, user_id="ann", track_id=f"t{n % 7}", kind="play")
        for n in range(count)
    ]


class FakeClient:
    """Keeps what is produced; every list reflects `seen` events; breaks at the flush of slice `breaks_at`."""

    def __init__(self, *, seen: int = 0, breaks_at: int = 0) -> None:
        self.seen, self.breaks_at = seen, breaks_at
        self.produced: list[str] = []
        self.flushes = 0

    async def produce(self, event: ListeningEvent) -> None:
        self.produced.append(event.event_id)

    async def flush(self) -> None:
        self.flushes += 1
        if self.flushes == self.breaks_at:
            raise ConnectionError("gone")

    async def playlist(self, request: PlaylistRequest) -> Playlist:
        await asyncio.sleep(0)
        return Playlist(request_id=request.request_id, user_id=request.user_id, seen_events=self.seen)


def player(client: FakeClient, figures: Figures | None = None, learnt: int = 10**9) -> Player:
    fake: Any = client
    return Player(fake, figures or Figures(), lambda: learnt)


async def test_a_log_that_broke_off_goes_on_behind_what_was_acknowledged(tmp_path: Path) -> None:
    log, file = events(2 * SLICE + 50), tmp_path / "played.json"
    broken, rest = FakeClient(breaks_at=2), FakeClient()
    with pytest.raises(ConnectionError):
        await player(broken).play(LOG, log, Played(file))

    assert Played(file).of(LOG, log) == SLICE
    assert await player(rest).play(LOG, log, Played(file)) == SLICE + 50
    assert rest.produced[0] == f"e{SLICE}"
    assert await player(FakeClient()).play(LOG, log, Played(file)) == 0


async def test_what_others_counted_in_the_figures_does_not_move_the_mark(tmp_path: Path) -> None:
    log, file, figures = events(50), tmp_path / "played.json", Figures(events=1000)

    assert await player(FakeClient(), figures).play(LOG, log, Played(file)) == 50
    assert Played(file).of(LOG, log) == 50
    assert figures.events == 1050


async def test_a_log_that_is_another_now_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "played.json"
    await player(FakeClient()).play(LOG, events(50), Played(file))
    with pytest.raises(InputError, match="has changed since 50 events"):
        Played(file).of(LOG, events(49))


@pytest.mark.parametrize(("seen", "freshnesses"), [(50, 1), (49, 0)], ids=["all", "one-was-refused"])
async def test_asking_ends_when_all_is_learnt_and_counts_as_freshness_only_what_is_reflected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: int, freshnesses: int
) -> None:
    monkeypatch.setattr(segue.playing, "SETTLED_S", 0.0)
    monkeypatch.setattr(segue.playing, "ASK_EVERY_S", 0.0)
    figures, log = Figures(), events(50)
    playing = player(FakeClient(seen=seen), figures, learnt=50)
    await playing.play(LOG, log, Played(tmp_path / "played.json"))
    await asyncio.wait_for(playing._ask(log[-1], 50), 5.0)

    assert (len(figures.freshness_ms), figures.playlists) == (freshnesses, 1)
