from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from common.learn.seeding import seed_everything
from competitions.face_counting.data.stored_pictures import StoredPictures
from competitions.face_counting.detection.boxes import detect_faces
from competitions.face_counting.experiment import (
    AugmentationSettings,
    CountingSettings,
    DetectorSettings,
    FaceCountingExperiment,
    InputSettings,
    TrainingSettings,
)
from competitions.face_counting.models.augmentation import TrainingImage, TrainingImages
from competitions.face_counting.models.base import detect
from competitions.face_counting.models.factory import build_detector
from competitions.face_counting.models.training import train_detector

SMALL = InputSettings(image_size=64)


def _settings(score_threshold: float) -> FaceCountingExperiment:
    counting = CountingSettings(score_threshold=score_threshold)
    return FaceCountingExperiment(name="any", input=SMALL, counting=counting)


def _squares(pictures: int) -> StoredPictures:
    """Grey pictures of 64 x 48 px with one white square each."""
    generator = np.random.default_rng(0)
    pixels = np.full((pictures, 48, 64, 3), 90, np.uint8)
    boxes = {}
    for row in range(pictures):
        x, y = int(generator.integers(0, 40)), int(generator.integers(0, 24))
        pixels[row, y : y + 24, x : x + 24] = 255
        boxes[f"{row}.jpg"] = np.array([[x, y, x + 24, y + 24]], dtype=np.float64)
    offset = np.arange(pictures) * 48 * 64 * 3
    table = pd.DataFrame({"Name": list(boxes), "width": 64, "height": 48, "offset": offset, "head_count": 1})
    return StoredPictures(table, pixels.reshape(-1), boxes)


class _Killed(TrainingImages):
    """Stops the training while the second epoch is loaded."""

    visits = 0

    def __getitem__(self, item: int) -> TrainingImage:
        self.visits += 1
        if self.visits > len(self) + 1:
            raise KeyboardInterrupt
        return super().__getitem__(item)


def _train(kind: type[TrainingImages], folder: Path, ema_decay: float) -> dict[str, torch.Tensor]:
    seed_everything(1)
    images = kind(_squares(8), SMALL, AugmentationSettings(mosaic=0.5), seed=1)
    settings = TrainingSettings(epochs=3, batch_size=4, ema_decay=ema_decay)
    network = build_detector(DetectorSettings(size="n"))
    network, history = train_detector(network, images, settings, 1, folder, "cpu", "test")
    assert [entry["epoch"] for entry in history] == [1, 2, 3]
    assert all(np.isfinite(list(entry.values())).all() for entry in history)
    return network.state_dict()


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_killed_training_ends_in_the_same_weights(tmp_path: Path, ema_decay: float) -> None:
    whole = _train(TrainingImages, tmp_path / "whole", ema_decay)
    with pytest.raises(KeyboardInterrupt):
        _train(_Killed, tmp_path / "killed", ema_decay)
    assert (tmp_path / "killed" / "last.ckpt").is_file()
    resumed = _train(TrainingImages, tmp_path / "killed", ema_decay)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("detector", [DetectorSettings(size="n"), DetectorSettings(family="retinaface")])
def test_a_detector_learns_where_the_squares_are(detector: DetectorSettings, tmp_path: Path) -> None:
    seed_everything(1)
    stored = _squares(32)
    images = TrainingImages(stored, SMALL, AugmentationSettings(), seed=1)
    settings = TrainingSettings(epochs=8, batch_size=4, optimizer="adamw", learning_rate=0.003)
    network = build_detector(detector)
    network, _ = train_detector(network, images, settings, 1, tmp_path, "cpu", "test")
    boxes = detect_faces(network, stored, _settings(0.0), "cpu", "test")
    best = boxes.groupby("Name").first()
    assert len(best) == 32
    true = np.array([stored.boxes[str(name)][0] for name in best.index])
    found = best[["xmin", "ymin", "xmax", "ymax"]].to_numpy()
    assert np.abs(found - true).mean() < 5, np.abs(found - true).mean()  # px; 10 for a box in the middle


def test_boxes_lie_in_their_pictures_by_descending_score() -> None:
    seed_everything(1)
    network = build_detector(DetectorSettings(size="n")).eval()
    stored, everything = _squares(5), _settings(0.0)
    images = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    found = detect(network, images, everything.counting)[0]
    assert 0 < len(found.boxes) == len(found.scores) <= 84
    assert (np.diff(found.scores) <= 0).all()
    table = detect_faces(network, stored, everything, "cpu", "test")
    assert table["Name"].drop_duplicates().tolist() == stored.names
    assert ((table["xmin"] >= 0) & (table["xmin"] < table["xmax"]) & (table["xmax"] <= 64)).all()
    assert ((table["ymin"] >= 0) & (table["ymin"] < table["ymax"]) & (table["ymax"] <= 48)).all()
    nothing = detect_faces(network, stored, _settings(1.0), "cpu", "test")
    assert nothing.empty
    assert list(nothing.columns) == list(table.columns)
