"""The two-tower model: a listener's recent tracks against all tracks, by sampled softmax with log-Q correction, online.

Listener tower: decayed pooling of the *input* vectors of what was heard (a track's is itself + its artist + its tags). Track tower: the
*output* vectors, summed in the same way, and a bias; so a new track stands near its artist and tags at once. Negatives are the batch's own targets,
uniform ones, and where `hard` says so what followed the listeners' last tracks lately; each logit is corrected by the log of how often its
track is drawn (Bengio & Senecal 2008; Yi et al. 2019). AdaGrad.
"""

from typing import Any

import numpy as np
import scipy.sparse

from online_models.recent_followers import RecentFollowers
from online_models.replay_buffer import ReplayBuffer
from online_models.row_sets import distinct
from online_models.track import COLUMN, NO_ROWS, Floats, Rows, TrackTable

HISTORY = 20  # tracks heard before a play that it is learnt from, and before a request that is asked with
Sparse = Any  # scipy.sparse.csr_matrix of float32


class TwoTower:
    """Learns into `table.vectors`; holds besides a short replay buffer, what followed what where `hard` asks for it, and its generator.

    history : tracks pooled; decay : of a track against the one after it
    uniform, hard : uniform negatives per batch, and at most so many that co-listening recalls for its listeners
    replays : times that as many of the last `replay_max` examples are learnt again after a batch of at most `replay_batch`: where little
    arrives there is time for it, and a full batch costs what it did

    >>> table = TrackTable(dims=8)
    >>> rows = np.array([table.add(f"t:{n}") for n in range(20)], np.int32)
    >>> tower = TwoTower(table, uniform=8)
    >>> before = tower.score_many(rows[:1], rows)[1]
    >>> for _ in range(30):
    ...     touched = tower.learn_many(rows[None, :1], rows[1:2])
    >>> bool(tower.score_many(rows[:1], rows)[1] > before)
    True
    """

    def __init__(
        self,
        table: TrackTable,
        *,
        lr: float = 0.2,
        history: int = HISTORY,
        decay: float = 0.9,
        uniform: int = 128,
        hard: int = 0,
        l2: float = 1e-4,
        replays: int = 1,
        replay_batch: int = 128,
        replay_max: int = 4096,
        seed: int = 0,
    ) -> None:
        self.table, self.lr, self.history, self.l2 = table, lr, history, l2
        self.uniform, self.hard, self.replays = uniform, hard, replays
        self.replay_batch, self.rng = replay_batch, np.random.default_rng(seed)
        self._decay = (decay ** np.arange(history)).astype(np.float32)
        self.replay = ReplayBuffer(replay_max, history)
        self.followers = RecentFollowers()
        self._pool = NO_ROWS
        self._place = np.zeros(0, np.int32)  # scratch of `_distinct`
        self._expected = np.zeros(0, np.float32)  # scratch of `_recalled`
        self._events = 0.0
        self._age = 0

    def pooling(self, history: Rows) -> Floats:
        """The weight of each place of a history, float32[b, h], of unit length over the places that are filled."""
        weights = self._decay[: history.shape[1]] * (history > 0)
        norms: Floats = np.sqrt((weights * weights).sum(1, keepdims=True) + 1e-9)
        pooled: Floats = weights / norms
        return pooled

    def listener_vectors(self, history: Rows) -> Floats:
        """The listener tower, float32[b, dims], of int32[b, h], newest first, 0 for nothing; artist and tag rows may stand in it."""
        unique, places = distinct(history.ravel())
        inputs = self.table.in_vectors(unique)
        vectors: Floats = np.einsum("bhd,bh->bd", inputs[places.reshape(history.shape)], self.pooling(history))
        return vectors

    def score_many(self, history: Rows, rows: Rows) -> Floats:
        """How much each track of `rows` is next for a history int32[h]: float32[n]; inserts nothing."""
        scores: Floats = (
            self.table.out_vectors(rows) @ self.listener_vectors(history[None, :])[0] + self.table.bias[rows]
        )
        return scores

    def learn_many(self, history: Rows, target: Rows) -> Rows:
        """Learn that after each history int32[b, h] came the track of `target` int32[b]; answers the rows whose vectors changed."""
        heard = target > 0
        history, target = history[heard], target[heard]
        if not len(target):
            return NO_ROWS
        touched = [self._learn(history, target)]
        rounds = self.replays if len(self.replay) and len(target) <= self.replay_batch else 0
        touched += [self._learn(*self.replay.draw(len(target), self.rng)) for _ in range(rounds)]
        if self.replays:
            self.replay.add(history, target)
        if self.hard:
            self.followers.add(history, target, self.rng)
        return self._distinct(np.concatenate(touched))[0]

    def _learn(self, history: Rows, target: Rows) -> Rows:
        table, size, dims = self.table, len(target), self.table.dims
        pool = self._negatives()
        candidates = np.concatenate([target, pool[self.rng.integers(0, len(pool), self.uniform)]])
        hard: Floats | float = 0.0
        if self.hard:
            candidates, hard = self._recalled(history, candidates)
        heard, heard_at = self._distinct(history.ravel())
        pooled = _rows(self.pooling(history).ravel(), heard_at, history.shape[1], len(heard))
        parts_in, towers_in = self._towers(heard)
        parts_out, towers_out = self._towers(candidates)
        e_in, e_out = table.e_in[parts_in], table.e_out[parts_out]
        listeners, outputs = pooled @ (towers_in @ e_in), towers_out @ e_out

        logits = listeners @ outputs.T
        logits += table.bias[candidates] - self._log_q(candidates, size, len(pool), hard)
        itself, own = candidates[None, :] == target[:, None], np.arange(size)
        itself[own, own] = False
        logits[itself] = -1e9  # the target again among the negatives
        logits -= logits.max(1, keepdims=True)
        errors = np.exp(logits)
        errors /= -errors.sum(1, keepdims=True)
        errors[own, own] += 1.0  # the gradient of the log likelihood by the logits

        to_outputs, to_inputs = errors.T @ listeners, pooled.T @ (errors @ outputs)
        self._step(slice(dims, 2 * dims), 2 * dims + 2, parts_out, e_out, towers_out.T @ to_outputs)
        self._step(slice(0, dims), 2 * dims + 1, parts_in, e_in, towers_in.T @ to_inputs)
        self._step_bias(candidates, errors.sum(0))
        return np.concatenate([parts_out, parts_in])

    def _towers(self, rows: Rows) -> tuple[Rows, Sparse]:
        """The parts of tracks' towers, each once, and how they add up: float32[len(rows), parts]."""
        parts, places = self._distinct(self.table.parts[rows].ravel())
        weights = self.table.part_weights[rows]
        return parts, _rows(weights.ravel(), places, weights.shape[1], len(parts))

    def _distinct(self, rows: Rows) -> tuple[Rows, Rows]:
        """Each row once, in the order of their last occurrences, and where each stands there: what `np.unique` sorts for."""
        place, at = self._place, np.arange(len(rows), dtype=np.int32)
        if len(place) < len(self.table.keys):
            place = self._place = np.zeros(len(self.table.counts), np.int32)
        place[rows] = at  # of a row that comes again the last stays
        distinct = rows[place[rows] == at]
        place[distinct] = at[: len(distinct)]
        return distinct, place[rows]

    def _negatives(self) -> Rows:
        """The rows that uniform negatives are drawn from: the catalogue, else every track; looked up anew every so many batches."""
        if self._age == 0 or not len(self._pool):
            table, known = self.table, len(self.table)
            pool, tracks = table.listed_rows(), np.flatnonzero(table.is_track[:known]).astype(np.int32)
            self._pool = pool if len(pool) else tracks
            self._events = float(
                table.counts[tracks, COLUMN["plays"]].sum() + table.counts[tracks, COLUMN["likes"]].sum()
            )
        self._age = (self._age + 1) % 64
        return self._pool

    def _recalled(self, history: Rows, candidates: Rows) -> tuple[Rows, Floats]:
        """The candidates and hard ones after them; and how often each is to be expected among the hard ones, float32."""
        drawn, recalled, chance = self.followers.draw(history, self.hard, self.rng)
        candidates, expected = np.concatenate([candidates, drawn]), self._expected
        if len(expected) < len(self.table.keys):
            expected = self._expected = np.zeros(len(self.table.counts), np.float32)
        np.add.at(expected, recalled, chance)
        expected[0] = 0.0
        often = expected[candidates]
        expected[recalled] = 0.0
        return candidates, often

    def _log_q(self, candidates: Rows, size: int, pool: int, hard: Floats | float = 0.0) -> Floats:
        """The log of how likely each candidate is drawn, times the number of tracks. hard : how often it is to be expected among the hard ones"""
        popularity = (
            self.table.counts[candidates, COLUMN["plays"]] + self.table.counts[candidates, COLUMN["likes"]] + 1.0
        )
        q = (size * popularity / (self._events + pool) + self.uniform / pool + hard) / (size + self.uniform)
        log_q: Floats = np.log(q * pool).astype(np.float32)
        return log_q

    def _step(self, columns: slice, squared: int, rows: Rows, old: Floats, gradients: Floats) -> None:
        """One AdaGrad step of parts from their `old` columns; `gradients` is used up."""
        vectors = self.table.vectors
        gradients -= self.l2 * old
        squares = vectors[rows, squared] + (gradients * gradients).sum(1)
        vectors[rows, squared] = squares
        gradients *= (self.lr / np.sqrt(squares + 1e-12))[:, None]
        vectors[rows, columns] = old + gradients
        vectors[0] = 0.0

    def _step_bias(self, rows: Rows, gradients: Floats) -> None:
        table, bias, squared = self.table, 2 * self.table.dims, 2 * self.table.dims + 3
        rows, places = self._distinct(rows)
        total = np.bincount(places, gradients, len(rows)).astype(np.float32)
        table.vectors[rows, squared] += total * total
        table.vectors[rows, bias] += self.lr / np.sqrt(table.vectors[rows, squared] + 1e-12) * total
        table.vectors[0] = 0.0


def _rows(weights: Floats, places: Rows, width: int, size: int) -> Sparse:
    """A matrix of `size` columns with `width` weights in each row, at these places."""
    ends = np.arange(0, len(places) + 1, width, dtype=np.int32)
    return scipy.sparse.csr_matrix((weights, places, ends), (len(ends) - 1, size))
