"""The examples of a log: each with its own moment and listener, whatever else the log holds."""

import pytest

from segue.errors import InputError
from segue.evaluation.examples import STEP, Examples, examples_of
from streams.messages import ListeningEvent, Track

AT_MS, MINUTE_MS = 1_700_000_000_000, 60_000


def event(n: int, kind: str = "play", *, event_id: str | None = None, at_ms: int | None = None) -> ListeningEvent:
    at_ms = AT_MS + n * MINUTE_MS if at_ms is None else at_ms
    return ListeningEvent(event_id or f"e{n}", at_ms, f"u{n % 3}", f"t{n % 5}", kind)  # type: ignore[arg-type]


def of(*events: ListeningEvent) -> Examples:
    return examples_of(events, [Track("t1", "One")], 1, lambda _: None)


def test_events_that_teach_no_ranker_shift_nothing() -> None:
    kinds = ["unlike", "block"] * STEP + ["skip", "unlike", "play", "like", "block", "save", "share", "skip"]
    events = [event(n, kind) for n, kind in enumerate(kinds)]
    expected = [each for each in events if each.kind not in ("unlike", "block")]

    examples = of(*events)

    assert examples.at_ms.tolist() == [each.at_ms for each in expected]
    assert examples.users == [each.user_id for each in expected]
    assert examples.plays.tolist() == [each.kind in ("play", "skip") for each in expected]
    assert len(examples) == len(examples.predicted) == len(expected)


@pytest.mark.parametrize(
    "dropped",
    [
        pytest.param(event(3, event_id="e0"), id="repeated"),
        pytest.param(event(3, at_ms=AT_MS + 500 * MINUTE_MS), id="refused, from ahead of the clock"),
    ],
)
def test_a_log_with_an_event_that_is_dropped_is_refused_with_what_to_do(dropped: ListeningEvent) -> None:
    with pytest.raises(InputError, match=r"3 plays, .*of which 2 were learnt, expected all.*event_id.*at_ms"):
        of(event(0), dropped, event(4))


def test_a_log_without_examples_is_refused() -> None:
    with pytest.raises(InputError, match=r"0 plays, .*one at least"):
        of(event(0, "block"))
