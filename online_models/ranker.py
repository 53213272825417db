"""The ranker: one logistic regression per objective, online Newton steps: all examples of a step, in their order, in micro-batches.

A block of the topic `ranker-weights` is one objective's weights of one learner partition, with the number of examples that they saw and a
histogram of predictions by outcome, made before learning. Blocks of all partitions are averaged by examples (`RankerMix`), which is what
serving multiplies candidates with; Hazan et al. 2007 for the steps, McMahan et al. 2017 for the averaging. A block's curvature, which only
its learner goes on from, is a row beside it, written as often as a hundredth of the examples is new.
"""

from collections.abc import Iterable

import msgspec
import numpy as np

from online_models.dense_logistic import DenseLogisticRegressions, sigmoid
from online_models.features import FEATURES
from online_models.starting_weights import starting_weights
from online_models.track import Doubles

PRIORS = {"complete": 0.6, "skip": 0.35, "like": 0.02}
OBJECTIVES = tuple(PRIORS)
BINS = 200
BLOCK = b"r"
CURVATURE = "/curvature"  # after the name of an objective
_CURVATURE_SHARE = 0.01
_VERSION = b"\x01"


class Block(msgspec.Struct, frozen=True, array_like=True):
    """One objective's state: weights and squared gradients float64[features], histogram int64[2, BINS] by outcome.

    iterations : the optimiser's clock, one for all objectives
    """

    features: list[str]
    examples: int
    intercept: float
    iterations: int
    weights: bytes
    squared: bytes
    histogram: bytes


class Curvature(msgspec.Struct, frozen=True, array_like=True):
    """The inverse of an objective's sum of outer products of gradients: float32, the upper triangle, row by row."""

    features: list[str]
    inverse: bytes


