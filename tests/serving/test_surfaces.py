"""Surfaces are data, and experiments may change them within bounds."""

from typing import get_args

import msgspec
import pytest

from online_models.ranker import OBJECTIVES
from serving.surfaces import SURFACES
from serving.surfaces.surface import Surface
from streams.messages import Surface as SurfaceName

PLAIN = Surface("plain", {"popular": 10}, {"popular": 0.5}, {"next": 1.0, "complete": 0.0, "skip": 0.0, "like": 0.0})


def test_there_is_a_surface_for_every_name_that_a_request_may_say() -> None:
    assert set(SURFACES) == set(get_args(SurfaceName))


@pytest.mark.parametrize("surface", SURFACES.values(), ids=lambda surface: surface.name)
def test_every_objective_has_a_weight_that_an_experiment_may_change(surface: Surface) -> None:
    changed = surface.changed_by({f"weights.{name}": 0.75 for name in OBJECTIVES})

    assert changed.weights == {"next": surface.weights["next"], **dict.fromkeys(OBJECTIVES, 0.75)}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"diversity": 0.3}, {"diversity": 0.3}),
        ({"diversity": 7.0}, {"diversity": 1.0}),
        ({"diversity": -1.0}, {"diversity": 0.0}),
        ({"familiar": 0.5}, {"familiar": 0.5}),
        ({"momentum": 7.0}, {"momentum": 1.0}),
        ({"spacing": 4.0}, {"spacing": 4}),
        ({"spacing": 1e300}, {"spacing": 1000}),
        ({"explore_every": -3.0}, {"explore_every": 0}),
        ({"weights.skip": 0.7}, {"weights": {"next": 1.0, "complete": 0.0, "skip": 0.7, "like": 0.0}}),
        ({"channel_weights.popular": 2.0}, {"channel_weights": {"popular": 2.0}}),
        ({"weights.next": 1e300}, {"weights": {"next": 1000.0, "complete": 0.0, "skip": 0.0, "like": 0.0}}),
        ({"channel_weights.popular": -1e300}, {"channel_weights": {"popular": -1000.0}}),
        ({"weights.unknown": 1.0, "channel_weights.unknown": 1.0, "unknown": 1.0, "": 1.0}, {}),
        ({"diversity": "much", "name": "other"}, {}),
    ],
    ids=str,
)
def test_a_setting_changes_what_it_names_within_bounds(
    settings: dict[str, float | str | bool], expected: dict[str, object]
) -> None:
    changed = PLAIN.changed_by(settings)

    for name in Surface.__struct_fields__:
        assert getattr(changed, name) == expected.get(name, getattr(PLAIN, name))


def test_the_surface_itself_stays_as_it_is() -> None:
    PLAIN.changed_by({"weights.skip": 0.7, "spacing": 9.0})

    assert (PLAIN.weights["skip"], PLAIN.spacing) == (0.0, 0)


def test_weights_of_channels_are_mixed_by_how_far_order_is_trusted() -> None:
    surface = msgspec.structs.replace(
        PLAIN, channel_weights={"popular": 1.0, "taste": 0.0}, unordered_weights={"taste": 2.0}
    )

    assert surface.trusting(1.0).channel_weights == {"popular": 1.0, "taste": 0.0}
    assert surface.trusting(0.25).channel_weights == {"popular": 0.25, "taste": 1.5}


def test_what_an_experiment_weighs_is_weighed_so_in_whatever_order() -> None:
    surface = msgspec.structs.replace(PLAIN, unordered_weights={"taste": 2.0}).changed_by(
        {"channel_weights.popular": 3.0}
    )

    assert surface.trusting(0.5).channel_weights == {"popular": 3.0}
