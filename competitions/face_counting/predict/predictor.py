"""A counter for any pictures: networks and the rule for their boxes, trained here or given."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.base.errors import InputError
from common.base.paths import WorkPaths, display_path
from common.run.run_record import RunRecord, read_record
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.data.stored_pictures import StoredPictures
from competitions.face_counting.decision import counting
from competitions.face_counting.detection.boxes import Detect, detection, found_in
from competitions.face_counting.detection.wbf import FoundFaces, found_faces
from competitions.face_counting.experiment import (
    CountingSettings,
    FaceCountingExperiment,
    PictureSettings,
    ViewSettings,
)
from competitions.face_counting.models.base import build_detector, restore
from competitions.face_counting.models.pretrained import take_over_weights

UNTUNED = counting.CountingRule(
    counting.Way("first_look", "boxes_above"), overlap=0.4, confidences=[0.5], worths=[1.0], constant=0.0
)
"""What given weights count by: nothing was tuned on them."""


@dataclass(frozen=True)
class Look:
    """One network with the views that it has of a picture."""

    find: Detect
    pictures: PictureSettings


@dataclass(frozen=True)
class FaceCounter:
    """The networks of all folds with one rule."""

    folds: list[list[Look]]
    """For each fold its network; several in an experiment that combines others. A network that stands in
    several folds looks once."""
    rule: counting.CountingRule
    settings: CountingSettings
    origin: str
    """One line on where the networks come from."""

    def count(self, pictures: StoredPictures) -> list[tuple[float, npt.NDArray[np.float32]]]:
        """For each picture its count, and the first fold's boxes (faces, 4) that are worth half a face."""
        different = {id(look): look for look in itertools.chain(*self.folds)}
        tables = {key: self._table(look, pictures) for key, look in different.items()}
        found = [_together([(look, tables[id(look)]) for look in looks], pictures) for looks in self.folds]
        counts = counting.count_by_folds(self.rule, found, self.settings)
        faces = self.rule.faces(found[0])
        return [(float(counts[row]), faces.boxes[faces.picture == row]) for row in range(len(pictures))]

    def _table(self, look: Look, pictures: StoredPictures) -> pd.DataFrame:
        table = found_in(look.find, pictures, look.pictures, "boxes")
        return table[table["score"] >= self.settings.floor]


def _together(looks: list[tuple[Look, pd.DataFrame]], pictures: StoredPictures) -> FoundFaces:
    """The faces of one fold: boxes of all its looks, views of later ones numbered on."""
    tables, before = [], 0
    for look, table in looks:
        tables.append(table.assign(view=table["view"] + before))
        before += len(look.pictures.views)
    return found_faces(pd.concat(tables, ignore_index=True), pictures.names, before)


def trained_counter(paths: WorkPaths, experiment: str, device: str, pictures: int) -> FaceCounter:
    """All folds of a finished experiment and its rule; InputError when it is not finished.

    Parameters
    ----------
    pictures : how many will be counted.
    """
    record = _out_of_fold(paths, experiment)
    settings = FaceCountingExperiment.model_validate(record.experiment)
    names = settings.parents or [experiment]
    parents = {
        name: FaceCountingExperiment.model_validate(_out_of_fold(paths, name).experiment) for name in names
    }
    # Untouched weights are the same in all folds.
    untouched = {name for name, parent in parents.items() if parent.training.epochs == 0}
    folds: list[list[Look]] = []
    for fold in range(1 if untouched == set(parents) else settings.folds):
        looks = []
        for place, (name, parent) in enumerate(parents.items()):
            if fold and name in untouched:
                looks.append(folds[0][place])
                continue
            network = build_detector(parent.detector)
            restore(network, paths.fold(name, fold) / "checkpoint.safetensors")
            canvases = pictures * len(parent.pictures.views)
            looks.append(Look(detection(network, parent.counting, device, canvases), parent.pictures))
        folds.append(looks)
    networks = len({id(look) for look in itertools.chain(*folds)})
    origin = f"{networks} networks of {experiment} (profile {record.profile})"
    if record.sample_data:
        origin += (
            ", trained on drawn sample faces: on photos they count badly; train on photos, or give --weights"
        )
    return FaceCounter(folds, counting.rule_of(record.decision), settings.counting, origin)


def given_counter(weights: Path, experiment: str, device: str, pictures: int) -> FaceCounter:
    """Given weights, untouched; InputError when they do not fit the experiment's (first) network."""
    settings = COMPETITION.experiment(experiment, "full")
    if settings.parents:
        settings = COMPETITION.experiment(settings.parents[0], "full")
    if not isinstance(settings, FaceCountingExperiment) or not settings.detector.pretrained:
        raise InputError(f"--weights: {experiment} starts from no weights; choose another --experiment")
    network = build_detector(settings.detector)
    take_over_weights(network, settings.detector, weights)
    one_view = settings.pictures.model_copy(update={"views": [ViewSettings()]})
    look = Look(detection(network, settings.counting, device, pictures), one_view)
    origin = f"given weights of {settings.detector.family}, untouched, thresholds not tuned"
    return FaceCounter([[look]], UNTUNED, settings.counting, origin)


def _out_of_fold(paths: WorkPaths, experiment: str) -> RunRecord:
    file = paths.oof_record(experiment)
    if not file.is_file():
        COMPETITION.experiment(experiment, "full")  # an unknown name is told first
        raise InputError(
            f"{display_path(file)} is missing: no trained networks of {experiment}; run 1_preprocess.py and "
            f"2_train_folds.py first, or give --weights"
        )
    return read_record(file)
