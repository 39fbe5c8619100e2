"""Detected faces as a table: Name, view, xmin, ymin, xmax, ymax in px of the picture, score."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import torch

from common.base.console import progress
from common.learn.arrays import Float32
from competitions.face_counting.data.labels import clip_boxes
from competitions.face_counting.data.official_tables import BOX_COLUMNS
from competitions.face_counting.data.stored_pictures import StoredPictures
from competitions.face_counting.detection.tta import PictureView, batch_by_size, picture_view
from competitions.face_counting.experiment import FaceCountingExperiment, InputSettings
from competitions.face_counting.models.base import Detect, FaceDetector
from competitions.face_counting.models.openvino import detect_function


def detect_faces(
    network: FaceDetector, stored: StoredPictures, settings: FaceCountingExperiment, device: str, what: str
) -> pd.DataFrame:
    """Boxes of all given pictures in all TTA views of an experiment; see `boxes_table`."""
    images = len(stored) * len(settings.input.tta)
    detect = detect_function(network, settings.counting, device, images)
    return boxes_table(detect, stored, settings.input, what)


def boxes_table(detect: Detect, stored: StoredPictures, settings: InputSettings, what: str) -> pd.DataFrame:
    """Boxes that `detect` finds in all given pictures and in all TTA views.

    Returns
    -------
    Name, view, xmin, ymin, xmax, ymax, score (float32), in the pictures' order, then the views', then by
    descending score; a picture without any box has no row.
    """
    sizes = stored.pictures[["width", "height"]].to_numpy()
    views = [
        picture_view(row, int(width), int(height), view, tta, settings)
        for row, (width, height) in enumerate(sizes)
        for view, tta in enumerate(settings.tta)
    ]
    found: dict[tuple[int, int], tuple[Float32, Float32]] = {}

    def render(batch: list[PictureView]) -> torch.Tensor:
        return torch.from_numpy(np.stack([view.image(stored.picture(view.row)) for view in batch]))

    for batch, images in prefetch(render, progress(list(batch_by_size(views)), what, "batch")):
        for view, detections in zip(batch, detect(images), strict=True):
            boxes = clip_boxes(view.to_picture(detections.boxes), *sizes[view.row])
            inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            found[view.row, view.view] = boxes[inside].astype(np.float32), detections.scores[inside]
    order = sorted(found)
    lengths = [len(found[key][1]) for key in order]
    table = pd.DataFrame(
        np.concatenate([np.zeros((0, 4), np.float32), *(found[key][0] for key in order)]), columns=BOX_COLUMNS
    )
    names = np.asarray(stored.names, dtype=object)[np.array([row for row, _ in order], dtype=int)]
    table.insert(0, "Name", np.repeat(names, lengths))
    table.insert(1, "view", np.repeat(np.array([view for _, view in order], dtype=np.int64), lengths))
    return table.assign(score=np.concatenate([np.zeros(0, np.float32), *(found[key][1] for key in order)]))


def prefetch(
    render: Callable[[list[PictureView]], torch.Tensor], batches: Iterable[list[PictureView]]
) -> Iterator[tuple[list[PictureView], torch.Tensor]]:
    """Batches with their images; a thread renders the next one while the network computes the last."""
    with ThreadPoolExecutor(1) as thread:
        before = None
        for batch in batches:
            after = (batch, thread.submit(render, batch))
            if before is not None:
                yield before[0], before[1].result()
            before = after
        if before is not None:
            yield before[0], before[1].result()
