"""What the numbers of a raster mean: fill that nothing marks, units, and decibels made from them.

A raster is looked over once, window by window, before it is mapped: a sample of a part of it would miss data
that fill a corner only, and fill that only covers a part.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from common.base.console import log, progress
from common.base.errors import InputError
from common.learn.arrays import Bools, Float32, UInt8
from competitions.etci_flood.predict.unmarked_fill import (
    IMPOSSIBLE_BELOW,
    Areas,
    count_areas,
    fill_values,
    fill_words,
)
from competitions.etci_flood.predict.window_grid import Window, cover

Units = Literal["auto", "db", "linear", "amplitude"]
KnownUnits = Literal["db", "linear", "amplitude"]
UNIT_NAMES: dict[str, str] = {"db": "decibels", "linear": "linear power", "amplitude": "amplitude"}

MIN_DB, MAX_DB = -60.0, 40.0
"""Calibrated backscatter outside is noise of the swath's border or an error; such pixels are unknown."""
SAMPLED_PIXELS = 1_000_000
"""Pixels, evenly spread over all data, from which units are found."""
POWER_MIN_DIFFERENCE = 4.5
"""dB of VV over VH in linear power. In amplitude, read as power, VV and VH differ by half as much."""
MIN_DIFFERENCE = 1.0
"""dB of VV over VH below which two bands are no calibrated VV and VH."""
BRIGHTER_WATER = 3.0
"""dB by which permanent water is brighter than the rest when a mask is the wrong way round."""
MAX_WATER_SHARE = 0.9
"""Of the raster; above it a water mask is taken for one of land."""
MIN_COMPARED = 100
"""Sampled pixels of water and of the rest that are compared."""

_UNIT_WORDS: dict[KnownUnits, re.Pattern[str]] = {
    "db": re.compile(r"(?:^|[^a-z]|v[vh])(?:db|decibels?)(?=$|[^a-z])|_db"),
    "amplitude": re.compile(r"(?:^|[^a-z])amp(?:l|litude)?(?=$|[^a-z])"),
    "linear": re.compile(r"(?:^|[^a-z])(?:intensity|power|lin|linear)(?=$|[^a-z])"),
}


class RawBackscatter(Protocol):
    """VV and VH as they are stored."""

    name: str
    height: int
    width: int
    unit_hint: KnownUnits | None
    """What names and units of the bands, or complex values, say."""
    bands_asked: bool
    """Whether the user said which band is which."""
    water_asked: bool
    """Whether the user said which value of the water mask is water, or there is no mask."""

    def read(self, window: Window) -> Float32:
        """(2, height, width) float32, NaN where the file marks no data."""

    def read_water(self, window: Window) -> UInt8:
        """Permanent water, (1, height, width), 0 or 1."""


@dataclass(frozen=True)
class Values:
    """How the numbers of one raster become decibels."""

    units: KnownUnits
    fill: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    """Values of VV and of VH that are no data, apart from 0 and what the file marks."""
    medians: tuple[float, float] = (np.nan, np.nan)
    """Of VV and VH, dB."""
    unknown_for: tuple[str, ...] = ()
    """Further reasons why pixels are unknown."""

    def decibels(self, stored: Float32) -> Float32:
        """(2, height, width) dB; NaN in both polarisations where one of them is unknown."""
        known = np.isfinite(stored) & (stored != 0)
        for band, (values, fill) in enumerate(zip(stored, self.fill, strict=True)):
            for value in fill:
                known[band] &= values != np.float32(value)
        decibels = _to_db(np.where(known, stored, np.nan), self.units)
        with np.errstate(invalid="ignore"):
            known &= (decibels >= MIN_DB) & (decibels <= MAX_DB)
        found: Float32 = np.where(known.all(axis=0), decibels, np.float32(np.nan))
        return found

    def sentence(self) -> str:
        """`decibels (median VV -10.9, VH -17.4 dB)`."""
        vv, vh = self.medians
        return f"{UNIT_NAMES[self.units]} (median VV {vv:.1f} dB, VH {vh:.1f} dB)"

    def reasons(self) -> str:
        """Why pixels are unknown: `no data in the file, fill 0 in VH, fill -9999`."""
        return ", ".join([*self.unknown_for, *fill_words(self.fill)])


