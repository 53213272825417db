"""The ranker: one logistic regression per objective, online Newton steps: all examples of a step, in their order, in micro-batches.

The objectives are those of `online_models.objectives`. `share_heard` is a mean, not a chance: its regression is logistic too, with the share as
its label (Papke & Wooldridge 1996), since a linear one would leave [0, 1], and most listens are heard to their end or left at once.

A block of the topic `ranker-weights` is one objective's weights of one learner partition, with the number of examples that they saw and a
histogram of predictions by outcome, made before learning. The curvature that objectives step by is a row beside the blocks, written as often as a
hundredth of the examples is new, and when it is loosened. `RankerMix` averages the blocks of all partitions by their curvatures, and serving multiplies candidates with that;
Hazan et al. 2007 for the steps.
"""

from collections.abc import Iterable

import msgspec
import numpy as np

from online_models.dense_logistic import EPS, DenseLogisticRegressions, sigmoid
from online_models.drift import Alarm, DriftWatch
from online_models.features import FEATURES
from online_models.histograms import Whole, auc_of_histogram, calibration_of_histogram
from online_models.objectives import OBJECTIVE
from online_models.starting_weights import starting_intercepts, starting_weights
from online_models.track import Doubles

PRIORS = {name: each.prior for name, each in OBJECTIVE.items()}
OBJECTIVES = tuple(OBJECTIVE)
CURVED = tuple(dict.fromkeys(each.curvature for each in OBJECTIVE.values()))
STEPS_BY = tuple(CURVED.index(each.curvature) for each in OBJECTIVE.values())
UNITS = np.array([each.units for each in OBJECTIVE.values()])
BINS = 200
BLOCK = b"r"
CURVATURE = "/curvature"  # after the name of an objective
_CURVATURE_SHARE = 0.01
_VERSION = b"\x01"


