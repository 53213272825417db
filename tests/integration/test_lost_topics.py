"""Topics that are cut, or deleted and made anew, beneath workers: what is gone is said and counted, and nothing is skipped in silence."""

import copy
import re
from pathlib import Path

import pytest

from segue.client import SegueClient
from streams.messages import ListeningEvent, decode
from streams.runtime.exits import REFUSED
from streams.runtime.settings import Settings
from streams.steps import WATERMARK
from streams.topics import LISTENERS_CHANGELOG, LISTENING_EVENTS, TRACK_DELTAS, TRACKS_CHANGELOG
from tests.integration.cases import Load, Team, check_counts, cut, delete_group, ends, learnt, make_anew
from tests.integration.ledger import Ledger, read_all, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(180)]
LOST = re.compile(r"retention removed up to (\d+) messages before they were read")


async def test_what_retention_took_before_it_was_read_is_counted_and_the_rest_is_learnt(
    settings: Settings, tmp_path: Path
) -> None:
    async with Team(settings, tmp_path) as team, SegueClient(settings, listen=False) as client:
        load = Load(client)
        team.start("keeper", "learner")
        await load.send(300)
        await learnt(settings, load.ledger)
        await team.stop("learner")
        read = await ends(settings, LISTENING_EVENTS)
        await load.send(300)
        gone = [40, 60]
        await cut(settings, LISTENING_EVENTS, [end + more for end, more in zip(read, gone, strict=True)])
        known, left = Ledger(), await _events(settings)
        for event in Load(client).events(300) + left:
            known.note(event)

        assert len(left) == 300 - sum(gone)

        team.start("learner")
        await learnt(settings, known)
        said = [int(number) for number in LOST.findall(team.log("learner"))]

    assert gone == sorted(said)
    await check_counts(settings, known)


@pytest.mark.parametrize("kind", ["learner", "keeper"])
async def test_changelog_deleted_at_rest(settings: Settings, tmp_path: Path, kind: str) -> None:
    """It is refused, the supervisor waits long; and what the refusal says is done: the group is deleted, what the inputs hold is learnt."""
    changelog = LISTENERS_CHANGELOG if kind == "learner" else TRACKS_CHANGELOG
    async with Team(settings, tmp_path) as team, SegueClient(settings, listen=False) as client:
        load = Load(client)
        team.start("keeper", "learner")
        await load.send(200)
        await learnt(settings, load.ledger)
        await team.stop(kind)
        await make_anew(settings, changelog)
        team.start(kind)
        await until("the supervisor has said so", lambda: bool(team.notes), 30.0)
        (note,) = team.notes
        await team.stop(kind)

        assert f"{kind} ended with {REFUSED}" in note
        assert "the changelog was deleted or cut" in note
        assert f"delete the consumer group {settings.prefix}segue-{kind}" in note
        assert note.endswith("starting it again in 60 s")
        assert {key for _, key, _ in await read_all(settings, changelog.name)} == {WATERMARK}

        await delete_group(settings, kind)
        team.start(kind)
        known = copy.deepcopy(load.ledger)
        await load.send(100)
        if kind == "learner":  # keepers add whatever they are sent: what is learnt again they count again
            load.ledger.by_track += known.by_track
        await learnt(settings, load.ledger)

    await check_counts(settings, load.ledger)


@pytest.mark.parametrize("kind", ["learner", "keeper"])
async def test_changelog_made_anew_under_its_worker(settings: Settings, tmp_path: Path, kind: str) -> None:
    topic = LISTENERS_CHANGELOG if kind == "learner" else TRACKS_CHANGELOG
    async with Team(settings, tmp_path) as team, SegueClient(settings, listen=False) as client:
        load = Load(client)
        team.start("keeper", "learner")
        await team.ready()
        await load.send(300)
        await learnt(settings, load.ledger)
        await make_anew(settings, topic)
        async with load.flowing(0.2):
            await until("the worker has ended", lambda: bool(_said_by(team, kind)), 40.0)

    assert f"{kind} ended with {REFUSED}" in _said_by(team, kind)[0]
    assert "deleted or cut under a running worker" in _said_by(team, kind)[0]


@pytest.mark.parametrize("kind", ["learner", "keeper"])
async def test_input_made_anew_under_its_worker(settings: Settings, tmp_path: Path, kind: str) -> None:
    topic = LISTENING_EVENTS if kind == "learner" else TRACK_DELTAS
    async with Team(settings, tmp_path) as team, SegueClient(settings, listen=False) as client:
        load = Load(client)
        team.start("keeper", "learner")
        await team.ready()
        for _ in range(8):  # deltas of their own
            await load.send(50)
            await learnt(settings, load.ledger)
        await make_anew(settings, topic)
        async with load.flowing(1.0):
            await until("it refuses", lambda: any(str(REFUSED) in note for note in _said_by(team, kind)), 40.0)

    if len(_said_by(team, kind)) > 1:  # the group may be told that a topic is gone before it is there again
        assert f"{settings.topic(topic)}: not there any more" in _said_by(team, kind)[0]
    assert f"{kind} ended with {REFUSED}" in _said_by(team, kind)[-1]
    assert "and its messages before" in _said_by(team, kind)[-1]


def _said_by(team: Team, kind: str) -> list[str]:
    return [note for note in team.notes if note.startswith(kind)]


async def _events(settings: Settings) -> list[ListeningEvent]:
    return [decode(ListeningEvent, value) for _, _, value in await read_all(settings, LISTENING_EVENTS.name)]
