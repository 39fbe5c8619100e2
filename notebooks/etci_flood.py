# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # ETCI 2021 flood detection
#
# Train the champion, look at its data and its maps, and map a raster of your own. Without official data this
# runs on synthetic sample data. For the official data put `train/`, `test/` and `test_internal/` into
# `data/etci_flood/`; see the [README](../competitions/etci_flood/README.md).

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rasterio
from rasterio.transform import from_origin

from common.run.notebook import copy_trained, run_stages
from common.run.run_record import read_record
from competitions.etci_flood import load
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.data.tiles import open_tile_arrays
from competitions.etci_flood.sample.scene_simulation import decibels_of, simulate_scene

WORK = Path(os.environ.get("COMPETITIONS_WORK", "work")) / "etci_flood"

# %% [markdown]
# ## Train
#
# The four scripts read tiles into arrays, train one model per fold, predict the test tiles, and write the
# submission. Finished stages are not repeated.

# %%
run_stages("etci_flood", work=WORK)

# %% [markdown]
# ## Data
#
# A tile has two polarisations, VV and VH, and permanent water. Labelled tiles have a flood mask.

# %%
print("raw data:", read_record(WORK / "processed" / "run.json").data)
arrays = open_tile_arrays(WORK / "processed")
tiles = arrays.tiles
tiles.groupby(["split", "scene"])[["no_data", "has_flood"]].agg(["size", "sum"])


# %%
def show(rows: list[list[np.ndarray]], titles: list[str]) -> None:
    """Images side by side: grey for backscatter, blue for masks and probabilities."""
    _, axes = plt.subplots(
        len(rows), len(titles), figsize=(2.4 * len(titles), 2.5 * len(rows)), squeeze=False
    )
    for line, images in zip(axes, rows, strict=True):
        for axis, image, title in zip(line, images, titles, strict=True):
            axis.imshow(
                image, cmap="gray" if title.startswith("V") else "Blues", vmin=0, vmax=image.max() or 1
            )
            axis.set(title=title, xticks=[], yticks=[])
    plt.show()


def examples(rows: np.ndarray, number: int = 3) -> np.ndarray:
    """Positions of rows that are about a third flood, among 500 evenly spread ones."""
    positions = np.arange(0, len(rows), -(-len(rows) // 500))
    share = np.array([arrays.flood[row].mean() for row in rows[positions]])
    return positions[np.argsort(np.abs(share - 1 / 3))[:number]]


layers = (arrays.vv, arrays.vh, arrays.water, arrays.flood)
rows = examples(np.arange(len(arrays.flood)))
show([[layer[row] for layer in layers] for row in rows], ["VV", "VH", "permanent water", "flood label"])

# %% [markdown]
# ## Out-of-fold maps
#
# Each labelled tile is predicted by the model that was not trained on it (OOF). The baselines need no model.

# %%
oof = read_record(WORK / "champion" / "oof.run.json")
pd.Series(oof.metrics, name="champion").to_frame().round(3)

# %%
pd.read_csv(WORK / "champion" / "oof_scenes.csv").round(3)

# %%
fold = WORK / "champion" / "fold0"
held_out = pd.read_parquet(fold / "oof_tiles.parquet")["row"].to_numpy()
maps = np.load(fold / "oof.npy", mmap_mode="r")
threshold = oof.decision["threshold"]
show(
    [
        [arrays.vv[held_out[k]], arrays.flood[held_out[k]], maps[k], (maps[k] >= threshold).astype(np.uint8)]
        for k in examples(held_out)
    ],
    ["VV", "flood label", "OOF probability", "OOF flood"],
)

# %% [markdown]
# ## Your own raster
#
# Any Sentinel-1 raster with bands VV and VH works, in decibels or linear power. Here one is simulated and
# written as GeoTIFF. `load` needs only the folders of the champion and its parents.

# %%
scene = simulate_scene((512, 768), np.random.default_rng(7))
raster = WORK / "notebook" / "scene.tif"
raster.parent.mkdir(parents=True, exist_ok=True)
grid = {"crs": "EPSG:32614", "transform": from_origin(500_000, 4_700_000, 10, 10)}
with rasterio.open(
    raster, "w", driver="GTiff", width=768, height=512, count=2, dtype="float32", **grid
) as file:
    file.write(decibels_of(scene))
    file.descriptions = ("VV", "VH")

# %%
# The folders of the experiment and of its parents are enough; copy them to any machine.
COPY = copy_trained(COMPETITION, WORK, WORK.parent / "copy" / WORK.name)
model = load("champion", work=COPY)
flood = model.predict(raster)  # uint8 (height, width): 1 = flood, 0 = not, 255 = unknown
written = model.predict(
    raster, out=raster.with_name("flood.tif")
)  # the same as GeoTIFF, on the raster's grid

# %%
show([[scene.vv, scene.flood.astype(np.uint8), flood]], ["VV", "true flood", "predicted flood"])
both, either = (flood == 1) & scene.flood, (flood == 1) | scene.flood
print(f"IoU {both.sum() / either.sum():.3f}; written to {written}")