class Ranker:
    """All objectives of one learner partition; columns of labels, weights and probabilities are in the order of OBJECTIVES.

    examples : int64, by objective; histograms : int64[objective, outcome, bin], how often each bin of probabilities was predicted

    >>> ranker = Ranker()
    >>> x, skipped, weights = np.full((1, len(FEATURES)), 0.5), np.array([[False, True, False]]), np.array([[1.0, 1.0, 0.0]])
    >>> first, second = ranker.learn_many(x, skipped, weights)[0], ranker.predict_many(x)[0]
    >>> (second > first).tolist(), (second < first).tolist()
    ([False, True, False], [True, False, False])
    """

    def __init__(self) -> None:
        self.model = DenseLogisticRegressions(len(FEATURES), priors=list(PRIORS.values()))
        self.model.w[:] = starting_weights(OBJECTIVES, FEATURES)
        self.examples = np.zeros(len(OBJECTIVES), np.int64)
        self.histograms = np.zeros((len(OBJECTIVES), 2, BINS), np.int64)
        self._written = self.examples.copy()  # examples when the blocks were last written
        self._curved = self.examples.copy()  # and when their curvatures were

    def predict_many(self, x: Doubles) -> Doubles:
        """Probabilities, float64[n, len(OBJECTIVES)], of x float64[n, len(FEATURES)]."""
        return self.model.predict_many(x)

    def learn_many(
        self, x: Doubles, labels: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]", weights: Doubles
    ) -> Doubles:
        """Predict, then learn, in order; answers the probabilities from before each micro-batch, float64[n, len(OBJECTIVES)].

        x : float64[n, len(FEATURES)]; labels, weights : bool, float64[n, len(OBJECTIVES)]; a weight of 0: no example of that objective
        """
        predicted = self.model.learn_many(x, labels, weights)
        taught = weights > 0.0
        self.examples += taught.sum(0)
        bins = np.minimum((predicted[taught] * BINS).astype(np.intp), BINS - 1)
        np.add.at(self.histograms, (np.nonzero(taught)[1], labels[taught].astype(np.intp), bins), 1)
        return predicted

    def encode(self, objective: str) -> bytes:
        """An objective's state as a block."""
        place, model = OBJECTIVES.index(objective), self.model
        block = Block(
            list(FEATURES),
            int(self.examples[place]),
            float(model.intercepts[place]),
            model.optimizer.n_iterations,
            model.w[place].tobytes(),
            model.optimizer.g2[place].tobytes(),
            self.histograms[place].tobytes(),
        )
        return _VERSION + msgspec.msgpack.encode(block)

    def encode_curvature(self, objective: str) -> bytes:
        """An objective's curvature as a row."""
        inverse = self.model.optimizer.inverse[OBJECTIVES.index(objective)]
        triangle = inverse[np.triu_indices(len(inverse))].astype(np.float32)
        return _VERSION + msgspec.msgpack.encode(Curvature(list(FEATURES), triangle.tobytes()))

    def changed_rows(self) -> dict[bytes, bytes]:
        """Blocks that have changed since the last call, with the curvatures that have changed enough; goes on from those as they are written."""
        rows = dict[bytes, bytes]()
        for place, name in enumerate(OBJECTIVES):
            seen = self.examples[place]
            if seen == self._written[place]:
                continue
            rows[BLOCK + name.encode()] = self.encode(name)
            if seen - self._curved[place] >= _CURVATURE_SHARE * seen:
                rows[BLOCK + (name + CURVATURE).encode()] = curvature = self.encode_curvature(name)
                self.model.optimizer.inverse[place] = self._inverse(curvature)
                self._curved[place] = seen
        self._written = self.examples.copy()
        return rows

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Go on from a row of this partition; one of an objective that is no more is left alone, features that are new start at zero."""
        name = key[1:].decode()
        objective = name.removesuffix(CURVATURE)
        if value is None or objective not in OBJECTIVES:
            return
        place, model = OBJECTIVES.index(objective), self.model
        if name.endswith(CURVATURE):
            model.optimizer.inverse[place] = self._inverse(value)
            self._curved[place] = max(1, self._curved[place])
            return
        block = decode_block(value)
        self.examples[place] = self._written[place] = block.examples
        model.intercepts[place] = block.intercept
        model.optimizer.n_iterations = max(model.optimizer.n_iterations, block.iterations)
        model.w[place] = _in_order(block, block.weights)
        squares = _in_order(block, block.squared)
        if self._curved[place]:
            model.optimizer.g2[place] = squares
        else:
            model.optimizer.take_squares(place, squares)
        self.histograms[place] = _histogram(block)

    def _inverse(self, value: bytes) -> Doubles:
        """A curvature in the order of FEATURES; those that it does not know stand alone."""
        check_version(value)
        row = msgspec.msgpack.decode(value[1:], type=Curvature)
        size, known = len(row.features), {name: place for place, name in enumerate(row.features)}
        theirs = np.zeros((size, size))
        ours: Doubles = np.eye(len(FEATURES)) / self.model.optimizer.eps
        theirs[np.triu_indices(size)] = np.frombuffer(row.inverse, np.float32)
        theirs = np.triu(theirs) + np.triu(theirs, 1).T
        kept = [place for place, name in enumerate(FEATURES) if name in known]
        at = [known[FEATURES[place]] for place in kept]
        ours[np.ix_(kept, kept)] = theirs[np.ix_(at, at)]
        return ours


class RankerMix:
    """The weights of all learner partitions, averaged by the examples that they saw.

    >>> mix = RankerMix()
    >>> mix.score_many(np.zeros((2, len(FEATURES))))["complete"].round(2).tolist()  # nothing learnt: the priors
    [0.6, 0.6]
    """

    def __init__(self) -> None:
        self.blocks: dict[str, dict[int, Block]] = {name: {} for name in OBJECTIVES}
        self._weights = starting_weights(OBJECTIVES, FEATURES).T.copy()
        self._intercepts = np.array([np.log(PRIORS[name] / (1.0 - PRIORS[name])) for name in OBJECTIVES])

    def apply_row(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Take a block of `ranker-weights`."""
        name = key[1:].decode()
        if key[:1] != BLOCK or value is None or name not in self.blocks:
            return
        self.blocks[name][partition] = decode_block(value)
        blocks = [block for _, block in sorted(self.blocks[name].items())]  # in one order: workers sum alike
        place, examples = OBJECTIVES.index(name), np.array([block.examples for block in blocks], np.float64)
        if examples.sum() <= 0:
            return
        share = examples / examples.sum()
        self._weights[:, place] = share @ np.array([_in_order(block, block.weights) for block in blocks])
        self._intercepts[place] = share @ np.array([block.intercept for block in blocks])

    def score_many(self, x: Doubles) -> dict[str, Doubles]:
        """Probability per objective, float64[n] each, of float64[n, len(FEATURES)]."""
        probabilities = sigmoid(x @ self._weights + self._intercepts)
        return dict(zip(OBJECTIVES, probabilities.T, strict=True))

    def auc(self, objective: str) -> float:
        """AUC over everything that the partitions predicted before they learnt it; nan where there were not both outcomes."""
        return auc_of_histogram(
            sum((_histogram(block) for block in self.blocks[objective].values()), np.zeros((2, BINS), np.int64))
        )


def check_version(value: bytes) -> None:
    """ValueError where a newer release wrote a row."""
    if value[:1] != _VERSION:
        raise ValueError(
            f"ranker block version {value[:1]!r}, expected {_VERSION!r}: a newer release wrote it, update this one"
        )


def decode_block(value: bytes) -> Block:
    """A block from its bytes; ValueError where another version wrote it."""
    check_version(value)
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
