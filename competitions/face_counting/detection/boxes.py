"""Detected faces as a table: Name, view, xmin, ymin, xmax, ymax in px of the picture, score."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from common.base.console import progress
from competitions.face_counting.data.labels import cut_to_picture
from competitions.face_counting.data.official_tables import BOX_COLUMNS
from competitions.face_counting.data.stored_pictures import StoredPictures
from competitions.face_counting.detection.tta import Sight, batches, sight_of
from competitions.face_counting.experiment import CountingSettings, PictureSettings
from competitions.face_counting.models.base import DenseDetector, Detections, FaceDetector, detect
from competitions.face_counting.models.openvino import LEAST_CANVASES, CompiledDetector

Detect = Callable[[torch.Tensor], Sequence[Detections]]
"""Canvases (batch, 3, height, width) uint8 -> one Detections a canvas."""


def find_faces(
    network: FaceDetector,
    stored: StoredPictures,
    pictures: PictureSettings,
    counting: CountingSettings,
    device: str,
    what: str,
) -> pd.DataFrame:
    """Detect the faces of all given pictures in all views of an experiment; see `found_in`."""
    find = detection(network, counting, device, len(stored) * len(pictures.views))
    return found_in(find, stored, pictures, what)


def detection(network: FaceDetector, counting: CountingSettings, device: str, canvases: int) -> Detect:
    """The call that finds faces with a trained network, compiled for a CPU where so many canvases pay."""
    network = network.to(device).eval()
    if device == "cpu" and isinstance(network, DenseDetector) and canvases >= LEAST_CANVASES:
        return CompiledDetector(network, counting).detect
    return lambda batch: detect(network, batch.to(device), counting)


def found_in(find: Detect, stored: StoredPictures, pictures: PictureSettings, what: str) -> pd.DataFrame:
    """Boxes that `find` sees in all given pictures and in all views.

    Returns
    -------
    Name, view, xmin, ymin, xmax, ymax, score (float32), in the pictures' order, then the views', scores
    falling within a view; a picture without any box has no row.
    """
    sizes = stored.pictures[["width", "height"]].to_numpy()
    sights = [
        sight_of(row, int(width), int(height), view, looks, pictures)
        for row, (width, height) in enumerate(sizes)
        for view, looks in enumerate(pictures.views)
    ]
    found: dict[tuple[int, int], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]] = {}

    def drawn(together: list[Sight]) -> torch.Tensor:
        return torch.from_numpy(np.stack([sight.canvas(stored.picture(sight.row)) for sight in together]))

    for together, canvases in ahead(drawn, progress(list(batches(sights)), what, "batch")):
        for sight, seen in zip(together, find(canvases), strict=True):
            boxes = cut_to_picture(sight.to_picture(seen.boxes), *sizes[sight.row])
            inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            found[sight.row, sight.view] = boxes[inside].astype(np.float32), seen.scores[inside]
    order = sorted(found)
    many = [len(found[key][1]) for key in order]
    table = pd.DataFrame(
        np.concatenate([np.zeros((0, 4), np.float32), *(found[key][0] for key in order)]), columns=BOX_COLUMNS
    )
    names = np.asarray(stored.names, dtype=object)[np.array([row for row, _ in order], dtype=int)]
    table.insert(0, "Name", np.repeat(names, many))
    table.insert(1, "view", np.repeat(np.array([view for _, view in order], dtype=np.int64), many))
    return table.assign(score=np.concatenate([np.zeros(0, np.float32), *(found[key][1] for key in order)]))


def ahead(
    draw: Callable[[list[Sight]], torch.Tensor], batches: Iterable[list[Sight]]
) -> Iterator[tuple[list[Sight], torch.Tensor]]:
    """Batches with their canvases; the next ones are drawn in a thread while the last are looked at."""
    with ThreadPoolExecutor(1) as thread:
        before = None
        for together in batches:
            after = (together, thread.submit(draw, together))
            if before is not None:
                yield before[0], before[1].result()
            before = after
        if before is not None:
            yield before[0], before[1].result()
