"""Factorisation machines (Rendle 2010), on arrays and in micro-batches: what `dense_logistic` learns, and how any two features go together.

    score(x) = b + sum_i w_i x_i + sum_(i < j) <v_i, v_j> x_i x_j

Features are the dense ones and, where they are given, identities: whose play, which track, what came before. An identity is a feature of value
1 whose weight and factors lie in one of `slots` rows, by a hash; two in one slot share what is learnt. The interface is that of
`DenseLogisticRegressions`, and identities. Not for serving: docs/decisions/0024. River's `facto.FMClassifier` scores alike, a feature at a
time, which the tests hold; its AdaGrad keeps a sum of squares for each factor, of all features together, ours one for each feature's.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from online_models.dense_logistic import sigmoid
from online_models.track import Doubles

Slots = NDArray[np.intp]
SLOTS = 1 << 16


def slot_of(field: str, identity: str, slots: int = SLOTS) -> int:
    """Where an identity of a field lies, the same in every process.

    >>> slot_of("track", "t1") == slot_of("track", "t1"), slot_of("track", "t1") == slot_of("artist", "t1")
    (True, False)
    """
    digest = blake2b(f"{field}:{identity}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % slots


class FactorisationMachines:
    """Factorisation machines over the same `size` dense features and identities, one for each prior.

    priors : the rates of 1 before anything is learnt
    factors : length of each v_i; deviation : of their first values, which are normal
    batch : examples of a micro-batch, predicted and stepped at once
    dense, slotted : float64[len(priors), size, 1 + factors], float64[len(priors), slots, 1 + factors], of each feature w_i and v_i

    >>> models = FactorisationMachines(2, priors=[0.5], slots=0)
    >>> x, alike = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]), np.array([[1.0], [0.0], [0.0], [1.0]])
    >>> for _ in range(100):
    ...     before = models.learn_many(x, alike, np.ones((4, 1)))
    >>> (models.predict_many(x) > 0.5).ravel().tolist()  # no sum of two weights can say this
    [True, False, False, True]
    """

    def __init__(
        self,
        size: int,
        *,
        priors: Sequence[float],
        slots: int = SLOTS,
        factors: int = 16,
        lr: float = 0.03,
        intercept_lr: float = 0.01,
        clip_gradient: float = 2.0,
        deviation: float = 0.03,
        batch: int = 16,
        seed: int = 0,
    ) -> None:
        rates, rng = np.array(priors, np.float64), np.random.default_rng(seed)
        self.intercepts: Doubles = np.log(rates / (1.0 - rates))
        self.dense, self.slotted = (
            np.concatenate([np.zeros((*shape, 1)), rng.normal(0.0, deviation, (*shape, factors))], axis=2)
            for shape in ((len(rates), size), (len(rates), slots))
        )
        # AdaGrad's sums begin at 1: a first step is no longer than `lr` times its gradient
        self.dense_squares, self.slotted_squares = np.ones_like(self.dense), np.ones_like(self.slotted)
        self.lr, self.intercept_lr, self.clip_gradient, self.batch = lr, intercept_lr, clip_gradient, batch

    def predict_many(self, x: Doubles, identities: Slots | None = None) -> Doubles:
        """The probabilities of 1, float64[n, len(priors)], of x float64[n, size] and identities intp[n, fields]."""
        slots, x_squared = _slots(x, identities), x * x
        raw = [self._pulls(place, x, x_squared, slots)[0] for place in range(len(self.intercepts))]
        return sigmoid(np.stack(raw, 1))

    def learn_many(self, x: Doubles, y: Doubles, weights: Doubles, identities: Slots | None = None) -> Doubles:
        """Predict and learn examples in their order; answers the probabilities from before each micro-batch, float64[n, len(priors)].

        x : float64[n, size]; y, weights : float64[n, len(priors)], y from 0 to 1; identities : intp[n, fields]
        """
        slots, x_squared, predicted = _slots(x, identities), x * x, np.empty(y.shape)
        for start in range(0, len(x), self.batch):
            part = slice(start, start + self.batch)
            for place in range(len(self.intercepts)):
                raw, pulls, factors = self._pulls(place, x[part], x_squared[part], slots[part])
                predicted[part, place] = chances = sigmoid(raw)
                slopes = (chances - y[part, place]) * weights[part, place]
                slopes = np.clip(slopes, -self.clip_gradient, self.clip_gradient)
                self._step(place, slopes, x[part], x_squared[part], slots[part], pulls, factors)
        return predicted

    def _pulls(self, place: int, x: Doubles, x_squared: Doubles, slots: Slots) -> tuple[Doubles, Doubles, Doubles]:
        """Scores float64[n]; 1 and the sum of all v_i x_i, float64[n, 1 + factors]; what lies in the slots, float64[n, fields, 1 + factors]."""
        dense, slotted = self.dense[place], self.slotted[place, slots]
        pulls: Doubles = x @ dense + slotted.sum(1)
        v, slotted_v = dense[:, 1:], slotted[:, :, 1:]
        themselves = x_squared @ np.square(v).sum(1) + np.square(slotted_v).sum((1, 2))
        raw: Doubles = self.intercepts[place] + pulls[:, 0] + (np.square(pulls[:, 1:]).sum(1) - themselves) / 2.0
        pulls[:, 0] = 1.0
        return raw, pulls, slotted

    def _step(
        self,
        place: int,
        slopes: Doubles,
        x: Doubles,
        x_squared: Doubles,
        slots: Slots,
        pulls: Doubles,
        slotted: Doubles,
    ) -> None:
        """One step of one machine: by the squared gradient of the batch for a dense feature, of each example for a slot."""
        self.intercepts[place] -= self.intercept_lr * slopes.sum()
        dense, squares = self.dense[place], self.dense_squares[place]
        gradients = (x * slopes[:, None]).T @ pulls
        gradients[:, 1:] -= (slopes @ x_squared)[:, None] * dense[:, 1:]
        squares += gradients * gradients
        dense -= self.lr * gradients / np.sqrt(squares)
        if slots.size:
            slotted[:, :, 0] = 0.0  # a weight's gradient is the slope alone
            gradients = slopes[:, None, None] * (pulls[:, None, :] - slotted)
            np.add.at(self.slotted_squares[place], slots, gradients * gradients)
            np.add.at(self.slotted[place], slots, -self.lr * gradients / np.sqrt(self.slotted_squares[place, slots]))


def _slots(x: Doubles, identities: Slots | None) -> Slots:
    return np.zeros((len(x), 0), np.intp) if identities is None else identities