def unit_hint(names: Sequence[str]) -> KnownUnits | None:
    """The unit that names and units of bands say; None when they say none, or several."""
    said = {unit for unit, words in _UNIT_WORDS.items() for name in names if words.search(name.lower())}
    if said == {"db", "linear"}:  # SNAP's intensity_db
        return "db"
    return said.pop() if len(said) == 1 else None


def look_over(
    source: RawBackscatter,
    units: Units = "auto",
    nodata: Sequence[float] | None = None,
    tell: Callable[[str], None] = log,
) -> Values:
    """Find unmarked fill and the units of a raster, and check bands and water by the values.

    Parameters
    ----------
    units : auto goes by the values and by the bands' names.
    nodata : values that are no data; constant areas are then not looked for. None: they are.
    tell : is given what is doubtful but was said so by the user.

    Raises
    ------
    InputError : there is no data but fill; the values fit no unit, or not the one given; they could be read
        in two units; bands are swapped or alike; the water mask is the wrong way round.
    """
    sample = _sample_of(source, by_areas=nodata is None)
    reasons = ["no data in the file"] if sample.marked else []
    reasons += fill_words(([0.0] if sample.zeros[0] else [], [0.0] if sample.zeros[1] else []))
    if not sample.stored.size:
        raise InputError(f"{source.name}: holds no values, only no data ({', '.join(reasons)})")
    fill = tuple(
        tuple(sorted(set(fill_values(sample.stored[band], sample.areas[band]) if nodata is None else nodata)))
        for band in range(2)
    )
    known = np.ones(sample.stored.shape[1], bool)
    for band in range(2):
        known &= ~np.isin(sample.stored[band], np.array(fill[band], np.float32))
    stored = sample.stored[:, known]
    if not stored.size:
        only = ", ".join([*reasons, *fill_words(fill)])
        raise InputError(f"{source.name}: holds no values, only no data ({only})")
    found = _units_of(stored, units, source)
    decibels = _to_db(stored, found)
    inside = ((decibels >= MIN_DB) & (decibels <= MAX_DB)).all(axis=0)
    if inside.mean() < 0.5:
        share = 1 - float(inside.mean())
        raise InputError(
            f"{source.name}: {share:.0%} of the values are no backscatter in {UNIT_NAMES[found]} (beyond "
            f"{MIN_DB:.0f} to {MAX_DB:.0f} dB); check --units and the values"
        )
    vv, vh = (float(median) for median in np.median(decibels[:, inside], axis=1))
    _check_order(decibels[:, inside], units, source, tell)
    _check_water(decibels[0, inside], sample.water[known][inside], source)
    if not inside.all():
        reasons.append(f"values that are no backscatter (beyond {MIN_DB:.0f} to {MAX_DB:.0f} dB)")
    return Values(found, (fill[0], fill[1]), (vv, vh), tuple(reasons))


@dataclass
class _Sample:
    """What was seen of a raster."""

    stored: Float32
    """(2, pixels), finite and not 0."""
    water: UInt8
    """(pixels,)"""
    marked: bool
    """Whether the file marks no data, in NaN, a mask or a nodata value."""
    zeros: tuple[bool, bool]
    """Whether VV, VH have pixels of 0."""
    areas: tuple[Areas, Areas] = field(default_factory=lambda: ({}, {}))
    """Of VV and VH."""


