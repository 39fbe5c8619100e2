import numpy as np
import pandas as pd
import pytest

from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.models.pseudo_labels import is_confident, pseudo_labels


class _DarkIsFlood:
    padding = 0
    needs_scene = False

    def probability(self, layers: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return (1 - layers[:, 0] / 255).astype(np.float32)


@pytest.mark.parametrize(("confident", "expected"), [(0.89, False), (0.91, True)])
def test_nine_tenths_must_be_confident(confident: float, expected: bool) -> None:
    probability = np.full((100, 100), 128, np.uint8)
    probability.ravel()[: int(confident * 10_000)] = 250
    probability.ravel()[: int(confident * 5_000)] = 3
    assert is_confident(probability) is expected


def test_only_unlabelled_readable_tiles_with_confident_maps_are_labelled() -> None:
    vv = np.zeros((5, 256, 256), np.uint8)
    vv[1], vv[2, :, 200:] = 100, 255  # not confident; confident of both classes
    tiles = pd.DataFrame(
        {
            "scene": "a",
            "x": range(5),
            "y": 0,
            "labelled": [True, False, False, False, False],
            "readable": [True, True, True, False, True],
            "no_data": [False, False, False, False, True],
            "vv_centre": 0.0,
            "vv_spread": 1.0,
            "vh_centre": 0.0,
            "vh_spread": 1.0,
        }
    )
    found = pseudo_labels(_DarkIsFlood(), TileArrays(tiles, vv, vv, vv, vv[:1]), batch_size=2)
    assert list(found) == [2]
    assert np.array_equal(found[2], (vv[2] == 0).astype(np.uint8))
