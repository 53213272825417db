"""The track table: rows, catalogue, towers, forward decay."""

import numpy as np
import pytest

from online_models import tags
from online_models.checks.made_up import AT_MS, catalogue, restored, rows_of, table_state
from online_models.colistening import add_pairs
from online_models.tags import SHARED_MAX, shared
from online_models.track import (
    CATALOGUE,
    COLUMN,
    COUNTS,
    DAY_MS,
    HALF_LIFE_DAYS,
    LANDMARK_MS,
    NEIGHBOURS,
    VECTORS,
    TrackMeta,
    TrackTable,
    forward_decay,
)
from online_models.track_rows import apply_sums, newest_sums


def table_with(*metas: TrackMeta, **bounds: int) -> TrackTable:
    table = TrackTable(dims=4, **bounds)
    for meta in metas:
        table.list_track(meta)
    return table


BLUE = TrackMeta("t1", "Blue", "a1", "Ann", ["folk", "slow"], 200_000, 5, "album", [0.5, 0.25])


@pytest.mark.parametrize("section", [CATALOGUE, COUNTS, VECTORS, NEIGHBOURS])
def test_row_of_each_section_comes_back_the_same(section: bytes) -> None:
    table = table_with(BLUE, TrackMeta("t2", "Red"))
    one, two = table.indices(["t1", "t2"])
    table.counts[one] = np.arange(len(COLUMN))
    table.vectors[one] = np.arange(table.vectors.shape[1])
    add_pairs(table, np.array([one]), np.array([two]), np.array([2.5]))
    key, value = table.encode_row(section, one)
    again = TrackTable(dims=4)
    again.apply_row(key, value)

    assert (key, value) == again.encode_row(section, again.index("t:t1"))


def test_tags_of_a_track_are_one_object_until_the_catalogue_says_others() -> None:
    table = table_with(BLUE, TrackMeta("t2", "Red", tags=["folk", "slow"]))
    blue, red = table.indices(["t1", "t2"]).tolist()

    assert table.tags_of(blue) is table.tags_of(blue) is table.tags_of(red)

    table.list_track(TrackMeta("t1", "Blue", tags=["jazz"]))
    table.unlist_track(red)

    assert (table.tags_of(blue), table.tags_of(red), table.tags_of(0)) == (("jazz",), (), ())


def test_shared_tags_are_bounded() -> None:
    for n in range(2 * SHARED_MAX):
        shared((f"tag {n}",))
        assert len(tags._shared) <= SHARED_MAX


def test_whole_table_comes_back_from_its_rows() -> None:
    table = catalogue()
    rows = rows_of(table)
    table.counts[rows] = np.arange(len(COLUMN))
    add_pairs(table, rows[:5], rows[5:10], np.arange(1.0, 6.0))

    assert table_state(table) == table_state(restored(table, backwards=False))


def test_neighbours_come_back_under_other_row_numbers() -> None:
    table = catalogue()
    rows = rows_of(table)
    add_pairs(table, rows[[0, 0, 0]], rows[[1, 2, 3]], np.array([1.0, 3.0, 2.0]))
    again = restored(table)
    row = again.index("t:t0")

    assert row != rows[0]
    assert [again.keys[other] for other in again.neighbours[row, :4]] == ["t:t2", "t:t3", "t:t1", ""]
    assert again.neighbour_weights[row, :4].tolist() == [3.0, 2.0, 1.0, 0.0]


def test_unlisted_track_keeps_what_was_learnt_and_is_a_tombstone() -> None:
    table = table_with(BLUE)
    row = table.index("t:t1")
    table.counts[row, COLUMN["plays"]] = 7.0
    table.apply_row(CATALOGUE + b"t:t1", None)

    assert table.encode_row(CATALOGUE, row) == (CATALOGUE + b"t:t1", None)
    assert table.listed_rows().tolist() == []
    assert table.counts[row, COLUMN["plays"]] == 7.0
    assert [list(members) for members in table.members.values()] == [[], [], []]


