"""The method: decode, train a detector per fold, tune the count on OOF boxes, predict, submit."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from common.base.errors import InputError
from common.files.tables import write_table
from common.files.weights import save_weights
from common.learn.device import torch_device
from common.learn.seeding import derived_seed, seed_everything
from common.run.job import Job, Result
from competitions.face_counting.data import official_tables, stored_pictures
from competitions.face_counting.data.decoding import decode_pictures
from competitions.face_counting.data.folds import held_out
from competitions.face_counting.data.labels import checked_boxes
from competitions.face_counting.data.stored_pictures import StoredPictures, load_pictures
from competitions.face_counting.decision.counting import count_by_folds, rule_from_decision
from competitions.face_counting.decision.out_of_fold import pool_faces, tune
from competitions.face_counting.detection.boxes import detect_faces
from competitions.face_counting.detection.ensemble import ensemble_fold, ensemble_test, number_of_views
from competitions.face_counting.detection.wbf import faces_from_table
from competitions.face_counting.experiment import FaceCountingExperiment
from competitions.face_counting.models.augmentation import TrainingImages
from competitions.face_counting.models.factory import CHECKPOINT, build_detector, load_detector
from competitions.face_counting.models.pretrained import load_pretrained
from competitions.face_counting.models.training import train_detector
from competitions.face_counting.rules.submission import submission_faults, write_submission

FaceJob = Job[FaceCountingExperiment]


def preprocess(job: FaceJob) -> Result:
    """Decode the pictures of both splits, check the labels, and group near duplicates."""
    counts = official_tables.training_counts(job.data)
    boxes = official_tables.training_boxes(job.data)
    stated_boxes = len(boxes)
    test_names = official_tables.test_names(job.data)
    job.separate_splits(counts["Name"], test_names, "pictures")
    pictures = pd.concat(
        [
            pd.DataFrame({"Name": counts["Name"], "split": "train", "head_count": counts["HeadCount"]}),
            pd.DataFrame({"Name": test_names, "split": "test", "head_count": -1}),
        ],
        ignore_index=True,
    )
    pixels = stored_pictures.pixels_file(job.processed)
    pictures, unreadable = decode_pictures(official_tables.picture_folder(job.data), pictures, pixels)
    labelled = pictures[(pictures["split"] == "train") & (pictures["width"] > 0)]
    try:
        boxes, faults = checked_boxes(boxes, labelled)
        for message in unreadable + faults:
            job.warn(message)
        job.limit_losses(stated_boxes - len(boxes), stated_boxes, "boxes of bbox_train.csv")
    except InputError:
        pixels.unlink()
        raise
    outputs = [
        pixels,
        write_table(stored_pictures.pictures_file(job.processed), pictures),
        write_table(stored_pictures.boxes_file(job.processed), boxes),
    ]
    metrics: dict[str, float] = {
        "train_pictures": len(labelled),
        "test_pictures": int((pictures["split"] == "test").sum()),
        "faces": len(boxes),
        "near_duplicates": len(labelled) - labelled["near_duplicates"].nunique(),
    }
    return Result(outputs, metrics=metrics)


def train_fold(job: FaceJob) -> Result:
    """Train one network and predict the held-out pictures; an ensemble stacks its members' boxes."""
    settings = job.settings
    if settings.parents:
        pictures, boxes = ensemble_fold(job)
        return Result(_write_oof(job, pictures, boxes), metrics={"boxes": len(boxes)})
    stored = _readable_pictures(job, "train")
    head_counts = stored.pictures["head_count"].to_numpy()
    groups = stored.pictures["near_duplicates"].to_numpy()
    out = held_out(settings, job.fold, head_counts, groups, job.seed)

    seed, device, what = (
        derived_seed(job.seed, "fold", job.fold),
        torch_device(job.device),
        f"fold {job.fold}",
    )
    seed_everything(seed)
    images = TrainingImages(stored.where(~out), settings.input, settings.augmentation, seed)
    network = build_detector(settings.detector, images.face_sides())
    loaded = load_pretrained(
        network, settings.detector, job.stage_args.weights, trains=settings.training.epochs > 0
    )
    network, history = train_detector(network, images, settings.training, seed, job.resume_dir, device, what)

    validation = stored.where(out)
    boxes = detect_faces(network, validation, settings, device, what)
    checkpoint = job.fold_folder / CHECKPOINT
    save_weights(checkpoint, network.state_dict())
    outputs = [checkpoint, *_write_oof(job, validation.pictures[["Name", "head_count"]], boxes)]
    metrics: dict[str, float] = {"images": len(images), "boxes": len(boxes), "pretrained_tensors": loaded}
    return Result(outputs, metrics=metrics, history=history)


