"""A trained experiment as an object: photos in, head counts out."""

import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from common.base.console import log, progress
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.tables import write_table
from common.learn.arrays import Float32
from common.learn.device import torch_device
from common.run.job import Result
from common.run.own_data import OwnDataJob
from common.run.trained import TrainedExperiment, trained_experiment
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.data.stored_pictures import StoredPictures
from competitions.face_counting.decision import counting
from competitions.face_counting.detection.boxes import boxes_table
from competitions.face_counting.detection.ensemble import stack_views
from competitions.face_counting.detection.wbf import DetectedFaces, faces_from_table
from competitions.face_counting.experiment import FaceCountingExperiment, ViewSettings
from competitions.face_counting.models.base import Detect, FaceDetector
from competitions.face_counting.models.factory import build_detector, load_detector
from competitions.face_counting.models.openvino import detect_function
from competitions.face_counting.models.pretrained import load_pretrained
from competitions.face_counting.predict.photos import (
    BATCH,
    Photo,
    Photos,
    as_stored,
    photo_files,
    read_photos,
    save_drawing,
)

DEFAULT_RULE = counting.CountingRule(
    counting.Strategy("first_view", "threshold"), iou=0.4, thresholds=[0.5], increments=[1.0], intercept=0.0
)
"""The counting rule of pretrained weights off the shelf: nothing was tuned on them."""


@dataclass(frozen=True, eq=False)
class Member:
    """One trained network with the settings that it was trained by."""

    network: FaceDetector
    settings: FaceCountingExperiment


@dataclass(frozen=True)
class CountedPhoto:
    """The prediction for one photo."""

    photo: Photo
    count: float
    """By the counting rule; real-valued."""
    boxes: Float32
    """(faces, 4) boxes above the count threshold, of the first fold, in px of `photo.pixels`."""


