"""Detected faces as a table: Name, xmin, ymin, xmax, ymax in px of the picture, score."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from common.console import progress
from competitions.face_counting.detector import detect
from competitions.face_counting.experiment import CountingSettings, PictureSettings
from competitions.face_counting.labels import cut_to_picture
from competitions.face_counting.official_tables import BOX_COLUMNS
from competitions.face_counting.stored_pictures import StoredPictures
from competitions.face_counting.training_canvases import PlainCanvases

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel

CANVASES_AT_ONCE = 16


def find_faces(
    network: "DetectionModel",
    stored: StoredPictures,
    pictures: PictureSettings,
    counting: CountingSettings,
    device: str,
    what: str,
) -> pd.DataFrame:
    """Detect the faces of all given pictures.

    Returns
    -------
    Name, xmin, ymin, xmax, ymax, score (float32), in the pictures' order, scores falling within a picture;
    a picture without any box has no row.
    """
    network = network.to(device).eval()
    canvases = PlainCanvases(stored, pictures)
    names: list[str] = []
    corners, scores = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
    row = 0
    batches = DataLoader(
        canvases, CANVASES_AT_ONCE, collate_fn=lambda items: torch.from_numpy(np.stack(items))
    )
    for batch in progress(batches, what, "batch", len(batches)):
        for found in detect(network, batch.to(device), counting):
            entry = stored.pictures.iloc[row]
            corners_found = canvases.placement(row).to_picture(found.boxes.astype(np.float64))
            boxes = cut_to_picture(corners_found, int(entry["width"]), int(entry["height"]))
            inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            names += [str(entry["Name"])] * int(inside.sum())
            corners.append(boxes[inside].astype(np.float32))
            scores.append(found.scores[inside])
            row += 1
    table = pd.DataFrame(np.concatenate(corners), columns=BOX_COLUMNS)
    table.insert(0, "Name", pd.Series(names, dtype=object))
    return table.assign(score=np.concatenate(scores))