def test_tombstone_of_an_unknown_track_inserts_nothing() -> None:
    table = TrackTable(dims=4)
    table.apply_row(CATALOGUE + b"t:nobody", None)

    assert len(table) == 1


def test_listing_again_moves_a_track_to_its_new_artist_and_tags() -> None:
    table = table_with(BLUE, TrackMeta("t1", "Blue", "a2", "Bob", ["jazz"]))
    row = table.index("t:t1")
    belongs = {table.keys[part] for part, members in table.members.items() if row in members}

    assert belongs == {"a:a2", "g:jazz"}
    assert [table.keys[part] for part in table.parts[row]] == ["t:t1", "a:a2", "g:jazz", "", "", ""]
    assert table.part_weights[row].tolist() == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]


def test_tower_is_the_track_and_its_artist_and_the_mean_of_its_tags() -> None:
    table = table_with(BLUE)
    row, artist, folk, slow = (table.index(key) for key in ("t:t1", "a:a1", "g:folk", "g:slow"))
    expected = table.e_out[row] + table.e_out[artist] + (table.e_out[folk] + table.e_out[slow]) / 2

    np.testing.assert_allclose(table.out_vectors(np.array([row], np.int32))[0], expected, rtol=1e-6)


def test_tower_of_a_track_without_artist_and_tags_is_its_own_vector() -> None:
    table = table_with(TrackMeta("t1", "Blue"))
    row = np.array([table.index("t:t1")], np.int32)

    assert np.array_equal(table.in_vectors(row), table.e_in[row])


def test_row_zero_stands_for_nothing() -> None:
    table = catalogue()

    assert not table.out_vectors(np.zeros(1, np.int32)).any()
    assert table.indices(["unknown", ""]).tolist() == [0, 0]


def test_vectors_start_alike_in_every_table() -> None:
    first, second = TrackTable(dims=16), TrackTable(dims=16)
    second.add("t:another")

    assert np.array_equal(first.vectors[first.add("t:t1")], second.vectors[second.add("t:t1")])
    assert not np.array_equal(first.vectors[first.add("t:t2")], first.vectors[first.add("t:t3")])


def test_what_comes_past_entities_max_is_refused_and_counted() -> None:
    table = table_with(entities_max=4)
    rows = [table.add(f"t:{n}") for n in range(6)]

    assert rows == [1, 2, 3, 0, 0, 0]
    assert (table.refused, len(table)) == (3, 4)


def test_track_whose_artist_is_refused_is_listed_without_it() -> None:
    table = table_with(BLUE, entities_max=2)
    row = table.index("t:t1")

    assert table.listed_rows().tolist() == [row]
    assert table.part_weights[row, 1] == 0.0
    assert table.members == {}


def test_tags_past_tags_max_are_left_out() -> None:
    table = table_with(TrackMeta("t1", "Blue", tags=list("abcdef")), tags_max=2)

    assert [key for key in table.keys if key.startswith("g:")] == ["g:a", "g:b"]


def test_columns_survive_growing() -> None:
    table = table_with(BLUE)
    row = table.index("t:t1")
    table.counts[row, 0] = 3.0
    vector = table.vectors[row].copy()
    for n in range(2000):
        table.add(f"t:more-{n}")

    assert table.counts[row, 0] == 3.0
    assert np.array_equal(vector, table.vectors[row])
    assert table.index("t:more-1999") == len(table) - 1


@pytest.mark.parametrize("column", sorted(HALF_LIFE_DAYS))
def test_forward_decay_halves_after_each_half_life(column: str) -> None:
    table, days = table_with(BLUE), HALF_LIFE_DAYS[column]
    row = np.array([table.index("t:t1")], np.int32)
    table.counts[row, COLUMN[column]] += 8.0 * forward_decay(AT_MS, days)
    half_life_ms = days * DAY_MS
    seen = [float(table.decayed(column, row, AT_MS + halves * half_life_ms)[0]) for halves in range(4)]

    np.testing.assert_allclose(seen, [8.0, 4.0, 2.0, 1.0], rtol=1e-9)


