"""Drawn rasters in decibels with 5 to 90 % water: the champion's maps against plain thresholds on VV.

The champion is that of work/etci_flood, or of the folder in the environment variable FLOOD_WORK; it must be
trained. The rasters differ from the training tiles in calibration, speckle, pixel spacing, wind and dark
soil. Truth is open water, permanent or not, because no water mask is given.
"""

import os
from pathlib import Path

import numpy as np

from benchmarks.etci_flood.tiles import SLUG
from benchmarks.side_by_side import Comparison, compare
from common.base.console import log
from common.learn.arrays import Bools, Float32
from competitions.etci_flood.sample.raster_simulation import RasterLook, SimulatedRaster, simulate_raster

SIDE = 512
SHARES = (0.05, 0.3, 0.6, 0.9)
FIXED = -15.0
"""The plain threshold, dB in VV."""
LOOKS = {
    "10 m": RasterLook(),
    "10 m, calm": RasterLook(wind=0.0, dark_soil=0.03),
    "10 m, windy": RasterLook(wind=0.8),
    "10 m, 1.5 dB brighter": RasterLook(offset=(1.5, 1.5)),
    "10 m, 1.5 dB darker, 2 dB across": RasterLook(offset=(-1.5, -1.5), gradient=2.0),
    "30 m, 1 dB brighter": RasterLook(spacing=30, offset=(1.0, 1.0)),
}


def otsu_threshold(decibels: Float32) -> float:
    """The threshold that separates two classes with the least variance within them (Otsu 1979)."""
    counts, edges = np.histogram(decibels, 256)
    share = counts / counts.sum()
    centres = (edges[1:] + edges[:-1]) / 2
    below, mean = share.cumsum(), (share * centres).cumsum()
    between = (mean[-1] * below - mean) ** 2 / np.maximum(below * (1 - below), 1e-12)
    return float(centres[between.argmax()])


def iou(mapped: Bools, truth: Bools) -> float:
    """Intersection over union."""
    union = int((mapped | truth).sum())
    return float((mapped & truth).sum() / union) if union else 1.0


def rasters(look: RasterLook, first_seed: int) -> list[SimulatedRaster]:
    """One raster for each share of water."""
    return [
        simulate_raster((SIDE, SIDE), share, np.random.default_rng(first_seed + place), look)
        for place, share in enumerate(SHARES)
    ]


def floods(temp_dir: Path) -> list[Comparison]:  # noqa: ARG001
    """IoU of the champion, of VV below -15 dB and of Otsu's threshold; one row for each kind of raster."""
    from common.run.trained import trained_experiment
    from competitions.etci_flood.competition import COMPETITION
    from competitions.etci_flood.predict.predictor import FloodPredictor

    trained = trained_experiment(COMPETITION, "champion", os.environ.get("FLOOD_WORK"))
    model = FloodPredictor(trained)
    source = "sample data" if trained.record.sample_data else "real tiles"
    results = []
    for place, (name, look) in enumerate(LOOKS.items()):
        drawn = rasters(look, 100 * place)
        maps: dict[str, list[Bools]] = {}

        def ours(drawn: list[SimulatedRaster] = drawn, maps: dict[str, list[Bools]] = maps) -> None:
            maps["ours"] = [model.predict(each.decibels, units="db", tell=_quiet) == 1 for each in drawn]

        def plain(drawn: list[SimulatedRaster] = drawn, maps: dict[str, list[Bools]] = maps) -> None:
            maps["fixed"] = [each.decibels[0] < FIXED for each in drawn]

        result = compare(
            SLUG,
            f"floods in {len(SHARES)} drawn rasters of {SIDE} x {SIDE}, {name}",
            ours=(f"champion, trained on {source}", ours),
            peer=(f"VV below {FIXED:.0f} dB", plain),
            target="IoU at or above the threshold's",
            runs=1,
            warm=False,
        )
        maps["otsu"] = [each.decibels[0] < otsu_threshold(each.decibels[0]) for each in drawn]
        scores = {
            rule: [iou(mapped, each.water) for mapped, each in zip(of_rule, drawn, strict=True)]
            for rule, of_rule in maps.items()
        }
        percent = ", ".join(f"{share:.0%}" for share in SHARES)
        note = f"IoU at {percent} water: " + "; ".join(
            f"{rule} {' '.join(f'{score:.2f}' for score in scores[key])}"
            for rule, key in (("ours", "ours"), (f"{FIXED:.0f} dB", "fixed"), ("Otsu", "otsu"))
        )
        log(f"  {note}")
        results.append(result.model_copy(update={"note": note}))
    return results


def _quiet(line: str) -> None:
    """What was understood is the same for every raster."""
