"""Next up: what somebody will want to hear now. Repeats are welcome, order matters more than variety."""

from serving.surfaces.surface import Surface

NEXT_UP = Surface(
    name="next-up",
    channels={
        "own-followers": 100,
        "two-tower": 100,
        "followers": 100,
        "same-artist": 50,
        "favourites": 50,
        "taste": 50,
        "popular": 50,
        "fresh": 20,
    },
    channel_weights={
        "own-followers": 1.0,
        "followers": 0.5,
        "same-artist": 0.1,
        "two-tower": 0.1,
        "favourites": 0.05,
        "taste": 0.05,
        "popular": 0.05,
        "fresh": 0.01,
    },
    weights={"next": 1.0, "complete": 0.1, "skip": 0.1, "like": 0.05},
    momentum=0.5,
    explore_every=20,
)