def _sample_of(source: RawBackscatter, by_areas: bool) -> _Sample:
    windows = list(cover(source.height, source.width))
    of_window = max(256, SAMPLED_PIXELS // len(windows))
    stored, water = [], []
    areas: tuple[Areas, Areas] = ({}, {})
    marked, zeros = False, np.zeros(2, bool)
    for window in progress(windows, "looking over", "windows"):
        values = source.read(window)
        finite = np.isfinite(values)
        marked |= not finite.all()
        zeros |= (values == 0).any(axis=(1, 2))
        valid = np.flatnonzero((finite & (values != 0)).all(axis=0))
        if not len(valid):
            continue
        taken = valid[:: -(-len(valid) // of_window)]
        stored.append(values.reshape(2, -1)[:, taken])
        water.append(source.read_water(window).reshape(-1)[taken])
        for band in range(2 if by_areas else 0):
            count_areas(values[band], areas[band])
    stored.append(np.empty((2, 0), np.float32))
    water.append(np.empty(0, np.uint8))
    has_zeros = bool(zeros[0]), bool(zeros[1])
    return _Sample(np.concatenate(stored, axis=1), np.concatenate(water), marked, has_zeros, areas)


def _units_of(stored: Float32, asked: Units, source: RawBackscatter) -> KnownUnits:
    """The units of sampled values without fill, (2, pixels)."""
    name, hint = source.name, source.unit_hint
    negative = float((stored < 0).mean())
    vv, vh = (float(median) for median in np.median(stored, axis=1))
    medians = f"median VV {vv:.4g}, VH {vh:.4g}"
    wanted = hint if asked == "auto" else asked
    if wanted is not None:
        said = f"--units {asked}" if asked != "auto" else f"its bands say {UNIT_NAMES[wanted]}"
        # Power from which noise was subtracted is negative here and there.
        most = 0.05 if asked == "auto" else 0.5
        if (wanted == "db" and negative < 0.5) or (wanted != "db" and negative > most):
            way = "--units says which they are" if asked == "auto" else "check --units"
            raise InputError(
                f"{name}: {said}, but {negative:.0%} of the values are negative ({medians}); {way}"
            )
    if vv < IMPOSSIBLE_BELOW or (negative <= 0.05 and max(vv, vh) > 10):
        raise InputError(
            f"{name}: values ({medians}) are no calibrated backscatter, but digital numbers or a stretched "
            "picture; calibrate them (SNAP), or give the file their scale (gdal_translate -a_scale)"
        )
    if wanted is not None:
        return wanted
    if negative >= 0.5:
        if vv > 0 or vh > -4:
            raise InputError(
                f"{name}: values ({medians}) look normalised, not like decibels; give backscatter, or say "
                "--units db"
            )
        return "db"
    if negative > 0.05:
        raise InputError(
            f"{name}: {negative:.0%} of the values are negative ({medians}), too many for linear power and "
            "too few for decibels; give backscatter, or say --units"
        )
    difference = float(np.median(_to_db(stored[0], "linear") - _to_db(stored[1], "linear")))
    if MIN_DIFFERENCE <= difference < POWER_MIN_DIFFERENCE:
        raise InputError(
            f"{name}: positive values ({medians}) that could be linear power or amplitude; say --units "
            "linear or --units amplitude"
        )
    return "linear"


def _check_order(
    decibels: Float32, units: Units, source: RawBackscatter, tell: Callable[[str], None]
) -> None:
    """VV is brighter than VH nearly everywhere on earth."""
    difference = float(np.median(decibels[0] - decibels[1]))
    if difference >= MIN_DIFFERENCE:
        return
    if difference > -MIN_DIFFERENCE:
        line = f"VV and VH are about equal (VV - VH {difference:.1f} dB): are these two polarisations?"
        said = units != "auto"
        way = "check the bands, or say --units if they are right"
    else:
        line = f"VV is darker than VH by {-difference:.1f} dB: are the bands swapped?"
        way = "--bands VV=<band>,VH=<band> says which is which"
        said = source.bands_asked
    if not said:
        raise InputError(f"{source.name}: {line} {way}")
    tell(line)


def _check_water(vv: Float32, water: UInt8, source: RawBackscatter) -> None:
    """Permanent water is darker than the rest, and a raster is not all permanent water."""
    wet: Bools = np.asarray(water > 0)
    if source.water_asked or not wet.any():
        return
    share = float(wet.mean())
    brighter = 0.0
    if min(wet.sum(), (~wet).sum()) >= MIN_COMPARED:
        brighter = float(np.median(vv[wet]) - np.median(vv[~wet]))
    if share > MAX_WATER_SHARE or brighter > BRIGHTER_WATER:
        why = f"covers {share:.0%} of the raster"
        why += f" and is {brighter:.1f} dB brighter than the rest" if brighter > 0 else ""
        raise InputError(
            f"{source.name}: the permanent water {why}: is the mask the wrong way round? "
            "--water-value says which value is water"
        )


def _to_db(values: Float32, units: KnownUnits) -> Float32:
    """Decibels; NaN or infinite for power and amplitudes that are not above 0."""
    if units == "db":
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels: Float32 = (10 if units == "linear" else 20) * np.log10(values)
    return decibels
