"""The Open Bandit Dataset (Saito et al. 2020): clicks on recommended fashion items, logged by two policies with their propensities.

A folder of it holds `<policy>/<campaign>/<campaign>.csv.gz`; policies are "random" and "bts" (Thompson sampling), campaigns "all" and "men".
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.errors import InputError
from segue.evaluation.ope import Doubles, Ints, Logged
from segue.importers.source import log_of, number, table

POSITIONS = 3


@dataclass(frozen=True, slots=True)
class OpenBandit:
    """One log. items : how many there are; positions : int64[n], 0 to POSITIONS - 1, where each was shown; log : what was shown, and clicks."""

    items: int
    positions: Ints
    log: Logged


def load_open_bandit(folder: Path, policy: str, campaign: str) -> OpenBandit:
    """Read a log.

    Raises
    ------
    InputError
        where a file is missing, or a row cannot be used
    """
    inside = folder / policy / campaign
    if not inside.is_dir():
        raise InputError(f"{inside}: is not there; expected a folder of the Open Bandit Dataset, <policy>/<campaign>")
    path = log_of(inside, f"{campaign}.csv.gz", f"{campaign}.csv")
    columns = ("item_id", "position", "click", "propensity_score")
    rows = []
    for line, row in table(path, *columns):
        try:
            rows.append([number(row, column) for column in columns])
        except ValueError as error:
            raise InputError(f"{path}, line {line}: {error}") from error
    items, positions, clicks, propensities = np.array(rows, np.float64).reshape(-1, len(columns)).T
    try:
        log = Logged(items.astype(np.int64), clicks, propensities)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    return OpenBandit(int(items.max()) + 1, positions.astype(np.int64) - 1, log)


def shown_shares(seen: OpenBandit) -> Doubles:
    """How often a policy showed each item at each position, float64[POSITIONS, items]: its probabilities, where it looks at no context.

    The logged Thompson sampling changed over the week; this is its average, so an estimate by it is right as far as clicks did not change with it.
    """
    cells = seen.positions * seen.items + seen.log.actions
    counts = np.bincount(cells, minlength=POSITIONS * seen.items).reshape(POSITIONS, seen.items)
    return np.asarray(counts / np.maximum(counts.sum(1, keepdims=True), 1))
