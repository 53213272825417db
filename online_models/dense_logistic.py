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

EPS = 20.0  # what a weight is held to 0 by before anything is learnt


class DenseNewton(optim.Newton):
    """River's online Newton step (Hazan et al. 2007) on matrices: features that say the same share a step, whatever their scales.

    steps_by : the curvature that each model steps by; an example adds to one as the root of the mean square of its slopes in all that share it
    drift : added to the diagonal of an inverse for each example that it learns, up to 1 / eps: what was learnt long ago holds less
    inverse : float64[curvatures, size, size], of eps * I + the sum of the gradients' outer products
    g2 : float64[k, size], sums of squared gradients: what a release before the curvature's rows goes on from
    """

    def __init__(self, lr: float, size: int, steps_by: Sequence[int], *, eps: float = EPS, drift: float = 2e-7) -> None:
        super().__init__(lr, eps)
        self.drift = drift
        self.g2: Doubles = np.zeros((len(steps_by), size))
        self.inverse: Doubles = np.tile(np.eye(size) / eps, (max(steps_by) + 1, 1, 1))
        self.sharing = [[place for place, by in enumerate(steps_by) if by == one] for one in range(len(self.inverse))]

    def step_many(self, w: Doubles, slopes: Doubles, x: Doubles, x_squared: Doubles) -> None:
        """Step `w` float64[k, size] along examples x float64[n, size], by the loss's slopes float64[n, k] in what `w` scores."""
        squares = slopes * slopes
        self.g2 += squares.T @ x_squared
        for inverse, sharing in zip(self.inverse, self.sharing, strict=True):
            sizes = np.sqrt(squares[:, sharing] @ np.full((len(sharing), 1), 1.0 / len(sharing)))
            taught = np.flatnonzero(sizes)
            if len(taught) == len(x):
                w[sharing] -= self._step(inverse, slopes[:, sharing], x, sizes * x)
            elif len(taught):
                chosen = x[taught]
                w[sharing] -= self._step(inverse, slopes[taught][:, sharing], chosen, sizes[taught] * chosen)
        self.n_iterations += len(x)

    def _step(self, inverse: Doubles, slopes: Doubles, x: Doubles, gradients: Doubles) -> Doubles:
        """Add gradients to an inverse, in place, by the Woodbury identity; answers the models' steps, float64[slopes.shape[1], size].

        The inverse loses `reached.T @ inner^-1 @ reached`; the root of inner^-1 is triangular and takes half of the work.
        """
        reached = gradients @ inverse
        inner = reached @ gradients.T
        inner.ravel()[:: len(inner) + 1] += 1.0
        root, failed = dpotrf(inner.T, lower=1, clean=1, overwrite_a=1)
        assert failed == 0, f"dpotrf: info {failed} of {len(x)} examples, expected 0: a curvature that is not positive"
        root, failed = dtrtri(root, lower=1, overwrite_c=1)
        assert failed == 0, f"dtrtri: info {failed} of {len(x)} examples, expected 0: a root that is singular"
        half = root @ reached
        # symmetric, so its transpose is the column-major array that BLAS adds to in place
        dgemm(-1.0, half.T, half.T, trans_b=1, beta=1.0, c=inverse.T, overwrite_c=1)
        steps: Doubles = self.learning_rate * (slopes.T @ x @ inverse)
        diagonal = inverse.ravel()[:: len(inverse) + 1]
        diagonal += self.drift * len(x) * (diagonal < 1.0 / self.eps)
        return steps

    def loosen(self, place: int, times: float) -> None:
        """Let what a curvature has summed count so many times less, where that leaves more than nothing known: its models go by what comes now."""
        inverse = self.inverse[place]
        scale = np.sqrt(np.clip(1.0 / (self.eps * np.diagonal(inverse)), 1.0, times))
        inverse *= scale[:, None] * scale

    def take_squares(self, place: int) -> None:
        """Fill a curvature from the largest sums of squared gradients of its models alone, as if no two features had anything in common."""
        self.inverse[place] = np.diag(1.0 / (self.eps + self.g2[self.sharing[place]].max(0)))


class DenseLogisticRegressions:
    """Logistic regressions over the same `size` features, one for each prior; a label may be a share, whose mean is then predicted.

    priors : the rates of 1 before anything is learnt
    steps_by : the curvature that each steps by (`DenseNewton`); its own without it
    batch : examples of a micro-batch
    w : float64[len(priors), size]

    >>> models = DenseLogisticRegressions(2, priors=[0.5, 0.5])
    >>> x, labels, weights = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]])
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
        steps_by: Sequence[int] | None = None,
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
        self.optimizer = DenseNewton(lr, size, range(len(rates)) if steps_by is None else steps_by, drift=drift)

    def predict_many(self, x: Doubles) -> Doubles:
        """The probabilities of 1, float64[n, len(priors)], of x float64[n, size]."""
        return sigmoid(x @ self.w.T + self.intercepts)

    def learn_many(self, x: Doubles, y: Doubles, weights: Doubles) -> Doubles:
        """Predict and learn examples in their order; answers the probabilities from before each micro-batch, float64[n, len(priors)].

        x : float64[n, size]; y, weights : float64[n, len(priors)], y from 0 to 1
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
