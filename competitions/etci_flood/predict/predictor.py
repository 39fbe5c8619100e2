"""A trained flood model for data of one's own: rasters and arrays of VV and VH."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from common.base.console import log
from common.base.errors import InputError
from common.learn.arrays import AnyArray, Float32, UInt8
from common.run.job import Result
from common.run.own_data import OwnDataJob
from common.run.trained import TrainedExperiment, trained_experiment
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.experiment import FloodExperiment
from competitions.etci_flood.models.base import model_kind
from competitions.etci_flood.predict.backscatter_scale import BackscatterScale
from competitions.etci_flood.predict.geotiff import RasterBackscatter, RasterFlags, open_raster, write_flood
from competitions.etci_flood.predict.own_data import numbers
from competitions.etci_flood.predict.values import Units
from competitions.etci_flood.predict.window_grid import NO_DATA, Window
from competitions.etci_flood.predict.windows import (
    ArrayBackscatter,
    Backscatter,
    Stretch,
    fit_stretch,
    flood_mask,
    predict_windows,
)

RasterFile = str | Path | Sequence[str | Path]
Raster = RasterFile | AnyArray


@dataclass(frozen=True)
class Reading:
    """How a raster is read; the flags of 3_infer.py have the same names."""

    units: Units = "auto"
    """db, linear (power) or amplitude; auto goes by the values and the bands' names."""
    bands: str | None = None
    """`VV=2,VH=1`, numbers or names; by the bands' names without it."""
    nodata: Sequence[float] | None = None
    """Values that are no data where the file does not mark it. None: 0, values that cannot be backscatter and
    constant areas are; an empty list: only 0 is."""
    water_values: Sequence[float] | None = None
    """Values of the water mask that are water; 1 or 255 without it."""


