"""Repeated K-fold and leave-one-coin-out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.base.errors import InputError
from competitions.bit_trader.data.folds import held_out_sets
from competitions.bit_trader.data.windows import Windows, draw_fold_orders
from competitions.bit_trader.experiment import BitTraderExperiment


def bare(coin_index: np.ndarray) -> Windows:
    number = np.arange(len(coin_index))
    order = draw_fold_orders(len(number), seed=5)
    return Windows(number, coin_index, order, np.empty((len(number), 0, 9), np.float32), None)


def settings_of(cv: str, folds: int, repeats: int = 1) -> BitTraderExperiment:
    return BitTraderExperiment(name="x", folds=folds, cv=cv, repeats=repeats)  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 40), st.integers(2, 3), st.integers(1, 5))
def test_repeated_folds_hold_out_each_sample_once_per_repeat(samples: int, folds: int, repeats: int) -> None:
    windows, chosen = bare(np.zeros(samples, np.int64)), settings_of("repeated_kfold", folds, repeats)
    parts = [part for fold in range(folds) for part in held_out_sets(chosen, windows, fold)]
    assert len(parts) == folds * repeats
    for repeat in range(repeats):
        rows = np.concatenate([part.rows for part in parts if part.repeat == repeat])
        assert sorted(rows) == list(range(samples))
    sizes = [len(part.rows) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_repeats_and_seeds_give_other_folds() -> None:
    first, second = draw_fold_orders(60, seed=5), draw_fold_orders(60, seed=6)
    assert np.array_equal(first, draw_fold_orders(60, seed=5))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first[:, 0], first[:, 1])


def test_each_coin_is_held_out_alone() -> None:
    windows, chosen = bare(np.array([7, 3, 7, 1, 3, 9, 1, 7])), settings_of("leave_one_coin_out", 3)
    parts = [part for fold in range(3) for part in held_out_sets(chosen, windows, fold)]
    assert sorted(part.name for part in parts) == ["coin1", "coin3", "coin7", "coin9"]
    for part in parts:
        (coin,) = set(windows.coin_index[part.rows])
        assert part.name == f"coin{coin}"
        assert len(part.rows) == (windows.coin_index == coin).sum()


def test_too_few_coins_or_samples_are_refused() -> None:
    windows = bare(np.zeros(9, np.int64))
    assert len(held_out_sets(settings_of("repeated_kfold", 3), windows, 0)) == 1
    with pytest.raises(InputError, match="1 coins"):
        held_out_sets(settings_of("leave_one_coin_out", 3), windows, 0)
    with pytest.raises(InputError, match="9 samples"):
        held_out_sets(settings_of("repeated_kfold", 10), windows, 0)
