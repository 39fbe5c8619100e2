"""mixup: training on mixtures of two samples (Zhang, Cisse, Dauphin and Lopez-Paz 2018)."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def mixed(inputs: Array, targets: Array, alpha: float, generator: np.random.Generator) -> tuple[Array, Array]:
    """Mix each sample of a batch with another one, inputs and targets by the same share.

    Parameters
    ----------
    inputs, targets : (n, ...) each.
    alpha : the share is drawn from Beta(alpha, alpha), one a sample; 0 leaves the batch as it is.
    """
    if alpha == 0:
        return inputs, targets
    share = generator.beta(alpha, alpha, len(inputs)).astype(np.float32)
    partner = generator.permutation(len(inputs))
    return _mixture(inputs, partner, share), _mixture(targets, partner, share)


def _mixture(values: Array, partner: npt.NDArray[np.int64], share: Array) -> Array:
    weight = share.reshape(-1, *[1] * (values.ndim - 1))
    mixture: Array = weight * values + (1 - weight) * values[partner]
    return mixture
