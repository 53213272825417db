"""River's logistic regression where every example has the same features: several of them side by side, on arrays, in micro-batches.

River keeps weights by name and loops over them. Here they are one float64 matrix, a row per model; the arithmetic is River's (`losses.Log`,
`clip_gradient`, online Newton steps), on arrays. A micro-batch is predicted and stepped at once; in batches of one, and without drift, the
numbers are those of River's stock model, which the tests hold.
"""

from collections.abc import Sequence

import numpy as np
from river import optim
from scipy.linalg.blas import dgemm
from scipy.linalg.lapack import dpotrf, dtrtri

from online_models.track import Doubles


class DenseNewton(optim.Newton):
    """River's online Newton step (Hazan et al. 2007) on matrices: features that say the same share a step, whatever their scales.

    drift : added to the diagonal of an inverse for each example that it learns, up to 1 / eps: what was learnt long ago holds less
    inverse : float64[k, size, size], of eps * I + the sum of the gradients' outer products, by model
    g2 : float64[k, size], sums of squared gradients: what a release before the curvature's rows goes on from
    """

    def __init__(self, lr: float, shape: tuple[int, int], *, eps: float = 20.0, drift: float = 2e-7) -> None:
        super().__init__(lr, eps)
        self.drift = drift
        self.g2: Doubles = np.zeros(shape)
        self.inverse: Doubles = np.tile(np.eye(shape[1]) / eps, (shape[0], 1, 1))

    def step_many(self, w: Doubles, slopes: Doubles, x: Doubles, x_squared: Doubles) -> None:
        """Step `w` float64[k, size] along examples x float64[n, size], by the loss's slopes float64[n, k] in what `w` scores."""
        self.g2 += (slopes * slopes).T @ x_squared
        for place in range(len(w)):
            taught = np.flatnonzero(slopes[:, place])
            if len(taught):
                gradients = x[taught] * slopes[taught, place, None]
                self._step(w[place], self.inverse[place], gradients, self.drift * len(taught))
        self.n_iterations += len(x)

    def _step(self, w: Doubles, inverse: Doubles, gradients: Doubles, drift: float) -> None:
        """One model, in place, by the Woodbury identity; gradients : float64[n, size].

        The inverse loses `reached.T @ inner^-1 @ reached`; the root of inner^-1 is triangular and takes half of the work.
        """
        reached = gradients @ inverse
        inner = reached @ gradients.T
        inner.ravel()[:: len(inner) + 1] += 1.0
        root = dtrtri(dpotrf(inner.T, lower=1, clean=1, overwrite_a=1)[0], lower=1, overwrite_c=1)[0]
        half = root @ reached
        w -= self.learning_rate * (root.sum(1) @ half)
        # symmetric, so its transpose is the column-major array that BLAS adds to in place
        dgemm(-1.0, half.T, half.T, trans_b=1, beta=1.0, c=inverse.T, overwrite_c=1)
        diagonal = inverse.ravel()[:: len(w) + 1]
        diagonal += drift * (diagonal < 1.0 / self.eps)

    def take_squares(self, place: int, squares: Doubles) -> None:
        """Go on from the sums of squared gradients alone, as if no two features had anything in common."""
        self.g2[place], self.inverse[place] = squares, np.diag(1.0 / (self.eps + squares))


class DenseLogisticRegressions:
    """Logistic regressions over the same `size` features, one for each prior.

    priors : the rates of True before anything is learnt
    batch : examples of a micro-batch
    w : float64[len(priors), size]

    >>> models = DenseLogisticRegressions(2, priors=[0.5, 0.5])
    >>> x, labels, weights = np.array([[1.0, 0.0]]), np.array([[True, False]]), np.array([[1.0, 0.0]])
    >>> for _ in range(50):
    ...     before = models.learn_many(x, labels, weights)
    >>> bool(before[0, 0] > 0.7), float(before[0, 1])  # an example of weight 0 is none
    (True, 0.5)
    """

    def __init__(
        self,
        size: int,
        *,
        priors: Sequence[float],
        lr: float = 1.0,
        intercept_lr: float = 0.01,
        clip_gradient: float = 2.0,
        drift: float = 2e-7,
        batch: int = 16,
    ) -> None:
        rates = np.array(priors, np.float64)
        self.intercepts: Doubles = np.log(rates / (1.0 - rates))
        self.w: Doubles = np.zeros((len(rates), size))
        self.intercept_lr, self.clip_gradient, self.batch = intercept_lr, clip_gradient, batch
        self.optimizer = DenseNewton(lr, (len(rates), size), drift=drift)

    def predict_many(self, x: Doubles) -> Doubles:
        """The probabilities of True, float64[n, len(priors)], of x float64[n, size]."""
        return sigmoid(x @ self.w.T + self.intercepts)

    def learn_many(self, x: Doubles, y: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]", weights: Doubles) -> Doubles:
        """Predict and learn examples in their order; answers the probabilities from before each micro-batch, float64[n, len(priors)].

        x : float64[n, size]; y, weights : bool, float64[n, len(priors)]
        """
        x_squared, predicted = x * x, np.empty(y.shape)
        for start in range(0, len(x), self.batch):
            part = slice(start, start + self.batch)
            predicted[part] = self.predict_many(x[part])
            slopes = (predicted[part] - y[part]) * weights[part]
            np.minimum(slopes, self.clip_gradient, out=slopes)
            np.maximum(slopes, -self.clip_gradient, out=slopes)
            self.intercepts -= self.intercept_lr * slopes.sum(0)
            self.optimizer.step_many(self.w, slopes, x[part], x_squared[part])
        return predicted


def sigmoid(raw: Doubles) -> Doubles:
    """1 / (1 + exp(-raw)), without an overflow."""
    probabilities: Doubles = 1.0 / (1.0 + np.exp(np.minimum(-raw, 700.0)))
    return probabilities
