"""The fixed scale from decibels to the levels of the official images, the same for every raster.

The official images hold backscatter stretched to 0..255 by a rule that was not published. Open water and land
have known backscatter, so the levels of permanent water and of land in the training tiles
(`decision.anchors.fit_anchors`) fix a straight line from decibels to levels for each polarisation. Nothing
else in a raster moves it, so a crop has the levels of the whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from common.base.errors import InputError
from common.learn.arrays import Bools, Float32, Floats, Int64

ANCHORS = "backscatter_anchors"
"""Entry of an experiment's decision."""
ANCHOR_DECIBELS = np.array([[-18.0, -10.0], [-24.75, -17.0]], np.float32)
"""(VV and VH, water and land): typical backscatter of permanent water, some of it rough and little of it free
of banks, and of land with vegetation, dB."""
CALM_WATER = (-20.0, -26.0)
"""Backscatter of calm open water in VV and VH, dB."""
TILE_SPACING = 30.0
"""Pixel spacing of the official tiles, metres: their scenes have about 10,000 columns in 300 km."""
DEFAULT_SPACING = 10.0
"""Pixel spacing of Sentinel-1 ground range products, assumed where none is known, metres."""
MAX_AVERAGED = 3
"""Side of the largest square that is averaged, pixels."""

LOWEST, HIGHEST = -60.0, 20.0
"""Range of the histogram of what was seen, dB."""
BINS_PER_DECIBEL = 4
LAND_PERCENTILE = 90
"""Percentile of a raster's backscatter that is compared with land; in all but full floods it is land."""
LAND_TOLERANCE = 6.0
"""dB by which land may be brighter or darker than the typical one before a warning."""


@dataclass(frozen=True)
class BackscatterScale:
    """Levels of water and land, and how a raster is averaged before it is mapped."""

    water: tuple[float, float]
    """Levels of VV and VH of permanent water in the training tiles."""
    land: tuple[float, float]
    """Levels of VV and VH of land in the training tiles."""
    scene: Float32
    """(2, 2), centre and spread of VV and VH in a typical training scene, levels; for models that need a
    scene's statistics."""
    averaged: int = 1
    """Side of the square, pixels, over which power is averaged: 3 at 10 m, 1 at 20 m and above."""

    @classmethod
    def of_decision(cls, decision: Mapping[str, Any], name: str) -> "BackscatterScale":
        """The scale that was fitted in training.

        Raises
        ------
        InputError : the experiment was trained before scales were fitted, or on tiles without water.
        """
        try:
            anchors = decision[ANCHORS]
            water, land = ((float(vv), float(vh)) for vv, vh in (anchors["water"], anchors["land"]))
            scale = cls(water, land, np.array(decision["image_scale"], np.float32))
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{name} was trained without a scale from decibels to levels, so it maps no rasters of your "
                f"own; run 2_train_folds.py --experiment {name} again, on tiles with permanent water or flood"
            ) from None
        return scale

    def at_spacing(self, metres: float | None) -> "BackscatterScale":
        """The scale for rasters of this pixel spacing; None: unknown, taken as 10 m.

        Rasters of 10 m have about four looks, the tiles of 30 m about twenty. Averaging power over 3 x 3
        pixels gives the raster the speckle and the resolution of the tiles, on the raster's own grid.
        """
        ratio = TILE_SPACING / (metres or DEFAULT_SPACING)
        # An odd side keeps the average centred on its pixel.
        side = MAX_AVERAGED if ratio >= 2 else 1
        return replace(self, averaged=side)

    def sentence(self) -> str:
        """`VV -18 to -10 dB are levels 45 to 140, VH -25 to -17 dB 46 to 187; averaged over 3 x 3 pixels`."""
        vv, vh = (
            f"{db[0]:.0f} to {db[1]:.0f} dB {word}{levels[0]:.0f} to {levels[1]:.0f}"
            for db, word, levels in zip(
                ANCHOR_DECIBELS, ("are levels ", ""), zip(self.water, self.land, strict=True), strict=True
            )
        )
        side = self.averaged
        return f"VV {vv}, VH {vh}" + (f"; averaged over {side} x {side} pixels" if side > 1 else "")

    @property
    def levels_per_decibel(self) -> Float32:
        """(2,), of VV and VH."""
        levels = np.array([self.water, self.land], np.float32)
        return (levels[1] - levels[0]) / (ANCHOR_DECIBELS[:, 1] - ANCHOR_DECIBELS[:, 0])


