"""What the checks are made from: a small catalogue, listens, features, and a table read again from its own rows."""

import numpy as np

from online_models.listener_rows import LIKE, PLAY, SKIP, Heard
from online_models.track import CATALOGUE, COUNTS, NEIGHBOURS, VECTORS, Doubles, Rows, TrackMeta, TrackTable

TRACKS, ARTISTS, TAGS = 24, 5, ("folk", "jazz", "rock")
AT_MS = 1_700_000_000_000
YEAR_9999_MS = 253_402_300_799_999  # the latest that a message may say
WEEK_MS = 7 * 86_400_000  # the longest that a play may last
TIMES_MS = (0, 1, AT_MS, YEAR_9999_MS)


def meta(n: int) -> TrackMeta:
    """The n-th track of the catalogue."""
    return TrackMeta(f"t{n}", f"Title {n}", f"a{n % ARTISTS}", f"Artist {n % ARTISTS}", [TAGS[n % len(TAGS)], "all"])


def catalogue(tracks: int = TRACKS, *, dims: int = 8, **bounds: int) -> TrackTable:
    """A table with that many tracks listed."""
    table = TrackTable(dims=dims, **bounds)
    for n in range(tracks):
        table.list_track(meta(n))
    return table


def rows_of(table: TrackTable, tracks: int = TRACKS) -> Rows:
    """The rows of the catalogue's tracks, int32[tracks], in the catalogue's order."""
    return table.indices([f"t{n}" for n in range(tracks)])


def by_track(table: TrackTable, rows: Rows, scores: Doubles) -> Doubles:
    """Scores of some rows as float64[TRACKS] in the catalogue's order, 0 for the others, whatever the rows' numbers are."""
    dense = np.zeros(len(table))
    dense[rows] = scores
    return dense[rows_of(table)]


def table_state(table: TrackTable) -> bytes:
    """Everything that a table has learnt."""
    columns = (table.counts, table.vectors, table.parts, table.part_weights, table.listed)
    pairs = (table.neighbours, table.neighbour_weights)
    known = len(table)
    return repr((table.keys, table.meta, table.members)).encode() + b"".join(
        column[:known].tobytes() for column in (*columns, *pairs)
    )


def restored(table: TrackTable, *, backwards: bool = True) -> TrackTable:
    """A second table, made from the rows of the first; backwards it numbers its entities otherwise, which nobody may notice."""
    again = TrackTable(
        dims=table.dims,
        entities_max=table.entities_max,
        neighbours_max=table.neighbours_max,
        tags_max=table.tags_max,
    )
    for section in (VECTORS, NEIGHBOURS, COUNTS, CATALOGUE):
        for row in range(len(table) - 1, 0, -1) if backwards else range(1, len(table)):
            again.apply_row(*table.encode_row(section, row))
    return again


def listen(n: int) -> Heard:
    """The n-th event of a listener: plays, skips and likes, some minutes apart, now and then a day."""
    kind = (PLAY, PLAY, SKIP, PLAY, LIKE, SKIP, PLAY)[n % 7]
    played_ms = 5_000 if kind == SKIP else 180_000
    at_ms = AT_MS + 240_000 * n + 86_400_000 * (n // 10)
    track = meta(n * n % TRACKS)
    share = 3 if kind == SKIP else 97
    return Heard(track.track_id, track.artist_id, at_ms, kind, played_ms, share, n, tuple(track.tags))


def hostile_listens() -> list[Heard]:
    """Events that a message may hold, and that nobody expects."""
    return [
        Heard("t1", "a1", at_ms, kind, played_ms, share, 10**9 + place, ("jazz", "all"))
        for place, (at_ms, kind, played_ms, share) in enumerate(
            (at_ms, kind, played_ms, share)
            for at_ms in (YEAR_9999_MS, AT_MS, 0, 1)
            for kind in (SKIP, PLAY, LIKE)
            for played_ms in (0, WEEK_MS)
            for share in (0, 100)
        )
    ]
