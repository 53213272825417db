"""Discover weekly: what somebody has never heard, and will like."""

from serving.surfaces.surface import Surface

DISCOVER_WEEKLY = Surface(
    name="discover-weekly",
    channels={
        "companions": 200,
        "followers": 100,
        "two-tower": 300,
        "neighbours": 200,
        "long-term": 200,
        "taste": 100,
        "popular": 100,
        "fresh": 100,
    },
    channel_weights={
        "companions": 1.0,
        "followers": 1.0,
        "two-tower": 0.3,
        "neighbours": 0.0,
        "long-term": 0.3,
        "taste": 0.1,
        "popular": 0.1,
        "fresh": 0.02,
    },
    unordered_weights={"neighbours": 1.5, "long-term": 2.0, "taste": 0.2, "fresh": 0.02},
    weights={"next": 1.0, "complete": 0.2, "skip": 0.2, "like": 0.2},
    heard_within_ms=3650 * 86_400_000,
    diversity=0.1,
    spacing=5,
    familiar=0.0,
    explore_every=10,
)
