"""Listeners' rows within a bound of memory: those that were used longest ago lie in a temporary file.

The file is a cache of the changelog, not a second truth: it has no name, nothing of it survives the process, and a fresh process reads
the changelog. So it is written without a journal and never synced.
"""

import os
import sqlite3
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

ROW_BYTES = 250  # what a row costs beside the bytes of key and value: two objects, a place in a table, its neighbours
MOVED_BYTES = 1 << 20  # moved out at once: about a thousand heads, 10 ms
FILE_CACHE_KIB = 16_384  # of a partition's file, held by sqlite once there is one
_FILTER_BITS = 1 << 24  # keys that may be in the file: 2 MiB of a partition's memory, once there is one


class ColdRowsError(OSError):
    """The temporary file cannot be written or read; the text says what to do."""


class RowSpace:
    """Memory for the rows of one worker process, shared by its partitions: the partition that has most gives first.

    bytes_max : of all rows held in memory, keys, values and what they cost beside them

    >>> space = RowSpace(1 << 20)
    >>> rows = space.open(0)
    >>> rows[b"key"] = b"value"
    >>> rows.get(b"key"), len(rows), space.bytes
    (b'value', 1, 258)
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
        value = self._read(key)
        if value is None:
            return default
        self._remove(key)
        self[key] = value
        return value

    def __getitem__(self, key: bytes) -> bytes:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        before = self._warm.get(key)
        if before is not None:
            self._warm.move_to_end(key)
            grown = len(value) - len(before)
        else:
            if self._file is not None and self._maybe_cold(key):
                self._remove(key)
            grown = ROW_BYTES + len(key) + len(value)
        self._warm[key] = value
        self.bytes += grown
        space = self._space
        space.bytes += grown
        if space.bytes > space.bytes_max:
            space.make_room()

    def __delitem__(self, key: bytes) -> None:
        value = self._warm.pop(key, None)
        if value is not None:
            self._shrink(ROW_BYTES + len(key) + len(value))
        elif self._file is None or not self._maybe_cold(key) or not self._remove(key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        if key in self._warm:
            return True
        return (
            self._file is not None and isinstance(key, bytes) and self._maybe_cold(key) and self._read(key) is not None
        )

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
        self._shrink(least_bytes - left)

    def close(self) -> None:
        """Forget all rows; the file goes with them."""
        self._warm.clear()
        self._shrink(self.bytes)
        self.cold = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _shrink(self, by: int) -> None:
        self.bytes -= by
        self._space.bytes -= by

    def _maybe_cold(self, key: bytes) -> bool:
        """Whether the file may hold a key: one that it holds is never denied."""
        number = hash(key)
        return bool(self._filter[(number & _FILTER_BITS - 1) >> 3] & 1 << (number & 7))

    def _read(self, key: bytes) -> bytes | None:
        assert self._file is not None, "asked only where there is a file"
        with _said():
            found = self._file.execute("SELECT value FROM rows WHERE hash = ? AND key = ?", (hash(key), key)).fetchone()
        return None if found is None else found[0]

    def _remove(self, key: bytes) -> int:
        """Overwrite a row in the file, if it is there; answers how many."""
        assert self._file is not None, "asked only where there is a file"
        with _said():
            gone = self._file.execute("DELETE FROM rows WHERE hash = ? AND key = ?", (hash(key), key)).rowcount
        self.cold -= gone
        return gone

    def _make_file(self) -> None:
        with (
            _said()
        ):  # "" is a file without a name in the folder for temporary files; the system removes it with the process
            self._file = sqlite3.connect("", isolation_level=None)
            for setting in ("journal_mode=OFF", "synchronous=OFF", "secure_delete=ON", f"cache_size=-{FILE_CACHE_KIB}"):
                self._file.execute(f"PRAGMA {setting}").fetchall()
            # rows are appended and a small index is sought: by key alone, each would be written somewhere else
            self._file.execute("CREATE TABLE rows (hash INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL)")
            self._file.execute("CREATE INDEX places ON rows (hash)")
        self._filter = bytearray(_FILTER_BITS >> 3)


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        folder = os.environ.get("SQLITE_TMPDIR") or tempfile.gettempdir()
        raise ColdRowsError(
            f"listeners' rows that were moved out of memory: their temporary file in {folder} cannot be used: {error}. Make room there, let TMPDIR "
            "name a folder that has it, or let SEGUE_LISTENER_ROWS_MB be greater"
        ) from error
