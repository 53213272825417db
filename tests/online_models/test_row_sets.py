"""Sets of rows say what numpy's own say."""

import numpy as np
import pytest

from online_models.row_sets import among, distinct, firsts


@pytest.mark.parametrize("size", [0, 1, 2, 50, 700])
@pytest.mark.parametrize("rows", [1, 30, 2_000_000])
def test_sets_of_rows_are_those_of_numpy(size: int, rows: int) -> None:
    rng = np.random.default_rng(size)
    some, others = (rng.integers(0, rows, count).astype(np.int32) for count in (size, size // 2))
    unique, first, places = np.unique(some, return_index=True, return_inverse=True)

    once, at = distinct(some)

    assert (once.dtype, once.tolist(), at.tolist()) == (np.int32, unique.tolist(), places.tolist())
    assert firsts(some).tolist() == first.tolist()
    assert among(some, others).tolist() == np.isin(some, others).tolist()
