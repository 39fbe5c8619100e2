"""A trained flood model for data of one's own: rasters and arrays of VV and VH."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import overload

import numpy as np

from common.base.errors import InputError
from common.learn.arrays import AnyArray, Float32, UInt8
from common.run.job import Result
from common.run.own_data import OwnDataJob
from common.run.trained import TrainedExperiment, trained_experiment
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.experiment import FloodExperiment
from competitions.etci_flood.models.base import model_kind
from competitions.etci_flood.predict.backscatter_scale import BackscatterScale
from competitions.etci_flood.predict.geotiff import RasterBackscatter, open_raster, write_flood
from competitions.etci_flood.predict.windows import (
    ArrayBackscatter,
    Backscatter,
    Units,
    Window,
    fit_stretch,
    flood_mask,
    predict_windows,
)

Raster = str | Path | AnyArray


class FloodPredictor:
    """The models of all folds and the tuned threshold of one trained experiment.

    `settings` and `decision` are those of the experiment; `decision["threshold"]` is tuned on OOF
    predictions.
    """

    def __init__(self, trained: TrainedExperiment[FloodExperiment], device: str = "auto") -> None:
        self.settings, self.decision = trained.settings, trained.decision
        self.models = model_kind(trained.settings).load(trained, device)
        self.scale = BackscatterScale.of_decision(trained.decision, trained.settings.name)

    @classmethod
    def load(
        cls, experiment: str = "champion", work: Path | str | None = None, device: str = "auto"
    ) -> "FloodPredictor":
        """The predictor of an experiment that was trained in `work`."""
        trained = trained_experiment(COMPETITION, experiment, work)
        trained.log_sample_data()
        return cls(trained, device)

    @overload
    def predict(
        self, raster: Raster, out: None = None, *, water: Raster | None = None, units: Units = "auto"
    ) -> UInt8: ...

    @overload
    def predict(
        self, raster: str | Path, out: str | Path, *, water: str | Path | None = None, units: Units = "auto"
    ) -> Path: ...

    def predict(
        self,
        raster: Raster,
        out: str | Path | None = None,
        *,
        water: Raster | None = None,
        units: Units = "auto",
    ) -> UInt8 | Path:
        """Map the flood of a raster.

        Parameters
        ----------
        raster : path of a raster with the bands VV and VH, or array (2, height, width) of VV and VH; decibels
            or linear power, any size. NaN is no data.
        out : write the flood as GeoTIFF on the raster's grid here, window by window in bounded memory.
        water : permanent water (not 0) on the same grid, a path or an array (height, width); none by default.
        units : auto takes a negative median of VV for decibels.

        Returns
        -------
        uint8 (height, width): 1 = flood, 0 = not, 255 = unknown. With `out`, the path of the GeoTIFF.

        Raises
        ------
        InputError : the raster cannot be read, lacks a band, or water is on another grid.
        """
        if out is not None:
            self.write_geotiff(raster, out, water=water, units=units)
            return Path(out)
        with _opened(raster, water) as source:
            flood = np.empty((source.height, source.width), np.uint8)
            for window, mask in self._masks(source, units):
                flood[window.slices] = mask
        return flood

    def predict_probability(
        self, raster: Raster, *, water: Raster | None = None, units: Units = "auto"
    ) -> Float32:
        """Probability of flood, float32 (height, width), NaN where unknown; parameters as in `predict`."""
        with _opened(raster, water) as source:
            whole = np.empty((source.height, source.width), np.float32)
            stretch = fit_stretch(source, units, self.scale)
            for window, probability, known in predict_windows(source, self.models, stretch):
                whole[window.slices] = np.where(known, probability, np.nan)
        return whole

    def write_geotiff(
        self, raster: Raster, out: str | Path, *, water: Raster | None = None, units: Units = "auto"
    ) -> dict[str, float]:
        """Write the flood as `predict` with `out` does; returns pixels mapped and the fraction of flood."""
        with _opened(raster, water) as source:
            if not isinstance(source, RasterBackscatter):
                raise InputError("an array has no grid, so no GeoTIFF can be written; give a raster file")
            return write_flood(source, Path(out), self._masks(source, units))

    def _masks(self, source: Backscatter, units: Units) -> Iterator[tuple[Window, UInt8]]:
        stretch = fit_stretch(source, units, self.scale)
        for window, probability, known in predict_windows(source, self.models, stretch):
            yield window, flood_mask(probability, known, self.decision["threshold"])


def predict_own_raster(job: OwnDataJob[FloodExperiment]) -> Result:
    """Map the raster of --geotiff on its own grid."""
    model = FloodPredictor.load(job.experiment, job.paths.work, job.device)
    flood = job.output("_flood.tif")
    args = job.stage_args
    metrics = model.write_geotiff(args.geotiff, flood, water=args.water, units=args.units)
    return Result([flood], metrics)


@contextmanager
def _opened(raster: Raster, water: Raster | None) -> Iterator[Backscatter]:
    if isinstance(raster, str | Path):
        if water is not None and not isinstance(water, str | Path):
            raise InputError("water: expected the path of a raster, as VV and VH are given")
        with open_raster(_absolute(raster), None if water is None else _absolute(water)) as source:
            yield source
        return
    if isinstance(water, str | Path):
        raise InputError("water: expected an array, as VV and VH are given")
    yield ArrayBackscatter(raster, water)


def _absolute(path: str | Path) -> Path:
    return Path(path).expanduser().absolute()
