import numpy as np
import torch

from competitions.face_counting.experiment import CountingSettings, PictureSettings
from competitions.face_counting.models.base import Detections
from competitions.face_counting.predict.photos import OwnPicture, as_stored
from competitions.face_counting.predict.predictor import UNTUNED, FaceCounter, Look

BOX = np.array([[8, 8, 40, 40]], np.float32)


def look_that_finds(boxes: np.ndarray, calls: list[int]) -> Look:
    def find(canvases: torch.Tensor) -> list[Detections]:
        calls.append(len(canvases))
        return [Detections(boxes, np.full(len(boxes), 0.9, np.float32)) for _ in canvases]

    return Look(find, PictureSettings(canvas=64))


def test_a_network_that_stands_in_several_folds_looks_once_and_counts_in_each() -> None:
    shared, own = list[int](), list[int]()
    one = look_that_finds(BOX, shared)
    folds = [
        [one, look_that_finds(np.zeros((0, 4), np.float32), own)],
        [one, look_that_finds(BOX + 0.5, own)],
    ]
    stored = as_stored([OwnPicture("a", np.zeros((64, 64, 3), np.uint8), 1.0)])
    ((count, faces),) = FaceCounter(folds, UNTUNED, CountingSettings(), "").count(stored)
    assert (shared, own) == ([1], [1, 1])
    assert count == 1.0
    np.testing.assert_allclose(faces, BOX, atol=1)
