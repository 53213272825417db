"""The track table: what is known of every track, artist and tag, as columns; and its changelog rows.

Everything that learns about tracks adds to one vector of sums, so any number of learners may push at once and the order does not
matter. Decayed counts are sums too, by *forward decay* (Cormode et al. 2009): an event at time t weighs
2 ** ((t - LANDMARK_MS) / half-life), and the reader divides by the weight of its own time.

An entity is a track ("t:" + id), an artist ("a:"), a tag ("g:"), a country ("c:"). Row 0 stands for nothing and stays zero.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from online_models.initial import initial_vector
from online_models.tags import shared

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Rows = NDArray[np.int32]
NO_ROWS: Rows = np.zeros(0, np.int32)

COUNTERS = ("plays", "skips", "likes", "unlikes", "saves", "shares", "blocks", "completes", "trials", "successes")
HALF_LIFE_DAYS = {"plays_90d": 90.0, "skips_90d": 90.0, "popularity_14d": 14.0}
COLUMNS = (*COUNTERS, *HALF_LIFE_DAYS)
COLUMN = {name: place for place, name in enumerate(COLUMNS)}
LANDMARK_MS = 1_262_304_000_000  # 2010-01-01: half-lives of 14 days reach from 1971 to 2049 before a double ends
DAY_MS = 86_400_000
NEIGHBOUR_HALF_LIFE_DAYS = 180.0

CATALOGUE, COUNTS, VECTORS, NEIGHBOURS, META = b"i", b"c", b"v", b"n", b"m"
VERSION = b"\x01"


def forward_decay(at_ms: Any, half_life_days: float) -> Any:
    """The weight of an event at `at_ms` in a forward-decayed sum; also what such a sum is divided by when it is read."""
    half_lives = (np.asarray(at_ms, np.float64) - LANDMARK_MS) / (half_life_days * DAY_MS)
    return np.exp2(np.minimum(np.maximum(half_lives, -1000.0), 1000.0))


class TrackMeta(msgspec.Struct, frozen=True, array_like=True):
    """What the catalogue says of a track."""

    track_id: str
    title: str
    artist_id: str | None = None
    artist: str | None = None
    tags: list[str] = []
    duration_ms: int | None = None
    released_ms: int | None = None
    album_id: str | None = None
    content: list[float] | None = None


class NeighbourRow(msgspec.Struct, frozen=True, array_like=True):
    """A changelog row of neighbours: entity keys and their forward-decayed weights, float64."""

    keys: list[str]
    weights: bytes


class TrackTable:
    """Columns of every entity.

    counts : float64[capacity, len(COLUMNS)], exact counters and forward-decayed sums
    vectors : float32[capacity, 2 * dims + 4] = e_in | e_out | bias | squared gradients of e_in, e_out, bias
    parts : int32[capacity, 2 + tags_max], the rows whose sum is a track's tower: itself, its artist, its tags
    part_weights : float32 of the same shape: 1 for the track and its artist, 1 / number of tags for each tag
    listed : bool[capacity], a track of the catalogue
    neighbours, neighbour_weights : int32, float64[capacity, neighbours_max], what followed; 0 where there is none

    What comes after `entities_max` is not kept: `add` answers row 0 and counts it in `refused`.

    >>> table = TrackTable(dims=4)
    >>> row = table.list_track(TrackMeta("t1", "Blue", "a1", "Ann", ["folk"]))
    >>> table.index("t:t1") == row, table.index("t:unknown"), table.keys[table.parts[row, 1]]
    (True, 0, 'a:a1')
    """

    def __init__(
        self, *, dims: int = 64, entities_max: int = 2_000_000, neighbours_max: int = 64, tags_max: int = 4
    ) -> None:
        self.dims, self.entities_max, self.neighbours_max, self.tags_max = dims, entities_max, neighbours_max, tags_max
        self.keys: list[str] = [""]
        self.meta: dict[int, TrackMeta] = {}
        self.members: dict[int, dict[int, None]] = {}  # artist or tag row -> its listed tracks, in the order of listing
        self.refused = 0
        self._row_of: dict[str, int] = {"": 0}
        self._tags: list[tuple[str, ...]] = [()]  # of each row: serving asks for those of every candidate
        self._allocate(256)

    def _allocate(self, capacity: int) -> None:
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "counts": (np.float64, (len(COLUMNS),)),
            "vectors": (np.float32, (2 * self.dims + 4,)),
            "parts": (np.int32, (2 + self.tags_max,)),
            "part_weights": (np.float32, (2 + self.tags_max,)),
            "listed": (np.bool_, ()),
            "is_track": (np.bool_, ()),
            "neighbours": (np.int32, (self.neighbours_max,)),
            "neighbour_weights": (np.float64, (self.neighbours_max,)),
        }
        for name, (dtype, shape) in shapes.items():
            grown = np.zeros((capacity, *shape), dtype)
            if hasattr(self, name):
                grown[: len(self)] = getattr(self, name)[: len(self)]
            setattr(self, name, grown)

    counts: Doubles
    vectors: Floats
    parts: Rows
    part_weights: Floats
    listed: NDArray[np.bool_]
    is_track: NDArray[np.bool_]
    neighbours: Rows
    neighbour_weights: Doubles

    def __len__(self) -> int:
        """Rows in use, row 0 counted."""
        return len(self.keys)

    @property
    def e_in(self) -> Floats:
        return self.vectors[:, : self.dims]

    @property
    def e_out(self) -> Floats:
        return self.vectors[:, self.dims : 2 * self.dims]

    @property
    def bias(self) -> Floats:
        return self.vectors[:, 2 * self.dims]

    def index(self, key: str) -> int:
        """The row of an entity; 0 for one that is not known. Never inserts."""
        return self._row_of.get(key, 0)

    def add(self, key: str) -> int:
        """The row of an entity, made where it is new."""
        row = self._row_of.get(key)
        if row is not None:
            return row
        row = len(self.keys)
        if row >= self.entities_max:
            self.refused += 1
            return 0
        if row == len(self.counts):
            self._allocate(min(2 * row, self.entities_max))
        self.keys.append(key)
        self._tags.append(())
        self._row_of[key] = row
        self.is_track[row] = key.startswith("t:")
        self.parts[row, 0] = row
        self.part_weights[row, 0] = 1.0
        self.vectors[row] = initial_vector(key, self.dims)
        return row

    def list_track(self, meta: TrackMeta) -> int:
        """Take a catalogue row; the track's tower is itself, its artist and its tags."""
        row = self.add("t:" + meta.track_id)
        if not row:
            return 0
        self.unlist_track(row)
        artist = self.add("a:" + meta.artist_id) if meta.artist_id else 0
        rows = {tag: self.add("g:" + tag) for tag in tuple(dict.fromkeys(meta.tags))[: self.tags_max]}
        self._tags[row] = shared(tuple(tag for tag, part in rows.items() if part))
        tags = [part for part in rows.values() if part]
        self.parts[row] = 0
        self.parts[row, : 2 + len(tags)] = [row, artist, *tags]
        self.part_weights[row] = 0.0
        self.part_weights[row, : 2 + len(tags)] = [1.0, float(artist > 0), *(1.0 / len(tags) for _ in tags)]
        self.meta[row] = meta
        self.listed[row] = True
        for part in self.parts[row, 1 : 2 + len(tags)].tolist():
            if part:
                self.members.setdefault(part, {})[row] = None
        return row

    def unlist_track(self, row: int) -> None:
        """Take a track out of the catalogue; what was learnt of it stays."""
        if self.meta.pop(row, None) is None:
            return
        self._tags[row] = ()
        self.listed[row] = False
        for part in self.parts[row, 1:].tolist():
            self.members.get(part, {}).pop(row, None)

    def listed_rows(self) -> Rows:
        """Rows of the tracks of the catalogue, ascending."""
        return np.flatnonzero(self.listed[: len(self)]).astype(np.int32)

    def tags_of(self, row: int) -> tuple[str, ...]:
        """The distinct tags of a track of the catalogue, at most `tags_max`; those of an effect and of a tower."""
        return self._tags[row]

    def artist_of(self, row: int) -> str | None:
        """The artist of a track, None where it has none, or the table no room for them."""
        return self.keys[self.parts[row, 1]][2:] or None

    def indices(self, track_ids: Sequence[str]) -> Rows:
        """Rows of tracks by id, int32[n]; 0 for what is not known."""
        row_of = self._row_of
        return np.array([row_of.get("t:" + track_id, 0) for track_id in track_ids], np.int32)

    def rows_of(self, keys: Sequence[str]) -> Rows:
        """Rows of entities by key, int32[n]; 0 for what is not known."""
        return np.array([self._row_of.get(key, 0) for key in keys], np.int32)

    def out_vectors(self, rows: Rows) -> Floats:
        """The track tower, float32[n, dims]: what a listener's vector is multiplied with."""
        return self._tower(self.e_out, rows)

    def in_vectors(self, rows: Rows) -> Floats:
        """What a heard track adds to a listener's vector, float32[n, dims]."""
        return self._tower(self.e_in, rows)

    def _tower(self, embeddings: Floats, rows: Rows) -> Floats:
        tower: Floats = np.einsum("npd,np->nd", embeddings[self.parts[rows]], self.part_weights[rows])
        return tower

    def decayed(self, column: str, rows: Rows, at_ms: float) -> Doubles:
        """A forward-decayed column as it stands at `at_ms`, float64[n]."""
        with np.errstate(over="ignore"):  # seen from decades before the events
            values = self.counts[rows, COLUMN[column]] / forward_decay(at_ms, HALF_LIFE_DAYS[column])
        finite: Doubles = np.minimum(values, 1e300)
        return finite

    # --- changelog rows: one section byte, then the entity key

    def encode_row(self, section: bytes, row: int) -> tuple[bytes, bytes | None]:
        """(key, value) of one section of an entity; a catalogue row that is not listed is a tombstone."""
        key = section + self.keys[row].encode()
        if section == COUNTS:
            return key, VERSION + self.counts[row].tobytes()
        if section == VECTORS:
            return key, VERSION + self.vectors[row].tobytes()
        if section == CATALOGUE:
            meta = self.meta.get(row)
            return key, None if meta is None else VERSION + msgspec.msgpack.encode(meta)
        known = self.neighbours[row] > 0
        keys = [self.keys[other] for other in self.neighbours[row, known].tolist()]
        value = NeighbourRow(keys, self.neighbour_weights[row, known].tobytes())
        return key, VERSION + msgspec.msgpack.encode(value)

    def apply_row(self, key: bytes, value: bytes | None) -> int:
        """Take one changelog row; answers the entity's row number.

        Raises
        ------
        ValueError
            for a section or version that this release does not know
        """
        section, entity = key[:1], key[1:].decode()
        if value is None:
            row = self.index(entity)
            if section == CATALOGUE:
                self.unlist_track(row)
            return row
        if value[:1] != VERSION:
            raise unknown_version(key, value)
        body = value[1:]
        if section == CATALOGUE:
            return self.list_track(msgspec.msgpack.decode(body, type=TrackMeta))
        row = self.add(entity)
        if not row:
            return 0
        if section == COUNTS:
            counts = np.frombuffer(body, np.float64)
            if len(counts) > len(COLUMNS):
                raise ValueError(
                    f"{key!r}: {len(counts)} counts, expected at most {len(COLUMNS)}: a newer release wrote it, update this one"
                )
            self.counts[row, : len(counts)] = counts
        elif section == VECTORS:
            vectors = np.frombuffer(body, np.float32)
            if len(vectors) != self.vectors.shape[1]:
                raise ValueError(
                    f"{key!r}: {len(vectors)} numbers, expected {self.vectors.shape[1]}: vectors of another size"
                )
            self.vectors[row] = vectors
        elif section == NEIGHBOURS:
            neighbours = msgspec.msgpack.decode(body, type=NeighbourRow)
            others = [self.add(other) for other in neighbours.keys][: self.neighbours_max]
            self.neighbours[row] = 0
            self.neighbour_weights[row] = 0.0
            self.neighbours[row, : len(others)] = others
            self.neighbour_weights[row, : len(others)] = np.frombuffer(neighbours.weights, np.float64)[: len(others)]
        else:
            raise ValueError(f"{key!r}: unknown section, expected one of i, c, v, n")
        return row


def unknown_version(key: bytes, value: bytes) -> ValueError:
    """What is wrong with a row that another release wrote."""
    version = int.from_bytes(value[:1])
    return ValueError(
        f"{key!r}: row version {version}, expected {VERSION[0]}: a newer release wrote it, update this one"
    )