class Block(msgspec.Struct, frozen=True, array_like=True):
    """One objective's state: weights and squared gradients float64[features], histogram int64[2, BINS] by outcome, of examples by their weight.

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
    """The inverse of a sum of outer products of gradients, of the objectives that step by it: float32, the upper triangle, row by row."""

    features: list[str]
    inverse: bytes


class Ranker:
    """All objectives of one learner partition; columns of labels, weights and predictions are in the order of OBJECTIVES.

    loosened : how many times less what was learnt counts in a step once the loss has risen (`drift`); 1 for no care
    examples : int64, by objective; histograms : int64[objective, outcome, bin], how often each bin was predicted
    alarms : of the last lesson

    >>> ranker = Ranker()
    >>> x, skipped = np.full((1, len(FEATURES)), 0.5), np.array([[name == "skip" for name in OBJECTIVES]], np.float64)
    >>> weights = np.array([[float(name in ("complete", "skip")) for name in OBJECTIVES]])
    >>> first, second = ranker.learn_many(x, skipped, weights)[0], ranker.predict_many(x)[0]
    >>> [name for name, more in zip(OBJECTIVES, second > first) if more], [name for name, less in zip(OBJECTIVES, second < first) if less]
    (['skip'], ['complete'])
    """

    def __init__(self, *, loosened: float = 4.0) -> None:
        self.model = DenseLogisticRegressions(len(FEATURES), priors=list(PRIORS.values()), steps_by=STEPS_BY)
        self.model.w[:] = starting_weights(OBJECTIVES, FEATURES)
        self.model.intercepts[:] = starting_intercepts(PRIORS, FEATURES)
        self.examples = np.zeros(len(OBJECTIVES), np.int64)
        self.histograms = np.zeros((len(OBJECTIVES), 2, BINS), np.int64)
        self.watch, self.loosened, self.alarms = DriftWatch(STEPS_BY), loosened, list[Alarm]()
        self._written = self.examples.copy()  # examples when the blocks were last written
        self._curved = np.zeros(len(CURVED), np.int64)  # and of those of a curvature, when it was; 0: not as it is

    def predict_many(self, x: Doubles) -> Doubles:
        """Probabilities, and the mean of `share_heard`, float64[n, len(OBJECTIVES)], of x float64[n, len(FEATURES)]."""
        return self.model.predict_many(x)

    def learn_many(self, x: Doubles, labels: Doubles, weights: Doubles) -> Doubles:
        """Predict, then learn, in order; answers what was predicted before each micro-batch, float64[n, len(OBJECTIVES)].

        x : float64[n, len(FEATURES)]; labels, weights : float64[n, len(OBJECTIVES)], labels from 0 to 1; a weight of 0: no example of that objective
        """
        predicted = self.model.learn_many(x, labels, weights)
        self.examples += (weights > 0.0).sum(0)
        places = 2 * BINS * np.arange(len(OBJECTIVES)) + np.minimum((predicted * BINS).astype(np.intp), BINS - 1)
        units, ones = weights * UNITS, np.rint(weights * labels * UNITS)
        both, amounts = np.concatenate([places, places + BINS]), np.concatenate([units - ones, ones])
        counted = np.bincount(both.ravel(), amounts.ravel(), self.histograms.size).astype(np.int64)
        self.histograms += counted.reshape(self.histograms.shape)
        self.alarms = self.watch.learn_many(predicted, labels, weights)
        for curvature in {STEPS_BY[alarm.place] for alarm in self.alarms}:
            self.model.optimizer.loosen(curvature, self.loosened)
            self._curved[curvature] = 0  # else whoever takes over soon steps as if nothing had risen
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
        """The curvature that is named after an objective, as a row."""
        inverse = self.model.optimizer.inverse[CURVED.index(objective)]
        triangle = inverse[np.triu_indices(len(inverse))].astype(np.float32)
        return _VERSION + msgspec.msgpack.encode(Curvature(list(FEATURES), triangle.tobytes()))

    def changed_rows(self) -> dict[bytes, bytes]:
        """Blocks that have changed since the last call, with the curvatures that have changed enough; goes on from those as they are written."""
        rows = dict[bytes, bytes]()
        for name in np.array(OBJECTIVES)[self.examples != self._written].tolist():
            rows[BLOCK + name.encode()] = self.encode(name)
        curved = np.bincount(STEPS_BY, self.examples).astype(np.int64)
        for place in np.flatnonzero(curved - self._curved >= np.maximum(1.0, _CURVATURE_SHARE * curved)).tolist():
            rows[BLOCK + (CURVED[place] + CURVATURE).encode()] = curvature = self.encode_curvature(CURVED[place])
            self.model.optimizer.inverse[place] = _inverse(curvature)
            self._curved[place] = curved[place]
        self._written = self.examples.copy()
        return rows

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Go on from a row of this partition; one of an objective that is no more is left alone, features that are new are as in a new ranker."""
        name, model = key[1:].decode(), self.model
        objective = name.removesuffix(CURVATURE)
        if value is None or objective not in (CURVED if name.endswith(CURVATURE) else OBJECTIVES):
            return
        if name.endswith(CURVATURE):
            place = CURVED.index(objective)
            model.optimizer.inverse[place] = _inverse(value)
            self._curved[place] = max(1, self._curved[place])
            return
        place, block = OBJECTIVES.index(objective), decode_block(value)
        self.examples[place] = self._written[place] = block.examples
        model.intercepts[place] = block.intercept
        model.optimizer.n_iterations = max(model.optimizer.n_iterations, block.iterations)
        model.w[place] = _in_order(block, block.weights, starting_weights(OBJECTIVES, FEATURES)[place])
        model.optimizer.g2[place] = _in_order(block, block.squared, np.zeros(len(FEATURES)))
        if not self._curved[STEPS_BY[place]]:
            model.optimizer.take_squares(STEPS_BY[place])
        self.histograms[place] = _histogram(block)


