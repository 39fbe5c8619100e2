"""Labelled boxes checked against the pictures and the head counts."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.files.submission_table import examples
from common.learn.arrays import Floats
from competitions.face_counting.data.box_conventions import check_convention
from competitions.face_counting.data.official_tables import BOX_COLUMNS

MIN_SIDE = 1.0
"""In px; a smaller box is dropped."""


def checked_boxes(boxes: pd.DataFrame, pictures: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Boxes clipped to their pictures, and the faults that were found.

    Parameters
    ----------
    boxes : Name, xmin, ymin, xmax, ymax in px, stated_width, stated_height.
    pictures : Name, width, height, head_count of the readable training pictures.

    Returns
    -------
    boxes : those of readable pictures, inside them, each side at least 1 px.
    faults : one line for each kind of disagreement between boxes, pictures and head counts.

    Raises
    ------
    InputError : the boxes are written in another convention or scale; see `box_conventions`.
    """
    check_convention(boxes, pictures)
    faults = []
    unknown = ~boxes["Name"].isin(pictures["Name"])
    if unknown.any():
        names = boxes["Name"][unknown].unique()
        faults.append(
            f"bbox_train.csv: {int(unknown.sum())} boxes of pictures that are not used for training: "
            f"{examples(names)}"
        )
    kept = boxes[~unknown].merge(pictures[["Name", "width", "height"]], on="Name", how="left")
    corners = kept[BOX_COLUMNS].to_numpy(np.float64)
    inside = clip_boxes(corners, kept["width"].to_numpy(), kept["height"].to_numpy())
    outside = np.asarray((inside != corners).any(axis=1))
    if outside.any():
        faults.append(
            f"bbox_train.csv: {int(outside.sum())} boxes reach out of their picture and were clipped: "
            f"{examples(kept['Name'][outside].unique())}"
        )
    flat = np.asarray((inside[:, 2:] - inside[:, :2] < MIN_SIDE).any(axis=1))
    if flat.any():
        faults.append(
            f"bbox_train.csv: {int(flat.sum())} boxes without area were dropped: "
            f"{examples(kept['Name'][flat].unique())}"
        )
    kept[BOX_COLUMNS] = inside
    kept = kept[["Name", *BOX_COLUMNS]][~flat].reset_index(drop=True)
    return kept, faults + _count_faults(kept, pictures)


def clip_boxes(corners: Floats, width: npt.ArrayLike, height: npt.ArrayLike) -> Floats:
    """Boxes (n, 4) clipped to pictures of `width` x `height` px (one for all, or one each)."""
    right, lower = np.broadcast_arrays(np.asarray(width), np.asarray(height))
    limits = np.stack([right, lower, right, lower], axis=-1)
    return np.clip(corners, 0, limits)


def _count_faults(boxes: pd.DataFrame, pictures: pd.DataFrame) -> list[str]:
    found = boxes["Name"].value_counts().reindex(pictures["Name"], fill_value=0).to_numpy()
    differ = found != pictures["head_count"].to_numpy()
    if not differ.any():
        return []
    return [
        f"{int(differ.sum())} pictures have another HeadCount than boxes; HeadCount is used: "
        f"{examples(pictures['Name'][differ])}"
    ]