def levels_from_db(db: Float32, scale: BackscatterScale) -> Float32:
    """Levels of the official images from decibels.

    Parameters
    ----------
    db : (2, rows, cols), VV and VH; NaN is unknown.

    Returns
    -------
    (2, rows, cols) float32 in 0..255, NaN where `db` is NaN.
    """
    db = np.asarray(db, np.float32)
    if scale.averaged > 1:
        db = np.stack([_averaged(band, scale.averaged) for band in db])
    slope = scale.levels_per_decibel[:, None, None]
    water = np.array(scale.water, np.float32)[:, None, None]
    levels: Float32 = np.clip(water + slope * (db - ANCHOR_DECIBELS[:, :1, None]), 0, 255)
    return levels


def _averaged(band: Float32, side: int) -> Float32:
    """Mean power of the known pixels of each square, in decibels; unknown pixels stay unknown."""
    known = np.isfinite(band)
    power = np.where(known, 10 ** (np.where(known, band, 0) / 10), 0).astype(np.float32)
    total, weight = (
        cv2.blur(layer, (side, side), borderType=cv2.BORDER_REFLECT)
        for layer in (power, known.astype(np.float32))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels = 10 * np.log10(total / weight)
    return np.where(known, decibels, np.nan).astype(np.float32)


@dataclass
class BackscatterSeen:
    """Histograms of the decibels of all windows so far, to compare a whole raster with the training tiles."""

    counts: Int64 = field(
        default_factory=lambda: np.zeros((2, int((HIGHEST - LOWEST) * BINS_PER_DECIBEL)), np.int64)
    )
    """(2, bins) of VV and VH."""

    def add(self, db: Float32) -> None:
        """Count the known pixels of (2, rows, cols) decibels."""
        both: Bools = np.asarray(np.isfinite(db).all(axis=0))
        for counts, band in zip(self.counts, db, strict=True):
            place = ((band[both] - LOWEST) * BINS_PER_DECIBEL).clip(0, len(counts) - 1).astype(np.int64)
            counts += np.bincount(place, minlength=len(counts))

    def percentile(self, share: float) -> Floats:
        """(2,) decibels below which this percentage of VV and of VH lies."""
        total = self.counts.cumsum(axis=1)
        places = [np.searchsorted(row, share / 100 * row[-1]) for row in total]
        found: Floats = LOWEST + (np.array(places) + 0.5) / BINS_PER_DECIBEL
        return found

    def doubts(self) -> list[str]:
        """Why the raster looks like nothing that was trained on; empty when it does not, or is empty."""
        if not self.counts.sum():
            return []
        land, typical = self.percentile(LAND_PERCENTILE), ANCHOR_DECIBELS[:, 1]
        found = []
        for name, value, expected, water in zip(("VV", "VH"), land, typical, CALM_WATER, strict=True):
            if value > expected + LAND_TOLERANCE:
                found.append(
                    f"{name} is {value:.0f} dB in its brighter parts, where the training tiles have about "
                    f"{expected:.0f} dB on land: are bands and units right, and the values calibrated?"
                )
            elif value < water:
                found.append(
                    f"{name} is at most {value:.0f} dB nearly everywhere, darker than calm water "
                    f"({water:.0f} dB): are bands and units right, and the values calibrated?"
                )
            elif value < expected - LAND_TOLERANCE:
                found.append(
                    f"{name} is at most {value:.0f} dB nearly everywhere, as water is: either all of it is "
                    "water, or its land is darker than any land trained on (sand, snow, wet soil)"
                )
        vv, vh = self.percentile(50)
        if vh > vv:
            found.append(f"VH ({vh:.0f} dB) is brighter than VV ({vv:.0f} dB): are the bands in order?")
        return found
