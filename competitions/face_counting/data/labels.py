"""Boxes and head counts held against the pictures and against each other."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.files.submission_table import examples
from competitions.face_counting.data.official_tables import BOX_COLUMNS

SMALLEST_SIDE = 1.0


def checked_boxes(boxes: pd.DataFrame, pictures: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Boxes cut to their pictures, and what was wrong with them.

    Parameters
    ----------
    boxes : Name, xmin, ymin, xmax, ymax in px.
    pictures : Name, width, height, head_count of the readable training pictures.

    Returns
    -------
    boxes : those of readable pictures, inside them, each side at least 1 px.
    faults : one line for each kind of disagreement between boxes, pictures and head counts.
    """
    faults = []
    unknown = ~boxes["Name"].isin(pictures["Name"])
    if unknown.any():
        names = boxes["Name"][unknown].unique()
        faults.append(
            f"bbox_train.csv: {int(unknown.sum())} boxes of pictures not trained on: {examples(names)}"
        )
    kept = boxes[~unknown].merge(pictures[["Name", "width", "height"]], on="Name", how="left")
    corners = kept[BOX_COLUMNS].to_numpy(np.float64)
    inside = cut_to_picture(corners, kept["width"].to_numpy(), kept["height"].to_numpy())
    outside = np.asarray((inside != corners).any(axis=1))
    if outside.any():
        faults.append(
            f"bbox_train.csv: {int(outside.sum())} boxes reach out of their picture and were cut: "
            f"{examples(kept['Name'][outside].unique())}"
        )
    flat = np.asarray((inside[:, 2:] - inside[:, :2] < SMALLEST_SIDE).any(axis=1))
    if flat.any():
        faults.append(
            f"bbox_train.csv: {int(flat.sum())} boxes without area were left out: "
            f"{examples(kept['Name'][flat].unique())}"
        )
    kept[BOX_COLUMNS] = inside
    kept = kept[["Name", *BOX_COLUMNS]][~flat].reset_index(drop=True)
    return kept, faults + _count_faults(kept, pictures)


def cut_to_picture(
    corners: npt.NDArray[np.floating[Any]], width: npt.ArrayLike, height: npt.ArrayLike
) -> npt.NDArray[np.floating[Any]]:
    """Boxes (n, 4) cut to pictures of `width` x `height` px (one for all, or one each)."""
    right, lower = np.broadcast_arrays(np.asarray(width), np.asarray(height))
    most = np.stack([right, lower, right, lower], axis=-1)
    return np.clip(corners, 0, most)


def _count_faults(boxes: pd.DataFrame, pictures: pd.DataFrame) -> list[str]:
    found = boxes["Name"].value_counts().reindex(pictures["Name"], fill_value=0).to_numpy()
    differ = found != pictures["head_count"].to_numpy()
    if not differ.any():
        return []
    return [
        f"{int(differ.sum())} pictures have another HeadCount than boxes, HeadCount is believed: "
        f"{examples(pictures['Name'][differ])}"
    ]
