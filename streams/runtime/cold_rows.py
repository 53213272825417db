"""Listeners' rows within a bound of memory: those that were used longest ago lie in a temporary file.

The file is a cache of the changelog, not a second truth: it has no name, nothing of it survives the process, and a fresh process reads
the changelog. So it is written without a journal and never synced. A row that is removed is overwritten in it at once.
"""

import os
import sqlite3
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager

ROW_BYTES = 200  # what a row costs beside the bytes of key and value: two objects, a place in a table, its neighbours
MOVED_BYTES = 1 << 20  # moved out at once: about a thousand heads, 10 ms
FILE_CACHE_KIB = 16_384  # of a partition's file, held by sqlite once there is one
_FILTER_BITS = 1 << 24  # keys that may be in the file: 2 MiB of a partition's memory, once there is one
_SETTINGS = ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "secure_delete=ON")
_TAKE = "DELETE FROM rows WHERE hash = ? AND key = ? RETURNING value"


class ColdRowsError(OSError):
    """The temporary file cannot be written or read; the text says what to do."""


class RowSpace:
    """Memory for the rows of one worker process, shared by its partitions: the partition that has most gives first.

    bytes_max : of all rows held in memory, keys, values and what they cost beside them

    >>> space = RowSpace(1 << 20)
    >>> rows = space.open(0)
    >>> rows[b"key"] = b"value"
    >>> rows.get(b"key"), len(rows), space.bytes
    (b'value', 1, 208)
    >>> space.close(0)
    >>> space.bytes
    0
    """

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max, self.bytes = bytes_max, 0
        self._open: dict[int, ColdRows] = {}

    def open(self, partition: int) -> "ColdRows":
        """New rows for a partition, in place of those that it had."""
        self.close(partition)
        self._open[partition] = ColdRows(self)
        return self._open[partition]

    def close(self, partition: int) -> None:
        """Let a partition's rows go, with their file."""
        rows = self._open.pop(partition, None)
        if rows is not None:
            rows.close()

    def make_room(self) -> None:
        """Move rows out until the rest is within the bound."""
        while self.bytes > self.bytes_max:
            most = max(self._open.values(), key=lambda rows: rows.bytes)
            most.move_out(MOVED_BYTES)


