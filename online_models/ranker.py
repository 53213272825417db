"""The ranker: one River logistic regression per objective, AdaGrad, learnt from each event at once.

A block of the topic `ranker-weights` is one objective's weights of one learner partition, with the number of examples that they saw and a
histogram of predictions by outcome, made before learning. Blocks of all partitions are averaged by examples (`RankerMix`), which is what
serving multiplies candidates with; McMahan et al. 2013 for the model, McMahan et al. 2017 for the averaging.
"""

from collections.abc import Iterable

import msgspec
import numpy as np

from online_models.dense_logistic import DenseLogisticRegression
from online_models.features import FEATURES
from online_models.track import Doubles

OBJECTIVES = ("complete", "skip", "like")
PRIORS = {"complete": 0.6, "skip": 0.35, "like": 0.02}
BINS = 200
BLOCK = b"r"
_VERSION = b"\x01"


class Block(msgspec.Struct, frozen=True, array_like=True):
    """One objective's state: weights and squared gradients float64[features], histogram int64[2, BINS] by outcome."""

    features: list[str]
    examples: int
    intercept: float
    iterations: int
    weights: bytes
    squared: bytes
    histogram: bytes


class Objective:
    """One objective's River model and what it predicted so far; x : float64[len(FEATURES)], in the order of FEATURES."""

    def __init__(self, prior: float, lr: float) -> None:
        self.model = DenseLogisticRegression(len(FEATURES), prior=prior, lr=lr)
        self.examples = 0
        self.histogram = np.zeros((2, BINS), np.int64)

    def predict_one(self, x: Doubles) -> float:
        """The probability."""
        return self.model.predict_one(x)

    def learn_one(self, x: Doubles, label: bool, weight: float = 1.0) -> float:
        """Predict, then learn; answers the probability from before learning."""
        predicted = self.model.learn_one(x, label, weight)
        self.examples += 1
        self.histogram[int(label), min(int(predicted * BINS), BINS - 1)] += 1
        return predicted

    def encode(self) -> bytes:
        """The state as a block."""
        model = self.model
        block = Block(
            list(FEATURES),
            self.examples,
            model.intercept,
            model.optimizer.n_iterations,
            model.w.tobytes(),
            model.optimizer.g2.tobytes(),
            self.histogram.tobytes(),
        )
        return _VERSION + msgspec.msgpack.encode(block)

    def restore(self, value: bytes) -> None:
        """Go on from a block; features that it does not know start at zero."""
        block, model = decode_block(value), self.model
        self.examples, model.intercept = block.examples, block.intercept
        model.optimizer.n_iterations = block.iterations
        model.w[:] = _in_order(block, block.weights)
        model.optimizer.g2[:] = _in_order(block, block.squared)
        self.histogram = np.frombuffer(block.histogram, np.int64).reshape(2, BINS).copy()


class Ranker:
    """All objectives of one learner partition.

    >>> ranker = Ranker()
    >>> x = np.full(len(FEATURES), 0.5)
    >>> first = ranker.learn_one("skip", x, True)
    >>> ranker.learn_one("skip", x, True) > first
    True
    """

    def __init__(self, *, lr: float = 0.05) -> None:
        self.objectives = {name: Objective(PRIORS[name], lr) for name in OBJECTIVES}
        self._changed: set[str] = set()

    def learn_one(self, objective: str, x: Doubles, label: bool, weight: float = 1.0) -> float:
        """Predict one example of an objective, then learn from it; answers the prediction."""
        self._changed.add(objective)
        return self.objectives[objective].learn_one(x, label, weight)

    def changed_rows(self) -> dict[bytes, bytes]:
        """Blocks that have changed since the last call."""
        rows = {BLOCK + name.encode(): self.objectives[name].encode() for name in OBJECTIVES if name in self._changed}
        self._changed.clear()
        return rows

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a block of this partition; one of an objective that is no more is left alone."""
        name = key[1:].decode()
        if value is not None and name in self.objectives:
            self.objectives[name].restore(value)


class RankerMix:
    """The weights of all learner partitions, averaged by the examples that they saw.

    >>> mix = RankerMix()
    >>> mix.score_many(np.zeros((2, len(FEATURES))))["complete"].round(2).tolist()  # nothing learnt: the priors
    [0.6, 0.6]
    """

    def __init__(self) -> None:
        self.blocks: dict[str, dict[int, Block]] = {name: {} for name in OBJECTIVES}
        self._weights = np.zeros((len(FEATURES), len(OBJECTIVES)))
        self._intercepts = np.array([np.log(PRIORS[name] / (1.0 - PRIORS[name])) for name in OBJECTIVES])

    def apply_row(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Take a block of `ranker-weights`."""
        name = key[1:].decode()
        if key[:1] != BLOCK or value is None or name not in self.blocks:
            return
        blocks = self.blocks[name]
        blocks[partition] = decode_block(value)
        place, examples = OBJECTIVES.index(name), np.array([block.examples for block in blocks.values()], np.float64)
        if examples.sum() <= 0:
            return
        share = examples / examples.sum()
        self._weights[:, place] = share @ np.array([_in_order(block, block.weights) for block in blocks.values()])
        self._intercepts[place] = share @ np.array([block.intercept for block in blocks.values()])

    def score_many(self, x: Doubles) -> dict[str, Doubles]:
        """Probability per objective, float64[n] each, of float64[n, len(FEATURES)]."""
        probabilities = 1.0 / (1.0 + np.exp(-np.clip(x @ self._weights + self._intercepts, -30.0, 30.0)))
        return dict(zip(OBJECTIVES, probabilities.T, strict=True))

    def auc(self, objective: str) -> float:
        """AUC over everything that the partitions predicted before they learnt it; nan where there were not both outcomes."""
        return auc_of_histogram(
            sum((_histogram(block) for block in self.blocks[objective].values()), np.zeros((2, BINS), np.int64))
        )


def decode_block(value: bytes) -> Block:
    """A block from its bytes; ValueError where another version wrote it."""
    if value[:1] != _VERSION:
        raise ValueError(
            f"ranker block version {value[:1]!r}, expected {_VERSION!r}: a newer release wrote it, update this one"
        )
    return msgspec.msgpack.decode(value[1:], type=Block)


def auc_of_histogram(histogram: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> float:
    """Area under the ROC curve from counts by predicted probability, [outcome, bin]; ties within a bin count half."""
    negatives, positives = histogram.astype(np.float64)
    pairs = positives.sum() * negatives.sum()
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2.0)).sum() / pairs) if pairs else float("nan")


def auc_of(blocks: Iterable[bytes]) -> float:
    """AUC over several blocks of one objective, as they lie in `ranker-weights`."""
    return auc_of_histogram(sum((_histogram(decode_block(block)) for block in blocks), np.zeros((2, BINS), np.int64)))


def _histogram(block: Block) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.frombuffer(block.histogram, np.int64).reshape(2, BINS)


def _in_order(block: Block, values: bytes) -> Doubles:
    """A block's float64 values in the order of FEATURES, 0 for those that it does not know."""
    known = dict(zip(block.features, np.frombuffer(values).tolist(), strict=True))
    return np.array([known.get(name, 0.0) for name in FEATURES])
