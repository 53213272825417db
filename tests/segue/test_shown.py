"""What others wrote does nothing to a terminal; figures and rows are told as people read them."""

import pytest

from segue.cli.ask import _print
from segue.cli.rows import told
from segue.cli.shown import figure, moment, plain
from streams.messages import Playlist, Slot

HOSTILE = "\x1b[2J\u202e[bold]x[/nope]"


def test_control_and_direction_characters_are_replaced() -> None:
    assert plain("a\x1b[31mb\u202ec\x00d\u2066") == "a\ufffd[31mb\ufffdc\ufffdd\ufffd"
    assert plain("Motörhead – “Ace” 東京") == "Motörhead – “Ace” 東京"


def test_a_hostile_playlist_is_printed_as_text(capsys) -> None:  # type: ignore[no-untyped-def]
    slot = Slot("t1", 0, 1.0, title=HOSTILE, artist=HOSTILE, reason=HOSTILE, channels=[HOSTILE])
    answer = Playlist("r1", HOSTILE, HOSTILE, [slot], arms={HOSTILE: HOSTILE}, channels={HOSTILE: 1})

    _print(answer, explain=True)
    out = capsys.readouterr().out

    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "[/nope]" in out.replace("\n", "").replace(" ", "")


def test_what_there_was_nothing_to_take_from_is_a_dash() -> None:
    assert [figure(0.25, ".3f"), figure(float("nan"), ".3f")] == ["0.250", "–"]
    assert [told("country", None), told("liked_tracks", []), told("last_ms", 0), told("likes", 0)] == [
        "–",
        "–",
        "–",
        "0",
    ]


def test_a_moment_of_a_listener_is_told_as_one() -> None:
    assert told("last_ms", 1767261600000) == "2026-01-01 10:00:00 UTC"


@pytest.mark.parametrize(("at_ms", "text"), [(0, "1970-01-01 00:00:00"), (10**30, f"{10**30} ms")])
def test_a_moment_that_no_calendar_has_is_a_number(at_ms: int, text: str) -> None:
    assert text == moment(at_ms)
