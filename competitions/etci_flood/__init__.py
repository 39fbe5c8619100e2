"""ETCI 2021 flood detection: Sentinel-1 tiles in, flood masks out."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from competitions.etci_flood.predict.predictor import FloodPredictor


def load(
    experiment: str = "champion", work: Path | str | None = None, device: str = "auto"
) -> "FloodPredictor":
    """Load a trained experiment to map rasters of one's own.

        from competitions.etci_flood import load
        model = load("champion", work="work/etci_flood")
        flood = model.predict("scene.tif")              # uint8 (height, width): 1 flood, 0 not, 255 unknown
        model.predict("scene.tif", out="flood.tif")     # a GeoTIFF on the raster's grid

    Parameters
    ----------
    experiment : an entry of experiments.toml that was trained in `work`.
    work : the work folder of the numbered stages (default: work/etci_flood of the project). Only the
        experiment's own folder and its parents' are read; neither raw data nor processed/ is needed.
    device : auto, cpu or cuda.

    Raises
    ------
    InputError : the experiment is not trained there; the message names the command that trains it.
    """
    from competitions.etci_flood.predict.predictor import FloodPredictor

    return FloodPredictor.load(experiment, work, device)
