"""One listener, and all listeners of a partition, which keep the rows."""

from collections.abc import Iterator

import numpy as np

from online_models.checks.checkable import Bounded, Checkable, Pattern
from online_models.checks.made_up import AT_MS, TIMES_MS, catalogue, hostile_listens, listen, rows_of
from online_models.features import FEATURES, features_of
from online_models.listener import Listener
from online_models.listener_rows import LIKE, PLAY, SKIP, Heard, Profile
from online_models.listeners import Listeners
from online_models.recollection import Memory, Recollection
from online_models.tag_effects import TagEffects
from online_models.track import NO_ROWS, Doubles

_TABLE = catalogue()
_LATER_MS = AT_MS + 30 * 86_400_000


def known_of(listener: Listener) -> dict[str, object]:
    """Everything that is known of a listener, by name, to compare two with each other."""

    def plain(value: object) -> object:
        if isinstance(value, Memory):
            return [plain(getattr(value, name)) for name in Memory.__struct_fields__]
        if isinstance(value, TagEffects):
            return value.of
        if isinstance(value, dict):
            return [(key, plain(each)) for key, each in value.items()]
        return value

    names = (*Recollection.__slots__, *Listener.__slots__)
    return {name: plain(getattr(listener, name)) for name in names if not name.startswith("_")}


def _learn(listeners: Listeners, user_id: str, n: int) -> None:
    listener = listeners.get(user_id)
    listener.learn_one(listen(n))
    if n % 4 == 0:
        listener.offer(f"t{n}", f"request-{n}")
    if n % 9 == 0:
        listener.introduce(Profile("NZ", favourite_tags=["folk"]))
    listeners.keep(listener, listener.changed_rows())


def _ask(listeners: Listeners, users: tuple[str, ...]) -> Doubles:
    answers = []
    for user_id in users:
        listener = listeners.get(user_id)
        answers.append(features_of(listener, _TABLE, rows_of(_TABLE), _LATER_MS).ravel())
        answers.append(np.array([*listener.counts, len(listener.liked), len(listener.offered)], np.float64))
    return np.concatenate(answers)


def _restore(listeners: Listeners) -> Listeners:
    again = Listeners()
    for key, value in reversed(list(listeners.rows.items())):
        again.apply_row(key, value)
    return again


def _state(listeners: Listeners) -> bytes:
    known = [known_of(listeners.get(user_id)) for user_id in listeners.users()]
    return repr((sorted(listeners.rows.items()), known, len(listeners))).encode()


def _skip(listeners: Listeners) -> None:
    listener = listeners.get("ann")
    n = listener.events
    listener.learn_one(Heard("t1", "a1", _LATER_MS - 1000 + n, SKIP, 1000, 1, 10**6 + n))
    listeners.keep(listener, listener.changed_rows())


def _track_rate(listeners: Listeners) -> float:
    x = features_of(listeners.get("ann"), _TABLE, rows_of(_TABLE)[1:2], _LATER_MS)
    return float(x[0, FEATURES.index("listener_track_rate")])


def _hostile(listeners: Listeners) -> Iterator[Doubles]:
    for event in hostile_listens():
        listener = listeners.get("ann")
        listener.learn_one(event)
        listeners.keep(listener, listener.changed_rows())
        for at_ms in TIMES_MS:
            for hour in (None, 0, 23):
                yield features_of(listener, _TABLE, rows_of(_TABLE)[:3], at_ms, hour)


def _empty(listeners: Listeners) -> Iterator[Doubles]:
    yield features_of(listeners.get("ann"), _TABLE, NO_ROWS, _LATER_MS)


def _crowd(listeners: Listeners, n: int) -> None:
    listener = listeners.get("ann")
    listener.learn_one(Heard(f"t{n}", f"a{n % 7}", AT_MS + 60_000 * n, LIKE if n % 3 == 0 else PLAY, 50_000, 99, n))
    listener.offer(f"t{n}", f"request-{n}")
    listeners.keep(listener, listener.changed_rows())


def _sizes(listeners: Listeners) -> dict[str, tuple[int, int]]:
    listener = listeners.get("ann")
    return {
        "history_max": (len(listener.history), 64),
        "marks_max": (len(listener.marks), 16),
        "likes_max": (len(listener.liked), 8),
        "offers_max": (len(listener.offered), 4),
        "tracks of the history": (len(listener.tracks), 64),
    }


LISTENER: Checkable[Listeners] = Checkable(
    name="listener",
    make=lambda seed: Listeners(),
    teach=lambda listeners, n: _learn(listeners, "ann", n),
    ask=lambda listeners: _ask(listeners, ("ann",)),
    state=_state,
    restore=_restore,
    pattern=Pattern(teach=_skip, predict=_track_rate),
    bounded=Bounded(
        make=lambda: Listeners(history_max=64, marks_max=16, likes_max=8, offers_max=4),
        teach=_crowd,
        lessons=300,
        sizes=_sizes,
    ),
    hostile=_hostile,
    empty=_empty,
)

LISTENERS: Checkable[Listeners] = Checkable(
    name="listeners",
    make=lambda seed: Listeners(events_max=30),  # fewer than are taught: the rows are read again and again
    teach=lambda listeners, n: _learn(listeners, f"user-{n % 5}", n),
    ask=lambda listeners: _ask(listeners, tuple(f"user-{n}" for n in range(7))),
    state=_state,
    restore=_restore,
    bounded=Bounded(
        make=lambda: Listeners(events_max=100),
        teach=lambda listeners, n: _learn(listeners, f"user-{n % 40}", n),
        lessons=200,
        sizes=lambda listeners: {"events_max": (listeners._weight, 100)},
    ),
)