def pool_folds(job: FaceJob) -> Result:
    """Select the counting strategy, and fit its rule, on the OOF boxes of all folds."""
    labels = load_pictures(job.processed, "train").boxes
    pooled = pool_faces(job.fold_folders, number_of_views(job), labels)
    tuned = tune(pooled, job.settings.counting)
    path = job.paths.experiment(job.settings.name) / "oof.parquet"
    write_table(path, pooled.pictures.assign(count=tuned.counts))
    return Result([path], metrics=tuned.metrics, decision=tuned.decision)


def infer(job: FaceJob) -> Result:
    """Boxes of every fold's network in the test pictures; an ensemble stacks its members' boxes."""
    boxes = ensemble_test(job) if job.settings.parents else pd.concat(_test_boxes(job), ignore_index=True)
    path = job.paths.test(job.settings.name, ".parquet")
    return Result([write_table(path, boxes)], metrics={"boxes": len(boxes)})


def _test_boxes(job: FaceJob) -> Iterator[pd.DataFrame]:
    stored, device = _readable_pictures(job, "test"), torch_device(job.device)
    boxes = pd.DataFrame()
    for fold, folder in enumerate(job.fold_folders):
        # Without training all folds have the same weights.
        if fold == 0 or job.settings.training.epochs > 0:
            network = load_detector(job.settings.detector, folder)
            boxes = detect_faces(network, stored, job.settings, device, f"test pictures, fold {fold}")
            boxes.insert(0, "fold", fold)
        yield boxes.assign(fold=fold)


def make_submission(job: FaceJob) -> Result:
    """One count per test picture: the tuned rule applied to each fold, and the folds combined."""
    settings, decision = job.settings, job.upstream["oof"].decision
    boxes = pd.read_parquet(job.paths.test(settings.name, ".parquet"))
    stored = load_pictures(job.processed, "test")
    folds = [
        faces_from_table(boxes[boxes["fold"] == fold], stored.names, decision["views"])
        for fold in range(settings.folds)
    ]
    counts = count_by_folds(rule_from_decision(decision), folds, settings.counting)
    counts[~stored.readable] = decision["mean_count"]
    for name in np.asarray(stored.names)[~stored.readable]:
        job.warn(f"{name} is unreadable and gets the mean count {decision['mean_count']:.2f}")

    draft = job.resume_dir / "submission.csv"
    write_submission(draft, stored.names, counts)
    faults = submission_faults(draft, job.data)
    if faults:
        raise InputError(f"the submission would not be valid: {'; '.join(faults)}; run 1_preprocess.py again")
    path = job.paths.submission(settings.name, ".csv")
    draft.replace(path)
    return Result([path], metrics={"pictures": len(counts), "mean_count": float(counts.mean())})


def _readable_pictures(job: FaceJob, split: str) -> StoredPictures:
    stored = load_pictures(job.processed, split)
    return stored.where(stored.readable)


def _write_oof(job: FaceJob, pictures: pd.DataFrame, boxes: pd.DataFrame) -> list[Path]:
    return [
        write_table(job.fold_folder / "held_out.parquet", pictures),
        write_table(job.fold_folder / "oof.parquet", boxes),
    ]
