"""Radio: what goes with the seed tracks, or with what was heard last where there are none."""

from serving.surfaces.surface import Surface

RADIO = Surface(
    name="radio",
    channels={"seeds": 200, "two-tower": 100, "followers": 100, "taste": 100, "popular": 30, "fresh": 20},
    channel_weights={"seeds": 1.0, "two-tower": 0.2, "followers": 0.2, "taste": 0.2, "popular": 0.05, "fresh": 0.05},
    weights={"next": 0.8, "complete": 0.4, "skip": 0.4, "like": 0.2},
    heard_within_ms=3_600_000,
    diversity=0.2,
    spacing=3,
    explore_every=10,
)
