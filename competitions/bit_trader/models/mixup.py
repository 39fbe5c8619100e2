"""mixup: training on convex combinations of two samples (Zhang, Cisse, Dauphin and Lopez-Paz 2018)."""

import numpy as np

from common.learn.arrays import Float32, Int64


def mixup(
    inputs: Float32, targets: Float32, alpha: float, generator: np.random.Generator
) -> tuple[Float32, Float32]:
    """Mix each sample of a batch with another one, inputs and targets by the same weight.

    Parameters
    ----------
    inputs, targets : (n, ...) each.
    alpha : the weight is drawn from Beta(alpha, alpha) per sample; 0 returns the batch unchanged.
    """
    if alpha == 0:
        return inputs, targets
    weight = generator.beta(alpha, alpha, len(inputs)).astype(np.float32)
    partner = generator.permutation(len(inputs))
    return _mixture(inputs, partner, weight), _mixture(targets, partner, weight)


def _mixture(values: Float32, partner: Int64, weight: Float32) -> Float32:
    weight = weight.reshape(-1, *[1] * (values.ndim - 1))  # (n,) -> (n, 1, ...), as many axes as values
    mixture: Float32 = weight * values + (1 - weight) * values[partner]
    return mixture
