"""The benchmark of answers at its small size, so that it cannot rot."""

import pytest

from segue.benchmarks.answers import PARTS, measure_answers
from serving.surfaces import SURFACES


def test_every_part_of_an_answer_is_measured_and_the_answers_are_the_same_again() -> None:
    once, again = (measure_answers(12, tracks=300, listeners=8, plays=12) for _ in range(2))

    spent = {name: value for name, value in once.items() if name.endswith("_us")}
    parts = sum(once[f"{part}_us"] for part in PARTS)
    surfaces = [once[f"{name.replace('-', '_')}_us"] for name in SURFACES]
    assert all(value > 0.0 for value in spent.values())
    assert once["request_us"] == pytest.approx(parts, rel=1e-9) == pytest.approx(sum(surfaces) / 4, rel=1e-9)
    assert once["answers_hash"] == again["answers_hash"]


def test_other_listeners_get_other_answers() -> None:
    some, others = (measure_answers(4, tracks=300, listeners=4, plays=plays) for plays in (4, 5))

    assert some["answers_hash"] != others["answers_hash"]
