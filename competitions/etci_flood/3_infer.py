"""Map the test tiles with the networks of all folds.

    python competitions/etci_flood/3_infer.py [--experiment NAME]

The probability of flood at a pixel is the mean over the folds' networks and, where the experiment says so,
over mirrored and turned views of the tile. Networks come from 2_train_folds.py; nothing is tuned here.

Reads
    <work>/processed/  what 1_preprocess.py wrote
    <work>/<experiment>/fold<k>/checkpoint.safetensors  the networks

Writes
    <work>/<experiment>/test.npy  probability of flood x 255, uint8 (tiles, 256, 256), in the submission's
    order
"""

from typing import cast

from common.stage import Job, Outcome, Stage
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.experiment import FloodExperiment


def infer(job: Job) -> Outcome:
    """Average the networks' maps of the test tiles."""
    import numpy as np

    from common.device import torch_device
    from common.seeding import seed_everything
    from competitions.etci_flood.flood_maps import predicted_maps, write_maps
    from competitions.etci_flood.segmentation_networks import trained_network
    from competitions.etci_flood.tile_arrays import open_tile_arrays

    settings = cast(FloodExperiment, job.settings)
    device = torch_device(job.device)
    seed_everything(job.seed)
    arrays = open_tile_arrays(job.processed)
    rows = np.flatnonzero(~arrays.tiles["labelled"])
    networks = [
        trained_network(settings.network, settings.channels, folder / "checkpoint.safetensors")
        for folder in job.fold_folders
    ]
    maps = job.paths.test(settings.name, ".npy")
    predicted = predicted_maps(networks, arrays, rows, settings.channels, settings.prediction, device)
    write_maps(maps, len(rows), predicted, "mapping test tiles")
    return Outcome([maps], metrics={"test_tiles": float(len(rows))})


if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__).run(infer)
