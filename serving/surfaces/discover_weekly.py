"""Discover weekly: what somebody has never heard, and will like."""

from serving.surfaces.surface import Surface

DISCOVER_WEEKLY = Surface(
    name="discover-weekly",
    channels={"two-tower": 300, "followers": 200, "taste": 200, "popular": 100, "fresh": 100},
    channel_weights={"two-tower": 0.6, "followers": 0.5, "taste": 0.4, "popular": 0.1, "fresh": 0.2},
    weights={"next": 0.5, "complete": 0.6, "skip": 0.4, "like": 0.6},
    heard_within_ms=3650 * 86_400_000,
    diversity=0.4,
    spacing=5,
    familiar=0.0,
    explore_every=5,
)
