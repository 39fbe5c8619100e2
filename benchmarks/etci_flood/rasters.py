"""A raster of 10,000 x 10,000 pixels: is its memory bounded?"""

from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.etci_flood.networks import experiment
from benchmarks.etci_flood.tiles import SLUG
from benchmarks.side_by_side import Comparison, compare_processes


def map_a_raster(source: Path, target: Path) -> None:
    """A whole raster by a U-Net with the champion's settings and random weights."""
    from competitions.etci_flood.models.network_model import NetworkModel
    from competitions.etci_flood.models.networks import build_network
    from competitions.etci_flood.predict.backscatter_scale import BackscatterScale
    from competitions.etci_flood.predict.geotiff import open_raster, write_flood
    from competitions.etci_flood.predict.windows import fit_stretch, flood_mask, predict_windows

    scale = BackscatterScale((45, 45), (140, 185), np.array([[140, 30], [180, 40]], np.float32))
    settings = experiment()
    model = NetworkModel(build_network(settings.network, settings.channels), settings, "cpu")
    with open_raster(source) as raster:
        stretch = fit_stretch(raster, "db", scale)
        windows = predict_windows(raster, [(1.0, model)], stretch)
        write_flood(
            raster, target, ((window, flood_mask(map_, known, 128)) for window, map_, known in windows)
        )


def write_raster(path: Path, side: int) -> Path:
    """A tiled, compressed raster of `side` x `side` pixels in decibels, full of land."""
    import rasterio
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    block = np.random.default_rng(1).normal(-12, 2, (2, 1000, 1000)).astype(np.float32)
    grid = {"crs": "EPSG:32614", "transform": from_origin(500_000, 4_700_000, 10, 10)}
    tiled = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1}
    with rasterio.open(path, "w", "GTiff", side, side, 2, dtype="float32", **grid, **tiled) as raster:
        raster.descriptions = ("VV", "VH")
        for top in range(0, side, 1000):
            for left in range(0, side, 1000):
                raster.write(block, window=Window(left, top, 1000, 1000))
    return path


def raster(temp_dir: Path) -> list[Comparison]:
    """A raster of 10,000 x 10,000 next to one of a twenty-fifth of its area."""
    large, small = write_raster(temp_dir / "large.tif", 10_000), write_raster(temp_dir / "small.tif", 2_000)
    return [
        compare_processes(
            SLUG,
            "map a raster of 10,000 x 10,000, no TTA, U-Net mobilenet_v2",
            ours=("window by window", partial(map_a_raster, large, temp_dir / "large_flood.tif")),
            peer=("the same on 2,000 x 2,000", partial(map_a_raster, small, temp_dir / "small_flood.tif")),
            target="bounded memory",
            runs=1,
        )
    ]
