"""Flood mapping against plain loops: reading tiles, training steps, predicting tiles, a raster, drawn floods.

    python -m benchmarks.etci_flood [reading] [training] [mapping] [memory] [raster] [floods]

The peers are plain implementations: a loop over tiles with Pillow and NumPy, a PyTorch loop in single
precision with default memory formats. Tiles are the sample generator's; nothing is downloaded. `floods` maps
drawn rasters by a trained champion (FLOOD_WORK names its work folder) and compares the IoU with thresholds.
"""

from benchmarks.etci_flood.floods import floods
from benchmarks.etci_flood.networks import mapping, training
from benchmarks.etci_flood.rasters import raster
from benchmarks.etci_flood.tiles import memory, reading
from benchmarks.side_by_side import benchmark_command

if __name__ == "__main__":
    parts = {
        "reading": reading,
        "training": training,
        "mapping": mapping,
        "memory": memory,
        "raster": raster,
        "floods": floods,
    }
    benchmark_command(__doc__, parts)
