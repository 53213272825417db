"""Erasure on the pure core: whatever came before a tombstone, what follows it is as if the person had never been here."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from online_models.checks.models.listener import known_of
from online_models.listener_rows import CHOICES, HEAD, PAGE, user_of
from online_models.listeners import Audience, Listeners
from streams.messages import Profile
from streams.processor import LearnerProcessor
from streams.steps import Record
from streams.topics import LISTENERS, LISTENERS_CHANGELOG
from tests.builders import NOW_MS, event, learner, playlist, raw, record

USERS = ("ann", "bob")
SECTIONS = (HEAD, PAGE, CHOICES)
Row = tuple[bytes, bytes | None]
Move = tuple[str, str, int]  # what, who, how many events or which of them

moves = st.tuples(
    st.sampled_from(["hear", "hear", "hear", "like", "profile", "offer", "erase", "step", "restore"]),
    st.sampled_from(USERS),
    st.integers(1, 40),
)
histories = st.lists(moves, max_size=8)
search = settings(max_examples=25, deadline=None, derandomize=True)


def message_of(what: str, user_id: str, number: int) -> msgspec.Struct:
    match what:
        case "profile":
            return Profile(user_id=user_id, country="SE" if number % 2 else None)
        case "offer":
            return playlist(user_id, explored=[f"t{number % 3}"], request_id=f"r{number}")
        case _:
            return event(user_id, f"t{number % 3}", "like" if what == "like" else "play", at_ms=NOW_MS + number)


def small_learner() -> LearnerProcessor:
    """A learner whose histories drop pages soon, and whose decoded listeners are let go soon."""
    made = learner()
    made.listeners = Listeners(events_max=60, history_max=64, offers_max=3)
    return made


class Run:
    """Moves, cut into steps where they say so; `log` is the changelog."""

    def __init__(self) -> None:
        self.processor, self.log = small_learner(), list[Row]()
        self._waiting = list[Record]()

    def play(self, made: Iterable[Move]) -> "Run":
        for what, user_id, number in made:
            if what in ("step", "restore"):
                self.commit()
                if what == "restore":
                    self.restore(self.log)
            elif what == "erase":
                self._waiting.append(raw(LISTENERS.name, None, user_id.encode()))
            else:
                numbers = range(100 * number, 101 * number) if what == "hear" else [number]
                self._waiting += [record(message_of(what, user_id, each)) for each in numbers]
        self.commit()
        return self

    def commit(self) -> None:
        self.log += self.processor.step(self._waiting, NOW_MS).rows.items()
        self._waiting.clear()

    def restore(self, log: Iterable[Row]) -> None:
        self.processor = small_learner()
        self.processor.restore(LISTENERS_CHANGELOG.name, list(log))
        self.processor.step([], NOW_MS)

    def rows(self) -> dict[bytes, bytes]:
        return dict(self.processor.listeners.rows)


def compacted(log: list[Row], cut: int) -> list[Row]:
    """The log after its part before `cut` was cleaned, tombstones and all."""
    last = {key: place for place, (key, _) in enumerate(log[:cut])}
    return [row for place, row in enumerate(log) if place >= cut or (last[row[0]] == place and row[1] is not None)]


def audience(rows: Mapping[bytes, bytes | None] | None = None) -> Audience:
    """Listeners as a serving worker holds them, from rows."""
    made = Audience(events_max=60, history_max=64, offers_max=3)
    for key, value in (rows or {}).items():
        made.apply_row(0, key, value)
    return made


def known(listeners: Listeners | Audience) -> dict[str, Any]:
    return {user_id: known_of(listeners.get(user_id)) for user_id in USERS}


def without(made: Iterable[Move], user_id: str) -> list[Move]:
    return [move for move in made if move[1] != user_id or move[0] in ("step", "restore")]


@search
@given(before=histories, after=histories)
def test_after_a_tombstone_all_is_as_if_the_person_had_not_been_there(before: list[Move], after: list[Move]) -> None:
    erased = Run().play([*before, ("erase", "ann", 1), *after])
    never = Run().play([*without(before, "ann"), *after])

    assert never.rows() == erased.rows()
    assert known(never.processor.listeners) == known(erased.processor.listeners)


@search
@given(made=histories, cut=st.integers(0, 200))
def test_after_a_tombstone_the_changelog_restores_nothing_of_the_person(made: list[Move], cut: int) -> None:
    run = Run().play([*made, ("erase", "ann", 1)])
    for log in (run.log, compacted(run.log, cut), compacted(run.log, len(run.log))):
        run.restore(log)

        assert {user_of(key) for key in run.rows()} <= {"bob"}
    assert {user_of(key) for key, _ in compacted(run.log, len(run.log)) if key[:1] in SECTIONS} <= {"bob"}


@search
@given(made=histories, every=st.integers(1, 5))
@example(made=[("hear", "ann", 2), ("step", "ann", 1), ("erase", "ann", 1), ("hear", "ann", 3)], every=1)
@example(made=[("hear", "ann", 33), ("step", "ann", 1), ("erase", "ann", 1), ("hear", "ann", 34)], every=1)
def test_a_replica_holds_what_a_fresh_one_would_whenever_it_was_asked(made: list[Move], every: int) -> None:
    run = Run().play(made)
    living, fresh = audience(), audience(run.rows())
    for place, (key, value) in enumerate(run.log):
        living.apply_row(0, key, value)
        if place % every == 0:
            known(living)

    assert known(fresh) == known(living)


@search
@given(before=histories, after=histories, at=st.integers(0, 20))
def test_a_replica_that_was_away_while_the_log_was_compacted_catches_up(
    before: list[Move], after: list[Move], at: int
) -> None:
    run = Run().play(before)
    seen = len(run.log)
    run.play(after)
    living, fresh = audience(dict(run.log[:seen])), audience(run.rows())
    known(living)
    last = {key: place for place, (key, _) in enumerate(run.log)}
    missed = [row for place, row in enumerate(run.log) if place >= seen and last[row[0]] == place]
    for place, (key, value) in enumerate(missed):  # tombstones stay for a while: gone is only what was replaced
        living.apply_row(0, key, value)
        if place == at:
            known(living)

    assert known(fresh) == known(living)
