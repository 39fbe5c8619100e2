"""Bootstrap intervals."""

import numpy as np

from common.learn.bootstrap import bootstrap_interval


def test_interval_of_a_mean_is_near_the_textbook_one() -> None:
    rows = np.random.default_rng(0).normal(3.0, 2.0, 400)
    low, high = bootstrap_interval(rows, lambda sample: sample.mean(axis=1), seed=1)
    half = 1.645 * rows.std() / np.sqrt(len(rows))
    assert abs(low - (rows.mean() - half)) < 0.03
    assert abs(high - (rows.mean() + half)) < 0.03


def test_rows_may_have_columns_and_the_seed_decides() -> None:
    rows = np.column_stack([np.arange(50.0), np.arange(50.0) + 1])

    def ratio(sample: np.ndarray) -> np.ndarray:
        return sample[..., 0].sum(axis=1) / sample[..., 1].sum(axis=1)

    assert bootstrap_interval(rows, ratio, seed=1) == bootstrap_interval(rows, ratio, seed=1)
    assert bootstrap_interval(rows, ratio, seed=1) != bootstrap_interval(rows, ratio, seed=2)
