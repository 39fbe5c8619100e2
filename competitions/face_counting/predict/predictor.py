"""A trained experiment as an object: photos in, head counts out."""

import itertools
import shutil
import warnings
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.base.console import counted, log, progress
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.tables import write_table
from common.learn.arrays import Float32, Float64
from common.learn.device import torch_device
from common.run.job import Result
from common.run.own_data import OwnDataJob
from common.run.trained import TrainedExperiment, trained_experiment
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.data.stored_pictures import StoredPictures
from competitions.face_counting.decision import counting
from competitions.face_counting.decision.photo_count import count_photo
from competitions.face_counting.detection.boxes import boxes_table
from competitions.face_counting.detection.ensemble import stack_views
from competitions.face_counting.detection.pyramid import MIN_FACE, TILE, plan_pyramid
from competitions.face_counting.detection.tiles import cut_tiles
from competitions.face_counting.detection.wbf import (
    DetectedFaces,
    concat_pictures,
    faces_from_table,
    fuse_folds,
)
from competitions.face_counting.experiment import FaceCountingExperiment
from competitions.face_counting.models.base import Detect, FaceDetector
from competitions.face_counting.models.factory import build_detector, load_detector
from competitions.face_counting.models.openvino import detect_function
from competitions.face_counting.models.pretrained import load_pretrained
from competitions.face_counting.predict.counts_file import GrowingCounts
from competitions.face_counting.predict.photos import (
    Photo,
    PhotoFiles,
    Photos,
    as_stored,
    drawing_name,
    find_photos,
    photo_name,
    photo_size,
    read_photos,
    save_drawing,
)

DEFAULT_RULE = counting.CountingRule(
    counting.Strategy("wbf", "threshold"), iou=0.3, thresholds=[0.5], increments=[1.0], intercept=0.0
)
"""The counting rule of pretrained weights off the shelf: nothing is tuned on photos of the user's own."""
CHUNK = 48
"""Tiles in memory at once."""


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
    boxes: Float64
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
        origin = f"pretrained weights of {settings.detector.family} off the shelf, thresholds not tuned"
        decision = counting.as_decision(DEFAULT_RULE, mean_count=0.0, views=len(settings.input.tta))
        return cls([[Member(network, settings)]], settings, decision, device, origin)

    def predict(self, photos: Photos, tiles: bool = True, tell: Callable[[str], None] = log) -> pd.DataFrame:
        """Count the faces of photos.

        Parameters
        ----------
        photos : a folder (searched with its sub-folders), a file, or a list of files, of any size and any
            format that Pillow reads.
        tiles : whether photos of more than 640 px are also seen in tiles at their own scale; see
            `detection.pyramid`.
        tell : called with a line or two on how the photos were read.

        Returns
        -------
        One row per readable photo: Name (path below the folder, or below the files' common folder; bytes that
        are no UTF-8 as `photo_name` writes them), HeadCount (real-valued), Faces (number of boxes above the
        count threshold). Unreadable photos are left out with a warning.

        Raises
        ------
        InputError : no photos, or none that is readable.
        """
        found = self.count_photos(photos, lambda message: warnings.warn(message, stacklevel=2), tiles, tell)
        rows = [(each.photo.name, each.count, len(each.boxes)) for each in found]
        return pd.DataFrame(rows, columns=["Name", "HeadCount", "Faces"])

    def count_photos(
        self,
        photos: Photos,
        warn: Callable[[str], None],
        tiles: bool = True,
        tell: Callable[[str], None] = log,
    ) -> Iterator[CountedPhoto]:
        """Photos one by one with count and boxes, as `predict`.

        Parameters
        ----------
        warn : called with one line for each unreadable photo.
        """
        found = find_photos(photos)
        readable = 0
        for each in self.count_files(found, warn, tiles, tell):
            readable += 1
            yield each
        if readable == 0:
            raise InputError(none_readable(found))

    def count_files(
        self,
        found: PhotoFiles,
        warn: Callable[[str], None],
        tiles: bool,
        tell: Callable[[str], None],
        done: Container[str] = (),
    ) -> Iterator[CountedPhoto]:
        """The photos that were found, one by one, but for those whose names are done already."""
        sizes = {path: photo_size(path) for path in found.files}
        plans = [plan_pyramid(*size, self.tile_side, tiles) for size in sizes.values() if min(size)]
        for line in understood_lines(found, list(sizes.values()), self.tile_side, tiles):
            tell(line)
        files = [path for path in found.files if photo_name(path, found.folder) not in done]
        views = sum(len(level.tiles) for plan in plans for level in plan.levels)
        detect = self._detect_functions(views if files else 0)
        batches = read_photos(found.folder, files, [sizes[path] for path in files], warn)
        for batch in progress(batches, "counting faces", "batch"):
            for photo, (count, boxes) in zip(batch, self._count_batch(batch, tiles, detect), strict=True):
                yield CountedPhoto(photo, count, boxes)

    @property
    def tile_side(self) -> int:
        """Side in px of tiles, and of the image in which a whole photo is seen."""
        members = itertools.chain(*self.folds)
        return max(TILE, *(member.settings.input.image_size for member in members))

    def _count_batch(
        self, photos: list[Photo], tiles: bool, detect: dict[Member, Detect]
    ) -> list[tuple[float, Float64]]:
        """For each photo its count, and the first fold's boxes (faces, 4) above the count threshold."""
        padded = any(member.settings.input.preprocessing == "resize" for member in detect)
        cut = []
        for photo in photos:
            height, width = photo.pixels.shape[:2]
            cut.append(cut_tiles(photo.pixels, plan_pyramid(width, height, self.tile_side, tiles), padded))
        pictures = [picture for _, own, _ in cut for picture in own]
        scales = [scale for _, _, own in cut for scale in own]
        parts: list[list[DetectedFaces]] = [[] for _ in self.folds]
        for start in range(0, len(pictures), CHUNK):
            chunk = pictures[start : start + CHUNK]
            stored = as_stored([Photo(str(row), pixels, 1.0) for row, pixels in enumerate(chunk)])
            for part, found in zip(parts, self._detect(stored, detect), strict=True):
                part.append(found)
        folds = [rescaled(concat_pictures(part), scales) for part in parts]
        if self.settings.counting.fold_ensemble == "wbf":
            folds = [fuse_folds(folds, self.settings.counting.wbf_iou)]
        owner = np.repeat(np.arange(len(cut)), [len(own) for _, own, _ in cut])
        results = []
        for number, (tiled, _, _) in enumerate(cut):
            counted = [count_photo(self.rule, tiled, found.of_pictures(owner == number)) for found in folds]
            results.append((float(np.mean([count for count, _ in counted])), counted[0][1]))
        return results

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

    def _detect(self, stored: StoredPictures, detect: dict[Member, Detect]) -> list[DetectedFaces]:
        """The boxes of each fold in all pictures."""
        tables = {
            member: boxes_table(call, stored, member.settings.input, "boxes")
            for member, call in detect.items()
        }
        return [self._stack(members, tables, stored) for members in self.folds]

    def _count(self, stored: StoredPictures, detect: dict[Member, Detect]) -> list[tuple[float, Float32]]:
        found = self._detect(stored, detect)
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


