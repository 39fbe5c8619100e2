"""A counter for any pictures: networks and the rule for their boxes, trained here or given."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.errors import InputError
from common.paths import WorkPaths, shown
from common.run_record import read_record
from competitions.face_counting import counting
from competitions.face_counting.box_fusion import found_faces
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.detector import build_detector, restore
from competitions.face_counting.experiment import FaceCountingExperiment, ViewSettings
from competitions.face_counting.face_boxes import Detect, detection, found_in
from competitions.face_counting.starting_weights import take_over_weights
from competitions.face_counting.stored_pictures import StoredPictures

UNTUNED = counting.CountingRule(
    counting.Way("first_look", "boxes_above"), overlap=0.4, confidences=[0.5], worths=[1.0], constant=0.0
)
"""What given weights count by: nothing was tuned on them."""


@dataclass(frozen=True)
class FaceCounter:
    """Networks of one family with one rule."""

    finds: list[Detect]
    """One call a network."""
    settings: FaceCountingExperiment
    rule: counting.CountingRule
    origin: str
    """One line on where the networks come from."""

    def count(self, pictures: StoredPictures) -> list[tuple[float, npt.NDArray[np.float32]]]:
        """For each picture its count, and the boxes (faces, 4) of the first network that are worth a face."""
        looks, names = len(self.settings.pictures.views), pictures.names
        found = [
            found_faces(found_in(find, pictures, self.settings.pictures, "boxes"), names, looks)
            for find in self.finds
        ]
        counts = counting.count_by_folds(self.rule, found, self.settings.counting)
        faces = self.rule.faces(found[0])
        return [(float(counts[row]), faces.boxes[faces.picture == row]) for row in range(len(names))]


def trained_counter(paths: WorkPaths, experiment: str, device: str, pictures: int) -> FaceCounter:
    """All folds of a finished training, and the rule tuned on them; InputError when it is not finished.

    Parameters
    ----------
    pictures : how many will be counted.
    """
    record_file = paths.oof_record(experiment)
    if not record_file.is_file():
        COMPETITION.experiment(experiment, "full")  # an unknown name is told first
        raise InputError(
            f"{shown(record_file)} is missing: no trained networks of {experiment}; run 1_preprocess.py and "
            f"2_train_folds.py first, or give --weights"
        )
    record = read_record(record_file)
    settings = FaceCountingExperiment.model_validate(record.experiment)
    if settings.parents:
        raise InputError(
            f"{experiment} combines others; count with one of them: {', '.join(settings.parents)}"
        )
    finds, canvases = [], pictures * len(settings.pictures.views)
    for fold in range(1 if settings.training.epochs == 0 else settings.folds):
        network = build_detector(settings.detector)
        restore(network, paths.fold(experiment, fold) / "checkpoint.safetensors")
        finds.append(detection(network, settings.counting, device, canvases))
    origin = f"{len(finds)} networks of {experiment} (profile {record.profile})"
    if record.sample_data:
        origin += (
            ", trained on drawn sample faces: on photos they count badly; train on photos, or give --weights"
        )
    return FaceCounter(finds, settings, counting.rule_of(record.decision), origin)


def given_counter(weights: Path, experiment: str, device: str, pictures: int) -> FaceCounter:
    """Given weights, untouched; InputError when they do not fit the experiment's network."""
    settings = COMPETITION.experiment(experiment, "full")
    if not isinstance(settings, FaceCountingExperiment) or not settings.detector.pretrained:
        raise InputError(f"--weights: {experiment} starts from no weights; choose another --experiment")
    network = build_detector(settings.detector)
    take_over_weights(network, settings.detector, weights)
    one_view = settings.pictures.model_copy(update={"views": [ViewSettings()]})
    settings = settings.model_copy(update={"pictures": one_view})
    find = detection(network, settings.counting, device, pictures)
    origin = f"given weights of {settings.detector.family}, untouched, thresholds not tuned"
    return FaceCounter([find], settings, UNTUNED, origin)
