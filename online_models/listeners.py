"""All listeners of some partitions: their rows as bytes, and those in use decoded, within a bound."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping
from typing import Protocol

from online_models.listener import Listener
from online_models.listener_rows import CHOICES, HEAD, PAGE, PAGE_EVENTS, head_of, page_key, user_of

SECTIONS = frozenset((HEAD, PAGE, CHOICES))


class Listeners:
    """Rows of listeners, decoded when asked for.

    events_max : events of decoded listeners held at once (about a kilobyte each); the least recently asked go first, their rows stay
    rows : holds the rows; without it a dict, which has no bound
    bounds : passed to each `Listener`

    >>> listeners = Listeners()
    >>> listeners.get("ann").events, len(listeners)  # asking keeps nobody
    (0, 0)
    """

    def __init__(
        self, *, events_max: int = 1_000_000, rows: MutableMapping[bytes, bytes] | None = None, **bounds: int
    ) -> None:
        self.rows: MutableMapping[bytes, bytes] = {} if rows is None else rows
        self.events_max, self._bounds = events_max, bounds
        self._decoded: OrderedDict[str, Listener] = OrderedDict()
        self._weights: dict[str, int] = {}
        self._weight = 0
        self._users = 0

    def __len__(self) -> int:
        """Listeners that have a row."""
        return self._users

    def users(self) -> list[str]:
        """Everybody who has a row."""
        return [user_of(key) for key in self.rows if key[:1] == HEAD]

    def get(self, user_id: str) -> Listener:
        """A listener, newest state; a stranger is a new one, and is kept only once rows of theirs arrive."""
        listener = self._decoded.get(user_id)
        if listener is None:
            listener = Listener.restore(user_id, self.rows.get, **self._bounds)
            if HEAD + user_id.encode() in self.rows:
                self._hold(listener)
        else:
            self._decoded.move_to_end(user_id)
        return listener

    def keep(self, listener: Listener, rows: Mapping[bytes, bytes | None]) -> None:
        """Take the rows that a listener's own learning changed."""
        for key, value in rows.items():
            self._put(key, value)
        self._hold(listener)

    def apply_row(self, key: bytes, value: bytes | None) -> None:
        """Take a changelog row from elsewhere; a decoded listener catches up. What is no listener's row is left out."""
        if key[:1] not in SECTIONS:
            return
        section, user_id = key[:1], user_of(key)
        listener = self._decoded.get(user_id)
        before = self.rows.get(key) if listener is not None and section == PAGE else None
        self._put(key, value)
        if listener is None:
            return
        if section == PAGE:
            if before is not None and before != value:  # dropped, or of somebody who was erased and came back
                self._let_go(user_id)
        elif value is None and section == HEAD:
            self._let_go(user_id)
        elif section == HEAD:
            listener.refresh(self.rows.get)
            self._hold(listener)
        elif section == CHOICES:
            listener.refresh_choices(value)

    def apply_rows(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """As `apply_row` of each; at a tenth of its cost while no listener is decoded, as in a restore."""
        if self._decoded:
            for key, value in rows:
                self.apply_row(key, value)
            return
        heads, others = dict[bytes, bytes](), dict[bytes, bytes]()
        for key, value in dict(rows).items():  # the last of each key
            section = key[:1]
            if section not in SECTIONS:
                continue
            if value is None:
                self._put(key, None)
            elif section == HEAD:
                heads[key] = value
            else:
                others[key] = value
        before = len(self.rows)
        self.rows.update(heads)
        self._users += len(self.rows) - before
        self.rows.update(others)

    def settle(self, user_id: str, pending: Callable[[], Collection[int]]) -> None:
        """Let a decoded listener go of whom an event was foreseen that came to nothing. pending : answers the marks of those that may still come"""
        listener = self._decoded.get(user_id)
        if (
            listener is not None
            and listener.ahead
            and not {each.mark for each in listener.foreseen()} <= set(pending())
        ):
            self._let_go(user_id)

    def erase(self, user_id: str) -> dict[bytes, None]:
        """Forget a person; answers the tombstones of all their rows."""
        user = user_id.encode()
        head = head_of(self.rows.get(HEAD + user))
        pages = range(head.base // PAGE_EVENTS, sum(head.counts) // PAGE_EVENTS + 1)
        keys = [HEAD + user, CHOICES + user, *(page_key(page, user) for page in pages)]
        gone: dict[bytes, None] = {key: None for key in keys if key in self.rows}
        for key in gone:
            self._put(key, None)
        self._let_go(user_id)
        return gone

    def _put(self, key: bytes, value: bytes | None) -> None:
        if key[:1] == HEAD:
            self._users += (value is not None) - (key in self.rows)
        if value is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = value

    def _hold(self, listener: Listener) -> None:
        user_id, weight = listener.user_id, len(listener.history) + 8
        self._weight += weight - self._weights.get(user_id, 0)
        self._weights[user_id] = weight
        self._decoded[user_id] = listener
        self._decoded.move_to_end(user_id)
        while self._weight > self.events_max and len(self._decoded) > 1:
            self._let_go(next(iter(self._decoded)))

    def _let_go(self, user_id: str) -> None:
        if self._decoded.pop(user_id, None) is not None:
            self._weight -= self._weights.pop(user_id)


class Shelves(Protocol):
    """Where the rows of several partitions are held."""

    def open(self, partition: int) -> MutableMapping[bytes, bytes]:
        """Empty rows for a partition."""

    def close(self, partition: int) -> None:
        """Let a partition's rows go."""


class Audience:
    """The listeners of several partitions, each partition's apart, so that one can be let go.

    events_max, bounds : of each partition's `Listeners`
    shelves : hold the rows; without them dicts, which have no bound

    >>> audience = Audience()
    >>> audience.get("ann").events
    0
    """

    def __init__(self, *, events_max: int = 250_000, shelves: Shelves | None = None, **bounds: int) -> None:
        self.events_max, self._shelves, self._bounds = events_max, shelves, bounds
        self.partitions: dict[int, Listeners] = {}
        self._strangers = Listeners(events_max=0, rows=None, **bounds)

    def __len__(self) -> int:
        """Listeners that have a row."""
        return sum(len(listeners) for listeners in self.partitions.values())

    def get(self, user_id: str) -> Listener:
        """A listener of any of the partitions; a stranger is a new one."""
        head, choices = HEAD + user_id.encode(), CHOICES + user_id.encode()
        for listeners in self.partitions.values():
            if head in listeners.rows or choices in listeners.rows:
                return listeners.get(user_id)
        return self._strangers.get(user_id)

    def apply_row(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Take a changelog row of a partition."""
        self._of(partition).apply_row(key, value)

    def apply_rows(self, partition: int, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take changelog rows of a partition, in their order."""
        self._of(partition).apply_rows(rows)

    def settle(self, user_id: str, pending: Callable[[], Collection[int]]) -> None:
        """As of `Listeners`, in each partition."""
        for listeners in self.partitions.values():
            listeners.settle(user_id, pending)

    def keep_only(self, partitions: Collection[int]) -> None:
        """Let all other partitions go."""
        for number in set(self.partitions) - set(partitions):
            del self.partitions[number]
            if self._shelves is not None:
                self._shelves.close(number)

    def _of(self, partition: int) -> Listeners:
        if partition not in self.partitions:
            rows = None if self._shelves is None else self._shelves.open(partition)
            self.partitions[partition] = Listeners(events_max=self.events_max, rows=rows, **self._bounds)
        return self.partitions[partition]
