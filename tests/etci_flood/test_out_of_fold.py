from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.decision.out_of_fold import count_out_of_fold, evaluate_oof, scene_lines
from competitions.etci_flood.decision.thresholds import DEFAULT_THRESHOLD

SHAPE = (4, 256, 256)


@pytest.fixture
def arrays() -> TileArrays:
    """Four tiles of two scenes; the left quarter is flood, brighter in b than dry land in a."""
    flood, vv, water = (np.zeros(SHAPE, np.uint8) for _ in range(3))
    flood[:, :, :64] = 1
    vv[:2] = np.where(flood[:2], 50, 90)
    vv[2:] = np.where(flood[2:], 120, 150)
    vh = np.where(flood, 30, 60).astype(np.uint8)
    water[:, :, :32] = 1
    tiles = pd.DataFrame({"scene": ["a", "a", "b", "b"], "noisy_pixels": 0})
    return TileArrays(tiles, vv, vh, water, flood)


def write_fold(folder: Path, rows: list[int], maps: np.ndarray) -> Path:
    folder.mkdir()
    np.save(folder / "oof.npy", maps)
    pd.DataFrame({"row": np.array(rows, np.int64)}).to_parquet(folder / "oof_tiles.parquet")
    return folder


def test_threshold_and_metrics_by_hand(arrays: TileArrays, tmp_path: Path) -> None:
    # The maps find the flood at value 180, and an equal area that is not flood at value 100.
    maps = np.zeros(SHAPE, np.uint8)
    maps[:, :, :128] = 100
    maps[:, :, :64] = 180
    folders = [
        write_fold(tmp_path / "fold0", [0, 1], maps[:2]),
        write_fold(tmp_path / "fold1", [2, 3], maps[2:]),
    ]
    counted = count_out_of_fold(arrays, folders)
    pooled = evaluate_oof(counted, seed=1)
    assert 100 < pooled.decision["threshold"] <= 180
    assert pooled.metrics["oof_iou"] == 1
    assert pooled.metrics["baseline: permanent water"] == 0.5
    curve = pooled.thresholds["iou"].to_numpy()
    assert curve[0] == 0.25
    assert curve[50] == 0.5
    assert curve[200] == 0
    assert pooled.scenes["tiles"].tolist() == [2, 2]


def test_the_baseline_threshold_is_the_best_on_the_pooled_tiles(arrays: TileArrays, tmp_path: Path) -> None:
    folder = write_fold(tmp_path / "fold0", [0, 1, 2, 3], np.zeros(SHAPE, np.uint8))
    scenes = evaluate_oof(count_out_of_fold(arrays, [folder]), seed=1).scenes.set_index("scene")
    # From 51 to 90 it finds all of a and nothing of b: 2 / 4. From 121 to 150 all of b, but all of a: 4 / 10.
    assert scenes["vv_threshold"].to_dict() == {"a": 1.0, "b": 0.0}
    # VH tells flood from land in both.
    assert scenes["linear_rule"].to_dict() == {"a": 1.0, "b": 1.0}


def test_suspected_label_noise_is_reported(arrays: TileArrays, tmp_path: Path) -> None:
    arrays.tiles["noisy_pixels"] = [256 * 64, 0, 0, 0]
    maps = arrays.flood * np.uint8(200)
    maps[0] = 0
    folder = write_fold(tmp_path / "fold0", [0, 1, 2, 3], maps)
    pooled = evaluate_oof(count_out_of_fold(arrays, [folder]), seed=1)
    assert pooled.metrics["oof_iou"] == pooled.metrics["oof_iou_upper_bound"] == 0.75
    assert pooled.metrics["oof_iou_clean"] == 1
    scenes = pooled.scenes.set_index("scene")
    assert scenes["iou_upper_bound"].to_dict() == {"a": 0.5, "b": 1.0}
    assert scenes["noisy_tiles"].to_dict() == {"a": 1, "b": 0}
    first, second = scene_lines(pooled.scenes)
    assert "1 with suspected label noise: IoU without them 1.000, upper bound with them 0.500" in first
    assert "noise" not in second


def test_without_held_out_tiles_there_are_no_metrics(arrays: TileArrays, tmp_path: Path) -> None:
    folder = write_fold(tmp_path / "fold0", [], np.zeros((0, 256, 256), np.uint8))
    counted = count_out_of_fold(arrays, [folder])
    pooled = evaluate_oof(counted, seed=1)
    assert (pooled.metrics, pooled.decision) == ({}, {"threshold": DEFAULT_THRESHOLD})
