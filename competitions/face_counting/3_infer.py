"""Find the faces of the test pictures with every fold's network, or count those of your own photos.

    python competitions/face_counting/3_infer.py [--experiment NAME]
    python competitions/face_counting/3_infer.py --images DIR [--save-pictures] [--weights DIR]

Own photos are JPEG, PNG or WebP of any size. They are counted by the networks and the rule that were trained,
or, with --weights, by given weights as they are and by usual thresholds.

Reads
    <work>/processed/, <work>/<experiment>/fold<k>/checkpoint.safetensors, <work>/<experiment>/oof.run.json

Writes
    <work>/<experiment>/test.parquet  boxes: fold, Name, view, corners in px of the picture, score
    <work>/<experiment>/images/counts.csv  (--images) Name, HeadCount (real-valued), Faces (boxes shown)
    <work>/<experiment>/images/pictures/  (--save-pictures) the photos with their boxes
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, cast

from common.base.paths import display_path
from common.run.flags import StageFlags
from common.run.stage import Job, Result, Stage
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.experiment import FaceCountingExperiment

if TYPE_CHECKING:
    import pandas as pd


def infer(job: Job) -> Result:
    """The boxes of all folds, one under the other."""
    from common.base import atomic
    from competitions.face_counting.detection.ensemble import parents_test

    settings = cast(FaceCountingExperiment, job.settings)
    boxes = parents_test(job) if settings.parents else _found(job, settings)
    path = job.paths.test(settings.name, ".parquet")
    with atomic.atomic_write(path) as partial:
        boxes.to_parquet(partial, index=False)
    return Result([path], metrics={"boxes": len(boxes)})


def _found(job: Job, settings: FaceCountingExperiment) -> "pd.DataFrame":
    import pandas as pd

    from common.learn.device import torch_device
    from competitions.face_counting.data.stored_pictures import load_pictures
    from competitions.face_counting.detection.boxes import find_faces
    from competitions.face_counting.models.base import build_detector, restore

    stored = load_pictures(job.processed, "test")
    stored = stored.where(stored.readable)
    device = torch_device(job.device)
    tables: list[pd.DataFrame] = []
    for fold, folder in enumerate(job.fold_folders):
        if fold > 0 and settings.training.epochs == 0:
            # Untouched weights are the same in all folds.
            tables.append(tables[0].assign(fold=fold))
            continue
        network = build_detector(settings.detector)
        restore(network, folder / "checkpoint.safetensors")
        what = f"test pictures, fold {fold}"
        boxes = find_faces(network, stored, settings.pictures, settings.counting, device, what)
        boxes.insert(0, "fold", fold)
        tables.append(boxes)
    return pd.concat(tables, ignore_index=True)


def count_own_pictures(flags: StageFlags) -> bool:
    """Count the faces of a folder of photos; False when none is given."""
    from common.base.errors import InputError

    if flags.stage_args.images is None:
        if flags.stage_args.save_pictures or flags.stage_args.weights is not None:
            raise InputError(
                "--save-pictures and --weights are for own photos: give their folder with --images"
            )
        return False
    from common.base.console import log
    from common.base.paths import WorkPaths, default_work
    from common.learn.device import torch_device
    from competitions.face_counting.predict.photos import count_pictures, picture_files
    from competitions.face_counting.predict.predictor import given_counter, trained_counter

    photos = len(picture_files(flags.stage_args.images))
    paths = WorkPaths((flags.work or default_work(COMPETITION.slug)).expanduser().absolute())
    device = torch_device(flags.device)
    if flags.stage_args.weights is None:
        counter = trained_counter(paths, flags.experiment, device, photos)
    else:
        counter = given_counter(flags.stage_args.weights, flags.experiment, device, photos)
    log(f"face_counting 3_infer: {counter.origin}")
    out = paths.experiment(flags.experiment) / "images"
    unreadable = count_pictures(flags.stage_args.images, out, counter.count, flags.stage_args.save_pictures)
    log(f"face_counting 3_infer: counts are in {display_path(out / 'counts.csv')}")
    for message in unreadable:
        log(f"  survived: {message}")
    return True


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of own photos to count faces in")
    parser.add_argument("--save-pictures", action="store_true", help="with --images: also draw the boxes")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="with --images: given weights (file or folder) instead of trained networks",
    )


if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__, _add_flags, instead=count_own_pictures).run(infer)
