"""All listeners of a partition: rows, what is decoded, erasure."""

from online_models.checks.made_up import listen
from online_models.checks.models.listener import known_of
from online_models.listener_rows import CHOICES, HEAD, LIKE, Heard, page_key
from online_models.listeners import Listeners


def play(listeners: Listeners, user_id: str, *numbers: int) -> dict[bytes, bytes | None]:
    listener = listeners.get(user_id)
    for n in numbers:
        listener.learn_one(listen(n))
    rows = listener.changed_rows()
    listeners.keep(listener, rows)
    return rows


def test_asking_for_a_stranger_keeps_nobody() -> None:
    listeners = Listeners()
    for n in range(1000):
        listeners.get(f"user-{n}")

    assert (len(listeners), listeners.rows, listeners.users()) == (0, {}, [])


def test_least_recently_asked_are_let_go_and_read_again() -> None:
    listeners = Listeners(events_max=60)
    for n in range(20):
        play(listeners, f"user-{n}", *range(n, n + 5))
    first = known_of(listeners.get("user-0"))
    unbounded = Listeners()
    play(unbounded, "user-0", *range(5))

    assert len(listeners._decoded) < 6
    assert known_of(unbounded.get("user-0")) == first


def test_one_listener_past_the_bound_is_held_all_the_same() -> None:
    listeners = Listeners(events_max=10)
    play(listeners, "ann", *range(50))

    assert listeners.get("ann") is listeners.get("ann")


def test_erasing_answers_tombstones_of_every_row() -> None:
    listeners = Listeners(history_max=64)
    written: dict[bytes, bytes | None] = {}
    for n in range(120):
        written.update(play(listeners, "ann", n))
    play(listeners, "bob", 0)
    standing = {key for key, value in written.items() if value is not None}
    gone = listeners.erase("ann")

    assert standing == set(gone)
    assert {None} == set(gone.values())
    assert {HEAD + b"ann", CHOICES + b"ann", page_key(2, b"ann")} <= set(gone)
    assert listeners.users() == ["bob"]


def test_erased_listener_starts_anew() -> None:
    listeners = Listeners()
    play(listeners, "ann", *range(40))
    listeners.erase("ann")

    assert listeners.get("ann").events == 0
    assert listeners.get("ann").liked == {}


def test_erasing_a_stranger_writes_nothing() -> None:
    assert Listeners().erase("nobody") == {}


def test_follower_forgets_whom_the_tombstones_erase() -> None:
    listeners, follower = Listeners(), Listeners()
    for key, value in play(listeners, "ann", *range(70)).items():
        follower.apply_row(key, value)
    follower.get("ann")
    for key, value in listeners.erase("ann").items():
        follower.apply_row(key, value)

    assert (follower.get("ann").events, follower.rows, len(follower)) == (0, {}, 0)


def test_follower_in_use_catches_up_with_every_row() -> None:
    listeners, follower = Listeners(history_max=64), Listeners(history_max=64)
    for n in range(150):
        rows = play(listeners, "ann", n)
        for key in sorted(rows, key=lambda key: key[:1] == HEAD):  # the head last, as in a transaction
            follower.apply_row(key, rows[key])

        assert known_of(listeners.get("ann")) == known_of(follower.get("ann"))


def test_bounds_reach_every_listener() -> None:
    listeners = Listeners(likes_max=2)
    listener = listeners.get("ann")
    for n in range(5):
        listener.learn_one(Heard(f"t{n}", None, n, LIKE, 0, 100, n))

    assert list(listener.liked) == ["t3", "t4"]
