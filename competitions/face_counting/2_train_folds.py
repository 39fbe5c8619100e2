"""Train one face detector per fold, find the faces of pictures that it has not seen, tune the count on them.

    python competitions/face_counting/2_train_folds.py [--experiment NAME] [--fold K] [--weights DIR]

The fold's network, of the experiment's family, learns on canvases of its picture set. An experiment with
parents trains nothing: what they found are its looks at a picture.
When all folds are there, the way from boxes to a count, its confidence and its overlap are chosen on the
pooled out-of-fold boxes. The figures given are of counts by rules that were fitted on the other folds.

Reads
    <work>/processed/

Writes
    <work>/<experiment>/fold<k>/checkpoint.safetensors  the fold's network
    <work>/<experiment>/fold<k>/held_out.parquet  Name and head_count of the pictures that the fold held out
    <work>/<experiment>/fold<k>/oof.parquet  boxes on them: Name, view, corners in px of the picture, score
    <work>/<experiment>/oof.parquet  out-of-fold counts: fold, Name, head_count, count
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, cast

from common.base.paths import display_path
from common.run.stage import Job, Result, Stage
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.experiment import FaceCountingExperiment

if TYPE_CHECKING:
    import pandas as pd


def train_fold(job: Job) -> Result:
    """One network, and its boxes on the pictures that it has not seen."""
    from common.files.weights import save_weights
    from common.learn.device import torch_device
    from common.learn.seeding import derived_seed, seed_everything
    from competitions.face_counting.data.folds import held_out
    from competitions.face_counting.data.stored_pictures import load_pictures
    from competitions.face_counting.detection.boxes import find_faces
    from competitions.face_counting.detection.ensemble import parents_fold
    from competitions.face_counting.models.augmentation import TrainingCanvases
    from competitions.face_counting.models.base import build_detector
    from competitions.face_counting.models.pretrained import take_over_weights
    from competitions.face_counting.models.training import train_detector

    settings = cast(FaceCountingExperiment, job.settings)
    if settings.parents:
        held, boxes = parents_fold(job)
        return Result(_keep(job, held, boxes), metrics={"boxes": len(boxes)})
    stored = load_pictures(job.processed, "train")
    stored = stored.where(stored.readable)
    head_counts = stored.pictures["head_count"].to_numpy()
    groups = stored.pictures["near_duplicates"].to_numpy()
    out = held_out(settings, job.fold, head_counts, groups, job.seed)

    seed, device = derived_seed(job.seed, "fold", job.fold), torch_device(job.device)
    seed_everything(seed)
    canvases = TrainingCanvases(stored.where(~out), settings.pictures, settings.augmentation, seed)
    network = build_detector(settings.detector, canvases.face_sides())
    taken_over = take_over_weights(network, settings.detector, job.stage_args.weights)
    what = f"fold {job.fold}"
    network, history = train_detector(
        network, canvases, settings.training, seed, job.resume_dir, device, what
    )

    unseen = stored.where(out)
    boxes = find_faces(network, unseen, settings.pictures, settings.counting, device, what)
    checkpoint = job.fold_folder / "checkpoint.safetensors"
    save_weights(checkpoint, network.state_dict())
    outputs = [checkpoint, *_keep(job, unseen.pictures[["Name", "head_count"]], boxes)]
    return Result(
        outputs,
        metrics={"canvases": len(canvases), "boxes": len(boxes), "tensors_taken_over": taken_over},
        history=history,
    )


def _keep(job: Job, held_out: "pd.DataFrame", boxes: "pd.DataFrame") -> list[Path]:
    from common.base import atomic

    paths = []
    for name, table in (("held_out.parquet", held_out), ("oof.parquet", boxes)):
        paths.append(job.fold_folder / name)
        with atomic.atomic_write(paths[-1]) as partial:
            table.to_parquet(partial, index=False)
    return paths


def pool_folds(job: Job) -> Result:
    """The way from boxes to a count, chosen on all pictures that were held out."""
    from common.base import atomic
    from competitions.face_counting.data.stored_pictures import load_pictures
    from competitions.face_counting.decision.out_of_fold import decide, pooled_faces
    from competitions.face_counting.detection.ensemble import looks_of

    settings = cast(FaceCountingExperiment, job.settings)
    labels = load_pictures(job.processed, "train").boxes
    pooled = pooled_faces(job.fold_folders, looks_of(job, len(settings.pictures.views)), labels)
    outcome = decide(pooled, settings.counting)
    path = job.paths.experiment(job.settings.name) / "oof.parquet"
    with atomic.atomic_write(path) as partial:
        pooled.pictures.assign(count=outcome.counts).to_parquet(partial, index=False)
    return Result([path], metrics=outcome.metrics, decision=outcome.decision)


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="first weights: a state dict, or a folder with one named after the network (yolov5s.pt)",
    )


def _decisive(flags: argparse.Namespace) -> object:
    from common.base.errors import InputError
    from common.run.run_record import hash_path

    if flags.weights is None:
        return None
    weights = flags.weights.expanduser().absolute()
    if not weights.exists():
        raise InputError(f"--weights {display_path(weights)}: no such file or folder; expected a state dict")
    return hash_path(weights)


if __name__ == "__main__":
    Stage(COMPETITION, "train_folds", __doc__, _add_flags, _decisive).run(train_fold, pool=pool_folds)