def rescaled(found: DetectedFaces, scales: list[float]) -> DetectedFaces:
    """Boxes in px of pictures as boxes in px of their tiles; `scales`: side of the one over the other."""
    scale = np.asarray(scales, dtype=np.float32)
    return replace(found, boxes=found.boxes / scale[found.picture][:, None])


def none_readable(found: PhotoFiles) -> str:
    """The message when no photo can be read."""
    return f"{display_path(found.folder)}: none of {len(found.files)} photos is readable"


def understood_lines(
    found: PhotoFiles, sizes: list[tuple[int, int]], tile: int, tiles: bool
) -> Iterator[str]:
    """How photos of these widths and heights are read."""
    known = [size for size in sizes if min(size)]
    largest = max(known, key=lambda size: size[0] * size[1], default=(0, 0))
    text = counted(len(found.files), "photo")
    if known:
        text += f" of up to {largest[0]} x {largest[1]} px"
    yield text + (f"; {found.left_out}" if found.left_out else "")
    large = [plan_pyramid(*size, tile) for size in known if max(size) > tile]
    larger = f"{counted(len(large), 'photo')} larger than {tile} px"
    if large and tiles:
        most = max(plan.tiles for plan in large)
        yield (
            f"{larger}: seen whole and in up to {most} tiles at their own "
            f"scale, faces from about {MIN_FACE} px on"
        )
    elif large:
        scale = min(plan.levels[plan.base].scale for plan in large)
        yield (
            f"{larger}: seen whole at {tile} px (--tiles off), in the "
            f"largest one faces from about {round(MIN_FACE / scale)} px on"
        )


def predict_own_photos(job: OwnDataJob[FaceCountingExperiment]) -> Result:
    """3_infer.py --images: counts.csv, and with --save-pictures the photos with their boxes.

    Finished photos are kept in the resume folder, so that a stopped run goes on.
    """
    args = job.stage_args
    found = find_photos(args.images)
    if args.weights is None:
        model = FaceCounter.from_training(job.experiment, job.paths.work, job.device)
    else:
        model = FaceCounter.from_weights(args.weights, job.experiment, job.device)
    log(f"  {model.origin}")
    growing = GrowingCounts(job.resume_dir / "counts.csv")
    log(f"  counts so far: {display_path(growing.path)}")
    drawn = job.resume_dir / "pictures"
    for each in model.count_files(found, job.warn, args.tiles == "auto", job.understood, growing.rows):
        if args.save_pictures:
            save_drawing(drawn, each.photo, each.count, each.boxes)
        growing.add(each.photo.name, each.count, len(each.boxes))
    names = [name for path in found.files if (name := photo_name(path, found.folder)) in growing.rows]
    if not names:
        raise InputError(none_readable(found))
    table = pd.DataFrame(
        [(name, *growing.rows[name]) for name in names], columns=["Name", "HeadCount", "Faces"]
    )
    outputs = [write_table(job.output(".csv"), table)]
    # Pictures of an earlier run would show other counts.
    pictures = job.output("").parent / "pictures"
    shutil.rmtree(pictures, ignore_errors=True)
    if args.save_pictures:
        drawn.rename(pictures)
        outputs += [pictures / drawing_name(name) for name in names]
    return Result(outputs, metrics={"photos": len(names), "faces": float(table["HeadCount"].sum())})
