"""Thompson sampling."""

from collections.abc import Iterator

import numpy as np

from online_models.bandits.thompson import Thompson
from online_models.checks.bandit import BANDIT_CHECKS
from online_models.checks.checkable import Checkable, Pattern
from online_models.checks.made_up import TRACKS, catalogue, restored, rows_of, table_state
from online_models.track import COLUMN, NO_ROWS, Doubles


def _try(bandit: Thompson, track: int, successes: float) -> None:
    table = bandit.table
    parts = table.parts[rows_of(table)[track]]
    for part in parts[parts > 0].tolist():
        table.counts[part, [COLUMN["trials"], COLUMN["successes"]]] += 1.0, successes


def _ask(bandit: Thompson) -> Doubles:
    rows = rows_of(bandit.table)
    alpha, beta = bandit.posterior(rows)
    chosen, propensity = bandit.choose(rows, np.random.default_rng(1))
    return np.array([*alpha / (alpha + beta), float(np.flatnonzero(rows == chosen)[0]) / TRACKS, propensity])


def _hostile(bandit: Thompson) -> Iterator[Doubles]:
    table, rows = bandit.table, rows_of(bandit.table)
    for trials, successes, likes in ((0, 0, 1e12), (1e12, 0, 0), (1e12, 1e12, 1e12), (0, 5, 0)):
        table.counts[rows[0], [COLUMN["trials"], COLUMN["successes"], COLUMN["likes"]]] = trials, successes, likes
        yield np.concatenate(bandit.posterior(rows))
        yield _ask(bandit)


def _empty(bandit: Thompson) -> Iterator[Doubles]:
    yield from bandit.posterior(NO_ROWS)


THOMPSON: Checkable[Thompson] = Checkable(
    name="thompson",
    make=lambda seed: Thompson(catalogue()),
    teach=lambda bandit, n: _try(bandit, n * n % TRACKS, float(n % 3 == 0)),
    ask=_ask,
    state=lambda bandit: table_state(bandit.table),
    low=0.0,
    high=1.0,
    restore=lambda bandit: Thompson(restored(bandit.table)),
    commutes=True,
    pattern=Pattern(teach=lambda bandit: _try(bandit, 2, 1.0), predict=lambda bandit: float(_ask(bandit)[2])),
    hostile=_hostile,
    empty=_empty,
    interface=BANDIT_CHECKS,
)
