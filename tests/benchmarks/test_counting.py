"""How events are counted where a stock agent stalls or loses them."""

import itertools

import pytest

from segue.benchmarks import counting, throughput
from segue.benchmarks.counting import measure
from segue.errors import SituationError
from streams.runtime.settings import Settings


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "FIRST_S", 0.05)
    monkeypatch.setattr(counting, "SECONDS_MAX", 0.05)
    monkeypatch.setattr(counting, "POLL_S", 0.001)


async def test_nothing_that_comes_is_no_rate() -> None:
    assert await measure(lambda: 0, 100) == 0.0


async def test_what_comes_before_it_stalls_is_the_rate() -> None:
    seen = itertools.chain([0, 10, 20, 30], itertools.repeat(40))

    assert await measure(lambda: next(seen), 100) > 0.0


def test_a_stock_agent_that_counts_nothing_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {"faust": iter([0.0, 0.0, 7.0]), "engine": iter([0.0, 9.0])}
    monkeypatch.setattr(throughput, "_measure_once", lambda name, *_: next(rates[name]))

    assert throughput._measure("faust", Settings(bootstrap="127.0.0.1:1"), 100) == 7.0
    with pytest.raises(SituationError, match="the engine benchmark counted none of 100 events"):
        throughput._measure("engine", Settings(bootstrap="127.0.0.1:1"), 100)
