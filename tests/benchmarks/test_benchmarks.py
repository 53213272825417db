"""The benchmarks at their small size, so that they cannot rot; what they measure is reported, never required."""

import math

import msgspec
import pytest

from segue.benchmarks.freshness import measure_freshness
from segue.benchmarks.load import make_events
from segue.benchmarks.restoring import measure_restore
from segue.benchmarks.throughput import measure_throughput
from segue.simulation.catalogue import make_catalogue
from streams.runtime.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


async def test_throughput_of_all_three_is_reported(settings: Settings) -> None:
    figures = await measure_throughput(2000, settings, tracks=200)

    assert {"faust_table_events_per_s", "engine_events_per_s", "learner_events_per_s"} <= figures.keys()
    assert all(value > 0.0 for value in figures.values())


async def test_freshness_and_its_parts_are_reported(settings: Settings) -> None:
    figures = await measure_freshness(3.0, settings, events_per_s=50.0, requests_per_s=5.0, tracks=200, new_tracks=1)

    assert {
        "p50_ms",
        "p99_ms",
        "learner_p50_ms",
        "follower_p50_ms",
        "answer_p50_ms",
        "new_track_p99_ms",
    } <= figures.keys()
    assert all(math.isfinite(value) for value in figures.values())
    assert figures["probes"] >= 5


async def test_a_restore_is_reported_and_rows_without_room_are_moved_out(settings: Settings) -> None:
    seen = list[int]()
    small = msgspec.structs.replace(settings, listener_rows_mb=1)
    figures = await measure_restore(4000, seen.append, small)  # their rows take about five

    assert {"restore_s", "rows_per_s", "learns_again_s", "learner_rss_mb", "learner_cpu_s"} <= figures.keys()
    assert figures["rows"] > figures["listeners"] == seen[-1] == 4000
    assert figures["restore_s"] <= figures["learns_again_s"] + 1.0


def test_load_is_the_same_for_the_same_seed() -> None:
    catalogue = make_catalogue(1, tracks=50, artists=5)

    assert make_events(catalogue, 100, seed=4) == make_events(catalogue, 100, seed=4)
    assert make_events(catalogue, 100, seed=4) != make_events(catalogue, 100, seed=5)
