import numpy as np
import pandas as pd
import pytest

from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.models.pseudo_labels import is_sure, pseudo_labels


class _DarkIsFlood:
    margin = 0

    def probability(self, layers: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return (1 - layers[:, 0] / 255).astype(np.float32)


@pytest.mark.parametrize(("sure", "expected"), [(0.89, False), (0.91, True)])
def test_nine_tenths_must_be_sure(sure: float, expected: bool) -> None:
    levels = np.full((100, 100), 128, np.uint8)
    levels.ravel()[: int(sure * 10_000)] = 250
    levels.ravel()[: int(sure * 5_000)] = 3
    assert is_sure(levels) is expected


def test_only_unlabelled_readable_tiles_of_sure_maps_are_labelled() -> None:
    vv = np.zeros((5, 256, 256), np.uint8)
    vv[1], vv[2, :, 200:] = 100, 255  # unsure; sure of both
    tiles = pd.DataFrame(
        {
            "scene": "a",
            "x": range(5),
            "y": 0,
            "labelled": [True, False, False, False, False],
            "readable": [True, True, True, False, True],
            "blank": [False, False, False, False, True],
            "vv_centre": 0.0,
            "vv_spread": 1.0,
            "vh_centre": 0.0,
            "vh_spread": 1.0,
        }
    )
    found = pseudo_labels(_DarkIsFlood(), TileArrays(tiles, vv, vv, vv, vv[:1]), batch=2)
    assert list(found) == [2]
    assert np.array_equal(found[2], (vv[2] == 0).astype(np.uint8))
