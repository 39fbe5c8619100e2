"""mixup: inputs and targets by the same weight."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competitions.bit_trader.models.mixup import mixup


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.05, 4))
def test_mixup_mixes_inputs_and_targets_by_one_share(seed: int, alpha: float) -> None:
    generator = np.random.default_rng(seed)
    value = generator.normal(size=9).astype(np.float32)
    inputs = value[:, None, None] * np.ones((9, 4, 2), np.float32)
    mixture, targets = mixup(inputs, 2 * value[:, None], alpha, generator)
    assert mixture.shape == inputs.shape
    assert mixture.dtype == np.float32
    assert mixture[:, 0, 0] * 2 == pytest.approx(targets[:, 0], abs=1e-5)
    assert mixture.min() >= value.min() - 1e-5
    assert mixture.max() <= value.max() + 1e-5


def test_without_alpha_nothing_is_mixed() -> None:
    inputs = np.ones((3, 2), np.float32)
    assert mixup(inputs, inputs, 0.0, np.random.default_rng(0))[0] is inputs