def test_forward_decayed_sums_do_not_depend_on_the_order() -> None:
    times = AT_MS + np.random.default_rng(3).integers(0, 10**10, 50)
    forward = sum(float(forward_decay(at_ms, 14.0)) for at_ms in times)
    backward = sum(float(forward_decay(at_ms, 14.0)) for at_ms in times[::-1])

    np.testing.assert_allclose(forward, backward, rtol=1e-12)


def test_forward_decay_is_finite_and_positive_at_any_valid_time() -> None:
    weights = forward_decay(np.array([0, LANDMARK_MS, 253_402_300_799_999]), 14.0)

    assert np.isfinite(weights).all()
    assert (weights > 0).all()
    assert weights[1] == 1.0


def test_row_of_a_newer_release_is_refused() -> None:
    with pytest.raises(ValueError, match="row version 9, expected 1"):
        TrackTable(dims=4).apply_row(COUNTS + b"t:t1", b"\x09")


def test_sums_of_a_newer_release_are_refused() -> None:
    table = table_with(BLUE)
    value = table.encode_row(COUNTS, 1)[1]
    assert value is not None

    for broken in (b"\x09" + value[1:], b"\x09", b""):
        with pytest.raises(ValueError, match=r"row version [09], expected 1"):
            apply_sums(table, COUNTS, {1: broken})


def test_vectors_of_another_size_are_refused() -> None:
    table = table_with(BLUE)

    with pytest.raises(ValueError, match="1 numbers, expected 12"):
        apply_sums(table, VECTORS, {1: b"\x01" + bytes(4)})


@pytest.mark.parametrize("section", [COUNTS, VECTORS])
def test_many_sums_are_taken_as_one_by_one(section: bytes) -> None:
    source = catalogue()
    rows = rows_of(source)
    source.counts[rows] = np.random.default_rng(1).normal(size=source.counts[rows].shape)
    encoded = [source.encode_row(section, row) for row in [*rows.tolist(), *rows[:3].tolist()]]
    encoded[0] = (
        encoded[0][0],
        b"\x01" + np.zeros_like(source.vectors[0] if section == VECTORS else source.counts[0]).tobytes(),
    )
    if section == COUNTS:
        encoded.append((COUNTS + b"t:old", b"\x01" + np.array([3.0, 2.0]).tobytes()))  # of a release with fewer columns
    together, one_by_one = TrackTable(dims=source.dims), TrackTable(dims=source.dims)
    sums, others = newest_sums(together, [*encoded, (CATALOGUE + b"t:gone", None)])
    apply_sums(together, section, sums[section])
    for key, value in encoded:
        one_by_one.apply_row(key, value)

    assert others == [(CATALOGUE + b"t:gone", None)]
    assert together.keys == one_by_one.keys
    assert together.counts.tobytes() == one_by_one.counts.tobytes()
    assert together.vectors.tobytes() == one_by_one.vectors.tobytes()


def test_sums_of_entities_beyond_the_bound_are_left_out() -> None:
    table = TrackTable(dims=4, entities_max=2)
    value = b"\x01" + np.ones(len(COLUMN)).tobytes()
    sums, _ = newest_sums(table, [(COUNTS + b"t:a", value), (COUNTS + b"t:b", value)])
    apply_sums(table, COUNTS, sums[COUNTS])

    assert table.counts[:2, 0].tolist() == [0.0, 1.0]


def test_unknown_section_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown section"):
        TrackTable(dims=4).apply_row(b"zt:t1", b"\x01")


def test_counts_of_a_release_with_fewer_columns_are_taken() -> None:
    table = TrackTable(dims=4)
    row = table.apply_row(COUNTS + b"t:t1", b"\x01" + np.array([3.0, 2.0]).tobytes())

    assert table.counts[row].tolist() == [3.0, 2.0] + [0.0] * (len(COLUMN) - 2)