class FaceCounter:
    """The networks of all folds with one counting rule.

    Parameters
    ----------
    folds : for each fold its networks: one, or several in an ensemble. A network that several folds share is
        listed in each of them, and run once.
    decision : the counting rule as 2_train_folds.py tuned it.
    device : auto, cpu or cuda.
    origin : one line on where the networks come from.
    """

    def __init__(
        self,
        folds: list[list[Member]],
        settings: FaceCountingExperiment,
        decision: dict[str, Any],
        device: str = "auto",
        origin: str = "",
    ) -> None:
        self.folds, self.settings, self.decision, self.origin = folds, settings, decision, origin
        self.rule = counting.rule_from_decision(decision)
        self.device = torch_device(device)

    @classmethod
    def from_training(cls, experiment: str, work: Path | str | None, device: str) -> "FaceCounter":
        """All folds of a trained experiment; InputError when it is not trained below `work`."""
        trained = trained_experiment(COMPETITION, experiment, work)
        members = trained.parents() or [trained]
        # Without training all folds have the same weights, and are run once.
        untrained = [member.settings.training.epochs == 0 for member in members]
        folds: list[list[Member]] = []
        for fold in range(1 if all(untrained) else trained.settings.folds):
            folds.append(
                [
                    folds[0][place] if fold and shared else _load_member(member, fold)
                    for place, (member, shared) in enumerate(zip(members, untrained, strict=True))
                ]
            )
        networks = len(set(itertools.chain(*folds)))
        origin = f"{networks} networks of {experiment} (profile {trained.record.profile})"
        trained.log_sample_data()
        return cls(folds, trained.settings, trained.decision, device, origin)

    @classmethod
    def from_weights(cls, weights: Path, experiment: str, device: str = "auto") -> "FaceCounter":
        """Pretrained weights off the shelf, for the network of an experiment (of an ensemble's first parent).

        Raises
        ------
        InputError : the experiment uses no pretrained weights, or these do not fit its network.
        """
        settings = COMPETITION.experiment(experiment, "full")
        if settings.parents:
            settings = COMPETITION.experiment(settings.parents[0], "full")
        if not settings.detector.pretrained:
            raise InputError(
                f"--weights: {experiment} does not use pretrained weights; choose another --experiment"
            )
        network = build_detector(settings.detector)
        load_pretrained(network, settings.detector, weights, trains=False)
        one_view = settings.input.model_copy(update={"tta": [ViewSettings()]})
        settings = settings.model_copy(update={"input": one_view})
        origin = f"pretrained weights of {settings.detector.family} off the shelf, thresholds not tuned"
        decision = counting.as_decision(DEFAULT_RULE, mean_count=0.0, views=1)
        return cls([[Member(network, settings)]], settings, decision, device, origin)

    def predict(self, photos: Photos) -> pd.DataFrame:
        """Count the faces of photos.

        Parameters
        ----------
        photos : a folder (searched with its sub-folders), a file, or a list of files; JPEG, PNG or WebP of
            any size.

        Returns
        -------
        One row per readable photo: Name (path below the folder, or below the files' common folder),
        HeadCount (real-valued), Faces (number of boxes above the count threshold). Unreadable photos are left
        out with a warning.

        Raises
        ------
        InputError : no photos, or none that is readable.
        """
        found = self.count_photos(photos, lambda message: warnings.warn(message, stacklevel=2))
        rows = [(each.photo.name, each.count, len(each.boxes)) for each in found]
        return pd.DataFrame(rows, columns=["Name", "HeadCount", "Faces"])

    def count_photos(self, photos: Photos, warn: Callable[[str], None]) -> Iterator[CountedPhoto]:
        """Photos one by one with count and boxes, as `predict`.

        Parameters
        ----------
        warn : called with one line for each unreadable photo.
        """
        folder, files = photo_files(photos)
        detect = self._detect_functions(len(files))
        batches = read_photos(folder, files, warn)
        readable = 0
        for batch in progress(batches, "counting faces", "batch", -(-len(files) // BATCH)):
            readable += len(batch)
            for photo, (count, boxes) in zip(batch, self._count(as_stored(batch), detect), strict=True):
                yield CountedPhoto(photo, count, boxes)
        if readable == 0:
            raise InputError(f"{display_path(folder)}: none of {len(files)} photos is readable")

    def count_pictures(self, stored: StoredPictures) -> list[tuple[float, Float32]]:
        """For each picture its count, and the first fold's boxes (faces, 4) above the count threshold."""
        return self._count(stored, self._detect_functions(len(stored)))

    def _detect_functions(self, pictures: int) -> dict[Member, Detect]:
        """For each network the call that finds faces, compiled where `pictures` are many."""
        return {
            member: detect_function(
                member.network,
                member.settings.counting,
                self.device,
                pictures * len(member.settings.input.tta),
            )
            for member in itertools.chain(*self.folds)
        }

    def _count(self, stored: StoredPictures, detect: dict[Member, Detect]) -> list[tuple[float, Float32]]:
        tables = {
            member: boxes_table(call, stored, member.settings.input, "boxes")
            for member, call in detect.items()
        }
        found = [self._stack(members, tables, stored) for members in self.folds]
        counts = counting.count_by_folds(self.rule, found, self.settings.counting)
        faces = self.rule.faces(found[0])
        return [(float(counts[row]), faces.boxes[faces.picture == row]) for row in range(len(stored))]

    def _stack(
        self, members: list[Member], tables: dict[Member, pd.DataFrame], stored: StoredPictures
    ) -> DetectedFaces:
        """The boxes of one fold: views of all its networks, numbered on."""
        views = [len(member.settings.input.tta) for member in members]
        threshold = self.settings.counting.score_threshold
        boxes = stack_views([tables[member] for member in members], views, threshold)
        return faces_from_table(boxes, stored.names, sum(views))


def _load_member(trained: TrainedExperiment[FaceCountingExperiment], fold: int) -> Member:
    return Member(load_detector(trained.settings.detector, trained.fold_folders[fold]), trained.settings)


def predict_own_photos(job: OwnDataJob[FaceCountingExperiment]) -> Result:
    """3_infer.py --images: counts.csv, and with --save-pictures the photos with their boxes."""
    args = job.stage_args
    if args.weights is None:
        model = FaceCounter.from_training(job.experiment, job.paths.work, job.device)
    else:
        model = FaceCounter.from_weights(args.weights, job.experiment, job.device)
    log(f"  {model.origin}")
    pictures = job.output("").parent / "pictures"
    rows, outputs = [], []
    for each in model.count_photos(args.images, job.warn):
        rows.append((each.photo.name, round(each.count, 2), len(each.boxes)))
        if args.save_pictures:
            outputs.append(save_drawing(pictures, each.photo, each.count, each.boxes))
    table = pd.DataFrame(rows, columns=["Name", "HeadCount", "Faces"])
    path = write_table(job.output(".csv"), table)
    return Result([path, *outputs], metrics={"photos": len(rows), "faces": float(table["HeadCount"].sum())})
