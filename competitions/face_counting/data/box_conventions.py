"""Boxes written in another way than bbox_train.csv has them are refused, with what they look like."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from common.base.errors import InputError
from common.files.submission_table import examples
from common.learn.arrays import Float64
from competitions.face_counting.data.official_tables import BOX_COLUMNS, STATED_COLUMNS

MIN_PLAUSIBLE = 0.9
"""Share of the boxes that must be faces inside their pictures, read as xmin, ymin, xmax, ymax in px."""
MAX_WITHOUT_BOX = 0.2
"""Share of the pictures with faces that may have no box."""
NEARLY = 0.03
"""Readings whose shares differ by less fit equally well."""
OUTSIDE, MIN_SIDE, MAX_ASPECT = 2.0, 3.0, 4.0
"""A plausible box reaches at most 2 px out of its picture, has sides of 3 px, and is not longer than that."""
MIN_REACH, MIN_BOXES = 0.75, 40
"""So far, as a share of the sides, the outermost of some boxes must reach: less means enlarged pictures."""

PERCENT = 100.0

Reading = Callable[[Float64, Float64], Float64]
"""Cells (n, 4), picture sides (n, 2) -> corners (n, 4) in px."""


def _corners_of_center(cells: Float64) -> Float64:
    return np.concatenate([cells[:, :2] - cells[:, 2:] / 2, cells[:, :2] + cells[:, 2:] / 2], axis=1)


def _corners_of_sides(cells: Float64) -> Float64:
    return np.concatenate([cells[:, :2], cells[:, :2] + cells[:, 2:]], axis=1)


def _scaled(unit: float, reading: Callable[[Float64], Float64]) -> Reading:
    return lambda cells, sides: reading(cells / unit) * np.tile(sides, 2)


READINGS: dict[str, Reading] = {
    "xmin, ymin, xmax, ymax in px": lambda cells, sides: cells,
    "x, y of the corner, then width, height in px": lambda cells, sides: _corners_of_sides(cells),
    "x, y of the center, then width, height in px": lambda cells, sides: _corners_of_center(cells),
    "the lower right corner first": lambda cells, sides: cells[:, [2, 3, 0, 1]],
    "ymin, xmin, ymax, xmax: x and y are swapped": lambda cells, sides: cells[:, [1, 0, 3, 2]],
    "xmin, xmax, ymin, ymax: another order": lambda cells, sides: cells[:, [0, 2, 1, 3]],
    "ymin, ymax, xmin, xmax: another order": lambda cells, sides: cells[:, [2, 0, 3, 1]],
    "top, right, bottom, left: another order": lambda cells, sides: cells[:, [3, 0, 1, 2]],
} | {
    f"{what} {unit_name}": _scaled(unit, reading)
    for unit, unit_name in (
        (1.0, "as shares of the picture's sides"),
        (100.0, "in percent of the picture's sides"),
        (1000.0, "in thousandths of the picture's sides"),
    )
    for what, reading in (
        ("xmin, ymin, xmax, ymax", lambda cells: cells),
        ("x, y of the center, then width, height", _corners_of_center),
        ("x, y of the corner, then width, height", _corners_of_sides),
        ("ymin, xmin, ymax, xmax", lambda cells: cells[:, [1, 0, 3, 2]]),
    )
}
OFFICIAL = next(iter(READINGS))


def check_convention(boxes: pd.DataFrame, pictures: pd.DataFrame) -> None:
    """Refuse boxes that are not px corners of the pictures at hand.

    Parameters
    ----------
    boxes : Name, xmin, ymin, xmax, ymax, stated_width, stated_height (NaN where the file does not say).
    pictures : Name, width, height, head_count of the readable training pictures.

    Raises
    ------
    InputError : names, sizes, convention or scale of bbox_train.csv do not fit the pictures; the message says
        what they look like.
    """
    _check_names(boxes, pictures)
    known = boxes.merge(pictures[["Name", "width", "height"]], on="Name", how="inner")
    if known.empty:
        return
    _check_sizes(known)
    cells = known[BOX_COLUMNS].to_numpy(np.float64)
    sides = known[["width", "height"]].to_numpy(np.float64)
    shares = {name: _plausible(reading(cells, sides), sides) for name, reading in READINGS.items()}
    if shares[OFFICIAL] < MIN_PLAUSIBLE:
        looks = _looks_like(cells, sides, shares)
        raise InputError(
            f"bbox_train.csv: {1 - shares[OFFICIAL]:.0%} of {len(known)} boxes are no faces inside their "
            f"pictures when read as {OFFICIAL}; {looks}; write them as {OFFICIAL}"
        )
    reach = (cells[:, 2:] / sides).max(axis=0)
    if len(known) >= MIN_BOXES and reach.max() < MIN_REACH:
        looks = f"a table of pictures {reach.max():.2g} times as large"
        if cells.max() <= PERCENT:
            looks = "percent of the pictures' sides"
        raise InputError(
            f"bbox_train.csv: no box reaches farther than {reach[0]:.0%} of a picture's width and "
            f"{reach[1]:.0%} of its height; it looks like {looks}; write corners in px of the pictures at hand"
        )


def _looks_like(cells: Float64, sides: Float64, shares: dict[str, float]) -> str:
    """The first reading that fits as well as any; px come before other units."""
    best = max(shares.values())
    fitting = [name for name, share in shares.items() if share >= max(MIN_PLAUSIBLE, best - NEARLY)]
    reach = float((cells[:, 2:] / sides).max())
    in_thousandths = (cells[:, 2:].max(axis=0) <= 1000).all() and (cells[:, 2:].max(axis=0) > 950).all()
    if reach > 1 and not in_thousandths and _plausible(cells / reach, sides) >= MIN_PLAUSIBLE:
        fitting = [name for name in fitting if "thousandths" not in name]
        fitting.append(f"px of pictures {reach:.3g} times as large")
    return f"they look like {fitting[0]}" if fitting else "no usual convention fits them"


def _check_names(boxes: pd.DataFrame, pictures: pd.DataFrame) -> None:
    with_faces = pictures["Name"][pictures["head_count"] > 0]
    missing = with_faces[~with_faces.isin(boxes["Name"])]
    if len(missing) <= MAX_WITHOUT_BOX * len(with_faces):
        return
    looks = ""
    for what, change in (
        ("the names in upper or lower case", str.lower),
        ("the names with spaces around them", str.strip),
        ("the names with folders before them", lambda name: name.replace("\\", "/").rsplit("/", 1)[-1]),
        ("the names without their endings, or with others", lambda name: name.rsplit(".", 1)[0].lower()),
    ):
        names = {change(str(name)) for name in boxes["Name"].unique()}
        if sum(change(str(name)) in names for name in missing) > len(missing) / 2:
            looks = f"; it looks like {what} ({boxes['Name'].iloc[0]!r}, the pictures: {missing.iloc[0]!r})"
            break
    raise InputError(
        f"bbox_train.csv: {len(missing)} of {len(with_faces)} training pictures with faces have no box: "
        f"{examples(missing)}{looks}; a box must have the Name of its picture in train.csv"
    )


def _check_sizes(known: pd.DataFrame) -> None:
    """Compare the columns width and height with the pictures."""
    stated = known[STATED_COLUMNS].to_numpy(np.float64)
    sides = known[["width", "height"]].to_numpy(np.float64)
    differ = (np.isfinite(stated) & (stated != sides)).any(axis=1)
    if not differ.any():
        return
    row = int(np.flatnonzero(differ)[0])
    ratio = sides[differ] / stated[differ]
    looks = ""
    if np.allclose(stated[differ], sides[differ][:, ::-1]):
        looks = "; width and height are swapped, or the pictures were turned"
    elif np.nanstd(ratio) < 0.02 * np.nanmean(ratio):
        looks = f"; the pictures are {np.nanmean(ratio):.3g} times as large as the table says"
    names = known["Name"][differ].unique()
    raise InputError(
        f"bbox_train.csv: width and height of {len(names)} of {known['Name'].nunique()} pictures differ from "
        f"the pictures ({known['Name'].iloc[row]}: {stated[row, 0]:g} x {stated[row, 1]:g} in the table, "
        f"{sides[row, 0]:g} x {sides[row, 1]:g} px in the file){looks}; give the pictures that were labelled"
    )


def _plausible(corners: Float64, sides: Float64) -> float:
    """Share of the boxes (n, 4) that can be faces in pictures of these sides (n, 2)."""
    extent = corners[:, 2:] - corners[:, :2]
    with np.errstate(divide="ignore", invalid="ignore"):
        aspect = extent[:, 0] / extent[:, 1]
    fits = (
        (corners[:, :2] >= -OUTSIDE).all(axis=1)
        & (corners[:, 2:] <= sides + OUTSIDE).all(axis=1)
        & (extent >= MIN_SIDE).all(axis=1)
        & (aspect <= MAX_ASPECT)
        & (aspect >= 1 / MAX_ASPECT)
    )
    return float(fits.mean())