NEEDS_SCENE = (
    "this model compares backscatter with statistics of its scene; those of a typical training scene are "
    "taken, because a raster may be any part of a scene"
)


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
        self,
        raster: Raster,
        out: None = None,
        *,
        water: str | Path | AnyArray | None = None,
        units: Units = "auto",
        reading: Reading | None = None,
        tell: Callable[[str], None] = log,
    ) -> UInt8: ...

    @overload
    def predict(
        self,
        raster: RasterFile,
        out: str | Path,
        *,
        water: str | Path | None = None,
        units: Units = "auto",
        reading: Reading | None = None,
        tell: Callable[[str], None] = log,
    ) -> Path: ...

    def predict(
        self,
        raster: Raster,
        out: str | Path | None = None,
        *,
        water: str | Path | AnyArray | None = None,
        units: Units = "auto",
        reading: Reading | None = None,
        tell: Callable[[str], None] = log,
    ) -> UInt8 | Path:
        """Map the flood of a raster.

        Parameters
        ----------
        raster : path of a raster with the bands VV and VH, a list of two paths, or an array (2, height,
            width) of VV and VH; decibels, linear power or amplitude, any size. NaN is no data.
        out : write the flood as GeoTIFF on the raster's grid here, window by window in bounded memory.
        water : mask of permanent water, a path or an array (height, width); none by default.
        units : auto goes by the values and the bands' names.
        reading : more on how the raster is read; `units` is then its own.
        tell : is given one or two lines that say how the input was read.

        Returns
        -------
        uint8 (height, width): 1 = flood, 0 = not, 255 = unknown. With `out`, the path of the GeoTIFF.

        Raises
        ------
        InputError : the raster cannot be read, or can be read in two ways, or water does not fit it.
        """
        reading = reading or Reading(units)
        if out is not None:
            self.write_geotiff(raster, out, water=water, reading=reading, tell=tell)
            return Path(out)
        with _opened(raster, water, reading) as source:
            flood = np.empty((source.height, source.width), np.uint8)
            for window, mask in self._masks(source, reading, tell, tell):
                flood[window.slices] = mask
        return flood

    def predict_probability(
        self,
        raster: Raster,
        *,
        water: str | Path | AnyArray | None = None,
        units: Units = "auto",
        reading: Reading | None = None,
        tell: Callable[[str], None] = log,
    ) -> Float32:
        """Probability of flood, float32 (height, width), NaN where unknown; parameters as in `predict`."""
        reading = reading or Reading(units)
        with _opened(raster, water, reading) as source:
            whole = np.empty((source.height, source.width), np.float32)
            stretch = fit_stretch(source, reading.units, self.scale, reading.nodata, tell)
            for window, probability, known in predict_windows(source, self.models, stretch):
                whole[window.slices] = np.where(known, probability, np.nan)
        return whole

    def write_geotiff(
        self,
        raster: Raster,
        out: str | Path,
        *,
        water: str | Path | AnyArray | None = None,
        reading: Reading | None = None,
        tell: Callable[[str], None] = log,
        warn: Callable[[str], None] | None = None,
    ) -> dict[str, float]:
        """Write the flood as `predict` with `out` does; returns pixels mapped and the fraction of flood.

        Parameters
        ----------
        warn : is given what is doubtful; `tell` without it.
        """
        reading = reading or Reading()
        with _opened(raster, water, reading) as source:
            if not isinstance(source, RasterBackscatter):
                raise InputError("an array has no grid, so no GeoTIFF can be written; give a raster file")
            return write_flood(source, Path(out), self._masks(source, reading, tell, warn or tell))

    def _masks(
        self,
        source: Backscatter,
        reading: Reading,
        tell: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> Iterator[tuple[Window, UInt8]]:
        stretch = fit_stretch(source, reading.units, self.scale, reading.nodata, warn)
        first, *others = source.understood()
        tell(f"{first}; {stretch.values.sentence()}")
        for line in [*others, stretch.scale.sentence()]:
            tell(line)
        if any(model.needs_scene for _, model in self.models):
            warn(NEEDS_SCENE)
        unknown = 0
        for window, probability, known in predict_windows(source, self.models, stretch):
            unknown += int((~known).sum())
            yield window, flood_mask(probability, known, self.decision["threshold"])
        tell(_unknown_sentence(unknown, source.height * source.width, stretch))
        for doubt in stretch.seen.doubts():
            warn(doubt)


def predict_own_raster(job: OwnDataJob[FloodExperiment]) -> Result:
    """Map the raster of --geotiff on its own grid."""
    model = FloodPredictor.load(job.experiment, job.paths.work, job.device)
    flood = job.output("_flood.tif")
    args = job.stage_args
    reading = Reading(
        args.units or "auto",
        args.bands,
        numbers("--nodata", args.nodata),
        numbers("--water-value", args.water_value),
    )
    metrics = model.write_geotiff(
        args.geotiff, flood, water=args.water, reading=reading, tell=job.understood, warn=job.warn
    )
    return Result([flood], metrics)


@contextmanager
def _opened(raster: Raster, water: str | Path | AnyArray | None, reading: Reading) -> Iterator[Backscatter]:
    values = None if reading.water_values is None else tuple(reading.water_values)
    files = _files(raster)
    if files is not None:
        if water is not None and not isinstance(water, str | Path):
            raise InputError("water: expected the path of a raster, as VV and VH are given")
        flags = RasterFlags(reading.bands, values)
        with open_raster(files, water, flags) as source:
            yield source
        return
    if isinstance(water, str | Path):
        raise InputError("water: expected an array, as VV and VH are given")
    if reading.bands is not None:
        raise InputError("bands: is for raster files; the layers of an array are VV, VH in this order")
    yield ArrayBackscatter(np.ma.asanyarray(raster), water, values)


def _files(raster: Raster) -> list[str | Path] | None:
    """Paths, or None for an array."""
    if isinstance(raster, str | Path):
        return [raster]
    files = [file for file in raster if isinstance(file, str | Path)]
    return files if files and len(files) == len(raster) else None


def _unknown_sentence(unknown: int, total: int, stretch: Stretch) -> str:
    """`unknown (255): 60000 of 200000 pixels, 30.0%; fill -9999`."""
    if not unknown:
        return f"all {total} pixels are known"
    reasons = stretch.values.reasons()
    share = f"unknown ({NO_DATA}): {unknown} of {total} pixels, {unknown / total:.1%}"
    return f"{share}; {reasons}" if reasons else share
