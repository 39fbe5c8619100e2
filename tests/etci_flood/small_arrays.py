"""Small processed arrays for tests of networks."""

import numpy as np
import pandas as pd

from competitions.etci_flood.data.tiles import TileArrays


def random_arrays() -> TileArrays:
    """Four tiles of one scene, the last one unreadable; flood is where VV is below 60."""
    layers = np.random.default_rng(0).integers(0, 256, (2, 4, 256, 256), dtype=np.uint8)
    flood = (layers[0] < 60).astype(np.uint8)
    tiles = pd.DataFrame(
        {
            "tile": [f"a_x-{row}_y-0" for row in range(4)],
            "scene": "a",
            "x": range(4),
            "y": 0,
            "labelled": [True, True, False, False],
            "readable": [True, True, True, False],
            "no_data": False,
            "has_flood": True,
            "vv_centre": 100.0,
            "vv_spread": 50.0,
            "vh_centre": 120.0,
            "vh_spread": 60.0,
        }
    )
    return TileArrays(tiles, layers[0], layers[1], flood, flood)
