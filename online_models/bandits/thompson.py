"""Thompson sampling with Beta posteriors (Thompson 1933; Agrawal & Goyal 2013): vectorised, with propensities."""

from functools import lru_cache

import numpy as np
import scipy.special

from online_models.track import COLUMN, Doubles, Rows, TrackTable

KEPT = 4096  # posteriors whose quantiles are looked up once
_SURELY = 1e-9


class Thompson:
    """Chooses tracks by a draw of each one's rate of success.

    prior_strength : trials that the prior is worth; its rate is that of the track's artist and tags, else `prior`
    nodes : of the Gauss-Legendre rule that integrates a propensity; 16 are right to .001

    >>> table = TrackTable(dims=4)
    >>> rows = np.array([table.add("t:1"), table.add("t:2")], np.int32)
    >>> table.counts[rows[0], [COLUMN["trials"], COLUMN["successes"]]] = 50, 45
    >>> table.counts[rows[1], [COLUMN["trials"], COLUMN["successes"]]] = 50, 5
    >>> chosen, propensity = Thompson(table).choose(rows, np.random.default_rng(1))
    >>> table.keys[chosen], propensity > 0.95
    ('t:1', True)
    """

    def __init__(self, table: TrackTable, *, prior: float = 0.3, prior_strength: float = 4.0, nodes: int = 16) -> None:
        self.table, self.prior, self.prior_strength = table, prior, prior_strength
        places, weights = np.polynomial.legendre.leggauss(nodes)
        self._quantiles, self._weights = (places + 1.0) / 2.0, weights / 2.0
        # new tracks of one artist and the same tags have one posterior, and are chosen again and again
        self._nodes = lru_cache(KEPT)(lambda alpha, beta: scipy.special.betaincinv(alpha, beta, self._quantiles))

    def posterior(self, rows: Rows) -> tuple[Doubles, Doubles]:
        """Alpha and beta of each track, float64[n] each: offers taken and left, likes, and the prior."""
        counts = self.table.counts
        trials, successes, likes = (counts[:, COLUMN[name]] for name in ("trials", "successes", "likes"))
        parts = self.table.parts[rows, 1:]
        part_trials, part_successes = trials[parts].sum(1), successes[parts].sum(1)
        rate = (part_successes + self.prior * self.prior_strength) / (part_trials + self.prior_strength)
        won = successes[rows] + likes[rows]
        lost = np.maximum(trials[rows] - successes[rows], 0.0)
        return won + rate * self.prior_strength, lost + (1.0 - rate) * self.prior_strength

    def choose(self, rows: Rows, rng: np.random.Generator) -> tuple[int, float]:
        """One of the tracks int32[n], n > 0, and the probability with which it is chosen."""
        return self.choose_some(rows, 1, rng)[0]

    def choose_some(self, rows: Rows, most: int, rng: np.random.Generator) -> list[tuple[int, float]]:
        """`choose` again and again, of those that are left; what is known of them is looked up once."""
        alpha, beta = self.posterior(rows)
        left, chosen = np.arange(len(rows)), list[tuple[int, float]]()
        while len(left) and len(chosen) < most:
            of_alpha, of_beta = alpha[left], beta[left]
            place = int(rng.beta(of_alpha, of_beta).argmax())
            chosen.append((int(rows[left[place]]), self.propensity(of_alpha, of_beta, place)))
            left = left[left != left[place]]
        return chosen

    def propensity(self, alpha: Doubles, beta: Doubles, chosen: int) -> float:
        """How likely the draw of one is the greatest: the others' chance to lie below it, over the quantiles of its posterior."""
        at = self._nodes(float(alpha[chosen]), float(beta[chosen]))
        rivals = (
            scipy.special.betainc(alpha, beta, at[0]) < 1.0 - _SURELY
        )  # the others lie below every node but for that
        rivals[chosen] = False
        if not rivals.any():  # the weights' sum is 1 but for rounding, which processors do differently
            return 1.0
        below = scipy.special.betainc(alpha[rivals, None], beta[rivals, None], at[None, :])
        return float(np.clip(below.prod(0) @ self._weights, 1e-6, 1.0))
