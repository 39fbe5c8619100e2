from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.base.errors import InputError
from competitions.etci_flood.decision.ensemble_weights import blend_maps, read_oof_maps, tune_weights


def write_fold(folder: Path, rows: list[int], maps: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    np.save(folder / "oof.npy", maps)
    pd.DataFrame({"row": np.array(rows, np.int64)}).to_parquet(folder / "oof_tiles.parquet")
    return folder


def noisy(flood: np.ndarray, noise: float, seed: int) -> np.ndarray:
    values = flood * 120 + 70 + np.random.default_rng(seed).normal(0, noise, flood.shape)
    return values.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def flood() -> np.ndarray:
    masks = np.zeros((3, 256, 256), np.uint8)
    masks[:, :, 100:180] = 1
    return masks


def test_the_better_model_has_the_larger_weight(flood: np.ndarray) -> None:
    maps = [noisy(flood, 30, 1), noisy(flood, 90, 2)]
    first, second = tune_weights([(np.arange(3), maps)], flood, 2)
    assert first + second == pytest.approx(1)
    assert first > second > 0, "independent errors cancel, so the worse model has a weight above 0"


def test_a_useless_model_has_little_weight(flood: np.ndarray) -> None:
    useless = np.random.default_rng(3).integers(0, 256, flood.shape, dtype=np.uint8)
    assert tune_weights([(np.arange(3), [flood * np.uint8(200), useless, useless])], flood, 3)[0] > 0.5


def test_without_held_out_tiles_weights_are_equal(flood: np.ndarray) -> None:
    assert tune_weights([], flood, 4) == [0.25] * 4


def test_blend_maps_by_hand(flood: np.ndarray) -> None:
    maps = [np.full_like(flood, 100), np.full_like(flood, 200)]
    batches = list(blend_maps(maps, [0.3, 0.7], batch_size=2))
    assert [len(batch) for batch in batches] == [2, 1]
    assert all((batch == 170).all() and batch.dtype == np.uint8 for batch in batches)


def test_parents_must_hold_out_the_same_tiles(flood: np.ndarray, tmp_path: Path) -> None:
    one = write_fold(tmp_path / "a" / "fold0", [0, 1, 2], flood)
    other = write_fold(tmp_path / "b" / "fold0", [0, 1], flood[:2])
    rows, maps = read_oof_maps([one, one])
    assert rows.tolist() == [0, 1, 2]
    assert np.array_equal(maps[1], flood)
    with pytest.raises(InputError, match="holds out other tiles"):
        read_oof_maps([one, other])
