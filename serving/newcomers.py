"""The new tracks of the catalogue: what few have heard or been offered, with what is known of each. Looked up now and then, not per request."""

from dataclasses import dataclass

import numpy as np

from online_models.bandits.thompson import Thompson
from online_models.track import COLUMN, Doubles, Floats, Rows, TrackTable


@dataclass(frozen=True, slots=True)
class Newcomers:
    """rows : int32[n]; chance : float64[n], of a success by the bandit's posterior; vectors : float32[n, dims], the track tower."""

    rows: Rows
    chance: Doubles
    vectors: Floats


def score_newcomers(new: Newcomers, vector: Floats) -> Doubles:
    """The chance of a success times how near each is to a listener's vector, float64[n]."""
    near = np.exp(-(new.vectors @ vector).astype(np.float64))
    scores: Doubles = new.chance / (1.0 + near)
    return scores


def find_newcomers(table: TrackTable, bandit: Thompson, *, seen_max: int, most: int) -> Newcomers:
    """Listed tracks that were heard or offered at most `seen_max` times; where there are more than `most`, the likeliest successes."""
    listed = table.listed_rows()
    seen = sum(table.counts[listed, COLUMN[name]] for name in ("plays", "skips", "trials"))
    rows = listed[seen <= seen_max]
    alpha, beta = bandit.posterior(rows)
    chance = alpha / (alpha + beta)
    if len(rows) > most:
        chosen = np.argpartition(-chance, most)[:most]
        rows, chance = rows[chosen], chance[chosen]
    return Newcomers(rows, chance, table.out_vectors(rows))
