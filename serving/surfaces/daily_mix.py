"""Daily mix: what somebody will hear to its end, which is mostly what they know and like, and some that is new to them."""

from serving.surfaces.surface import Surface

DAILY_MIX = Surface(
    name="daily-mix",
    channels={
        "favourites": 150,
        "own-followers": 50,
        "two-tower": 150,
        "followers": 100,
        "taste": 100,
        "popular": 30,
        "fresh": 20,
    },
    channel_weights={
        "favourites": 0.6,
        "own-followers": 0.3,
        "two-tower": 0.5,
        "followers": 0.4,
        "taste": 0.3,
        "popular": 0.1,
        "fresh": 0.05,
    },
    weights={"next": 0.05, "complete": 0.6, "skip": 0.4, "like": 0.3},
    heard_within_ms=3 * 3_600_000,
    diversity=0.1,
    spacing=3,
    explore_every=10,
)