class ColdRows(MutableMapping[bytes, bytes]):
    """Rows by key; each is in memory or in the file, never in both. Iteration gives those in memory first, the coldest of them first.

    Raises
    ------
    ColdRowsError
        where the file cannot be written or read
    """

    def __init__(self, space: RowSpace) -> None:
        self.bytes, self.cold = 0, 0  # bytes in memory; rows in the file
        self._space = space
        self._warm: OrderedDict[bytes, bytes] = OrderedDict()
        self._file: sqlite3.Connection | None = None
        self._filter = bytearray()

    def get(self, key: bytes, default: bytes | None = None) -> bytes | None:  # type: ignore[override]
        """A row, which is warm from now on."""
        value = self._warm.get(key)
        if value is not None:
            self._warm.move_to_end(key)
            return value
        if self._file is None or not self._maybe_cold(key):
            return default
        value = self._taken(key)
        if value is None:
            return default
        self._warm[key] = value
        self._grow(ROW_BYTES + len(key) + len(value))
        return value

    def __getitem__(self, key: bytes) -> bytes:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        before = self._warm.get(key)
        if before is None:
            if self._file is not None and self._maybe_cold(key):
                self._taken(key)
            grown = ROW_BYTES + len(key) + len(value)
        else:
            self._warm.move_to_end(key)
            grown = len(value) - len(before)
        self._warm[key] = value
        self.bytes += grown
        space = self._space
        space.bytes += grown
        if space.bytes > space.bytes_max:
            space.make_room()

    def update(self, rows: Mapping[bytes, bytes]) -> None:  # type: ignore[override]
        """Put many rows in; at a fifth of the cost of one by one where they are new."""
        warm = self._warm
        if not warm.keys().isdisjoint(rows) or len(rows) * ROW_BYTES > self._space.bytes_max:
            for key, value in rows.items():
                self[key] = value
            return
        if self._file is not None:
            for key in filter(self._maybe_cold, rows):
                self._taken(key)
        warm.update(rows)
        self._grow(len(rows) * ROW_BYTES + sum(map(len, rows)) + sum(map(len, rows.values())))

    def __delitem__(self, key: bytes) -> None:
        value = self._warm.pop(key, None)
        if value is not None:
            self._grow(-ROW_BYTES - len(key) - len(value))
        elif self._file is None or not self._maybe_cold(key) or self._taken(key) is None:
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        if key in self._warm:
            return True
        return self._file is not None and isinstance(key, bytes) and self._maybe_cold(key) and self._is_cold(key)

    def __iter__(self) -> Iterator[bytes]:
        yield from list(self._warm)
        if self._file is not None:
            with _said():
                yield from (key for (key,) in self._file.execute("SELECT key FROM rows").fetchall())

    def __len__(self) -> int:
        return len(self._warm) + self.cold

    def move_out(self, least_bytes: int) -> None:
        """Move the coldest rows to the file: so many bytes, or all."""
        moved, rows, left = list[tuple[int, bytes, bytes]](), self._warm, least_bytes
        while rows and left > 0:
            key, value = rows.popitem(last=False)
            left -= ROW_BYTES + len(key) + len(value)
            moved.append((hash(key), key, value))
        if self._file is None:
            self._make_file()
        for number, _, _ in moved:
            self._filter[(number & _FILTER_BITS - 1) >> 3] |= 1 << (number & 7)
        assert self._file is not None, "made above"
        moved.sort()
        with _said():
            self._file.execute("BEGIN")
            self._file.executemany("INSERT INTO rows VALUES (?, ?, ?)", moved)
            self._file.execute("COMMIT")
        self.cold += len(moved)
        self._grow(left - least_bytes)

    def close(self) -> None:
        """Forget all rows; the file goes with them."""
        self._warm.clear()
        self._grow(-self.bytes)
        self.cold = 0
        if self._file is not None:
            self._file.close()
            self._file, self._filter = None, bytearray()

    def _grow(self, by: int) -> None:
        self.bytes += by
        space = self._space
        space.bytes += by
        if space.bytes > space.bytes_max:
            space.make_room()

    def _maybe_cold(self, key: bytes) -> bool:
        """Whether the file may hold a key: one that it holds is never denied."""
        number = hash(key)
        return bool(self._filter[(number & _FILTER_BITS - 1) >> 3] & 1 << (number & 7))

    def _is_cold(self, key: bytes) -> bool:
        assert self._file is not None, "asked only where there is a file"
        with _said():
            found = self._file.execute("SELECT 1 FROM rows WHERE hash = ? AND key = ?", (hash(key), key)).fetchone()
        return found is not None

    def _taken(self, key: bytes) -> bytes | None:
        """A row of the file, if it is there, which is overwritten there."""
        assert self._file is not None, "asked only where there is a file"
        with _said():
            found = self._file.execute(_TAKE, (hash(key), key)).fetchall()  # all: else it is not done
        if not found:
            return None
        self.cold -= 1
        return bytes(found[0][0])

    def _make_file(self) -> None:
        with _said():
            number, path = tempfile.mkstemp(prefix="segue-rows-")
            os.close(number)
            self._file = sqlite3.connect(path, isolation_level=None)
            for setting in (*_SETTINGS, f"cache_size=-{FILE_CACHE_KIB}"):
                self._file.execute(f"PRAGMA {setting}").fetchall()
            # rows are appended and a small index is sought: by key alone, each would be written somewhere else
            self._file.execute("CREATE TABLE rows (hash INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL)")
            self._file.execute("CREATE INDEX places ON rows (hash)")
            os.unlink(path)  # whatever ends the process, the system removes it
        self._filter = bytearray(_FILTER_BITS >> 3)


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise ColdRowsError(
            f"listeners' rows that were moved out of memory: their temporary file in {tempfile.gettempdir()} cannot be used: {error}. Make room "
            "there, let TMPDIR name a folder that has it, or let SEGUE_LISTENER_ROWS_MB be greater"
        ) from error