class RankerMix:
    """The weights of all learner partitions, each as far as it knows them: averaged by the curvatures, as the mean of Gaussians is by their precisions.

    By the examples that they saw where one has no curvature, and always for the intercepts.

    blocks, precisions : by objective and partition, the latter float64[len(FEATURES), len(FEATURES)]

    >>> mix = RankerMix()
    >>> mix.score_many(np.zeros((2, len(FEATURES))))["like"].round(2).tolist()  # nothing learnt: the prior
    [0.02, 0.02]
    """

    def __init__(self) -> None:
        self.blocks: dict[str, dict[int, Block]] = {name: {} for name in OBJECTIVES}
        self.precisions: dict[str, dict[int, Doubles]] = {name: {} for name in CURVED}
        self._start = starting_weights(OBJECTIVES, FEATURES)
        self._weights = self._start.T.copy()
        self._intercepts = starting_intercepts(PRIORS, FEATURES)
        self._changed = False

    def apply_row(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Take a row of `ranker-weights`."""
        name = key[1:].decode()
        objective = name.removesuffix(CURVATURE)
        if key[:1] != BLOCK or value is None or objective not in (CURVED if name != objective else OBJECTIVES):
            return
        if name != objective:
            self.precisions[objective][partition] = np.linalg.inv(_inverse(value)).astype(np.float64)
        else:
            self.blocks[name][partition] = decode_block(value)
        self._changed = True

    def weights(self) -> tuple[Doubles, Doubles]:
        """The weights float64[len(FEATURES), len(OBJECTIVES)] and the intercepts of all partitions together; mixed once after rows have come."""
        if self._changed:
            sums = dict[tuple[int, tuple[int, ...]], Doubles]()
            for place in range(len(OBJECTIVES)):
                self._mix(place, sums)
            self._changed = False
        return self._weights, self._intercepts

    def _mix(self, place: int, sums: dict[tuple[int, tuple[int, ...]], Doubles]) -> None:
        """Mix an objective; sums : inverses of sums of precisions, which objectives share where the same partitions learnt them."""
        # in one order: workers sum alike
        blocks = {number: block for number, block in sorted(self.blocks[OBJECTIVES[place]].items()) if block.examples}
        if not blocks:
            return
        examples = np.array([block.examples for block in blocks.values()], np.float64)
        share = examples / examples.sum()
        weights = [_in_order(block, block.weights, self._start[place]) for block in blocks.values()]
        self._intercepts[place] = share @ np.array([block.intercept for block in blocks.values()])
        precisions = self.precisions[CURVED[STEPS_BY[place]]]
        if len(blocks) > 1 and blocks.keys() <= precisions.keys():
            of, key = [precisions[partition] for partition in blocks], (STEPS_BY[place], tuple(blocks))
            if key not in sums:
                sums[key] = np.linalg.inv(np.sum(of, axis=0)).astype(np.float64)
            known = np.sum([one @ each for one, each in zip(of, weights, strict=True)], axis=0)
            self._weights[:, place] = sums[key] @ known
        else:
            self._weights[:, place] = share @ np.array(weights)

    def score_many(self, x: Doubles) -> dict[str, Doubles]:
        """Probability per objective, of `share_heard` the mean, float64[n] each, of float64[n, len(FEATURES)]."""
        weights, intercepts = self.weights()
        predicted = sigmoid(x @ weights + intercepts)
        return dict(zip(OBJECTIVES, predicted.T, strict=True))

    def auc(self, objective: str) -> float:
        """AUC over everything that the partitions predicted before they learnt it; nan where there were not both outcomes."""
        return auc_of_histogram(self._predicted(objective))

    def calibration_error(self, objective: str) -> float:
        """The calibration error of the same predictions; nan where there were none."""
        return calibration_of_histogram(self._predicted(objective))

    def _predicted(self, objective: str) -> Whole:
        return sum((_histogram(block) for block in self.blocks[objective].values()), np.zeros((2, BINS), np.int64))


def _inverse(value: bytes) -> Doubles:
    """A curvature in the order of FEATURES; those that it does not know stand alone."""
    check_version(value)
    row = msgspec.msgpack.decode(value[1:], type=Curvature)
    size, known = len(row.features), {name: place for place, name in enumerate(row.features)}
    theirs: Doubles = np.zeros((size, size))
    rows, columns = np.triu_indices(size)
    theirs[rows, columns] = theirs[columns, rows] = np.frombuffer(row.inverse, np.float32)
    if tuple(row.features) == FEATURES:
        return theirs
    ours: Doubles = np.eye(len(FEATURES)) / EPS
    kept = [place for place, name in enumerate(FEATURES) if name in known]
    at = [known[FEATURES[place]] for place in kept]
    ours[np.ix_(kept, kept)] = theirs[np.ix_(at, at)]
    return ours


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


def auc_of(blocks: Iterable[bytes]) -> float:
    """AUC over several blocks of one objective, as they lie in `ranker-weights`."""
    return auc_of_histogram(sum((_histogram(decode_block(block)) for block in blocks), np.zeros((2, BINS), np.int64)))


def _histogram(block: Block) -> Whole:
    """A block's histogram; none of a release without tags, which counted a like's negatives once, and saves as likes."""
    if "tag_effect" not in block.features:
        return np.zeros((2, BINS), np.int64)
    return np.frombuffer(block.histogram, np.int64).reshape(2, BINS)


def _in_order(block: Block, values: bytes, start: Doubles) -> Doubles:
    """A block's float64 values in the order of FEATURES, those of `start` where it does not know one."""
    if tuple(block.features) == FEATURES:
        return np.frombuffer(values)
    known = dict(zip(block.features, np.frombuffer(values).tolist(), strict=True))
    return np.array([known.get(name, value) for name, value in zip(FEATURES, start.tolist(), strict=True)])
