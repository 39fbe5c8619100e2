"""Boxes of several views of the same picture merged by NMS or by weighted boxes fusion (WBF).

Views are those of test-time augmentation (scales, flips), models of other folds, or the members of an
ensemble: anything that predicts boxes for the same picture.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torchvision import ops

from common.learn.arrays import Bools, Float32, Int64
from competitions.face_counting.data.official_tables import BOX_COLUMNS


@dataclass(frozen=True)
class DetectedFaces:
    """Boxes found in some pictures."""

    picture: Int64
    """(n,) number of each box's picture, ascending."""
    boxes: Float32
    """(n, 4) corners in px."""
    scores: Float32
    """(n,)"""
    view: Int64
    """(n,) number of the view that found it."""
    pictures: int
    views: int

    def of_view(self, view: int) -> "DetectedFaces":
        """The boxes of one view."""
        return self.at(np.flatnonzero(self.view == view))

    def of_pictures(self, mask: Bools) -> "DetectedFaces":
        """The boxes of the pictures that a mask (pictures,) selects, renumbered from 0."""
        number = np.cumsum(mask) - 1
        rows = np.flatnonzero(mask[self.picture])
        kept = self.at(rows)
        return DetectedFaces(
            number[kept.picture], kept.boxes, kept.scores, kept.view, int(mask.sum()), self.views
        )

    def above(self, threshold: float) -> "DetectedFaces":
        """The boxes with at least that score."""
        return self.at(np.flatnonzero(self.scores >= threshold))

    def counts_above(self, thresholds: list[float]) -> Int64:
        """(thresholds, pictures) number of boxes with at least that score."""
        return np.stack(
            [
                np.bincount(self.picture[self.scores >= threshold], minlength=self.pictures)
                for threshold in thresholds
            ]
        )

    def nms(self, iou: float) -> "DetectedFaces":
        """Non-maximum suppression over the boxes of all views of each picture."""
        boxes, scores = torch.from_numpy(self.boxes), torch.from_numpy(self.scores)
        kept = [
            np.sort(ops.nms(boxes[start:stop], scores[start:stop], iou).numpy()) + start
            for start, stop in self._spans()
        ]
        return self.at(np.concatenate(kept) if kept else np.zeros(0, np.int64))

    def wbf(self, iou: float) -> "DetectedFaces":
        """Weighted boxes fusion (Solovyev et al. 2021) of all views; see `wbf_with_view_scores`."""
        return self.wbf_with_view_scores(iou)[0]

    def wbf_with_view_scores(self, iou: float) -> tuple["DetectedFaces", Float32]:
        """Fused boxes, and the best score of every view for each (n, views).

        The boxes that NMS at that IoU keeps are clusters of the boxes that it suppresses. A fused box is the
        mean of its cluster, weighted by score. Its score is the mean over the views of each view's best
        score, 0 for a view without a box in the cluster. It counts as found by view 0.
        """
        picture, boxes = [], [np.zeros((0, 4), np.float32)]
        view_scores = [np.zeros((0, self.views), np.float32)]
        for start, stop in self._spans():
            own, weight = torch.from_numpy(self.boxes[start:stop]), torch.from_numpy(self.scores[start:stop])
            leaders = ops.nms(own, weight, iou)  # rows of the clusters' best boxes
            overlaps = ops.box_iou(own, own[leaders])  # (boxes, clusters)
            # A box joins the cluster that it overlaps most, among leaders with a score at least its own.
            overlaps[weight[:, None] > weight[leaders][None]] = -1.0
            overlaps[leaders, torch.arange(len(leaders))] = 2.0
            cluster = overlaps.argmax(dim=1)  # (boxes,)
            total = torch.zeros(len(leaders)).index_add(0, cluster, weight)
            mean = torch.zeros(len(leaders), 4).index_add(0, cluster, own * weight[:, None]) / total[:, None]
            # The maximum over (cluster, view) cells, flattened to cluster * views + view.
            best = torch.zeros(len(leaders) * self.views)
            cell = cluster * self.views + torch.from_numpy(self.view[start:stop])
            best = best.scatter_reduce(0, cell, weight, "amax").view(len(leaders), self.views)
            picture += [int(self.picture[start])] * len(leaders)
            boxes.append(mean.numpy())
            view_scores.append(best.numpy())
        scores = np.concatenate(view_scores)
        fused = DetectedFaces(
            np.asarray(picture, np.int64),
            np.concatenate(boxes),
            scores.mean(axis=1, dtype=np.float32),
            np.zeros(len(picture), np.int64),
            self.pictures,
            1,
        )
        return fused, scores

    def at(self, rows: Int64) -> "DetectedFaces":
        """The boxes of these rows."""
        return DetectedFaces(
            self.picture[rows],
            self.boxes[rows],
            self.scores[rows],
            self.view[rows],
            self.pictures,
            self.views,
        )

    def _spans(self) -> list[tuple[int, int]]:
        """First row, and one past the last, of each picture that has boxes."""
        starts = np.searchsorted(self.picture, np.arange(self.pictures + 1)).tolist()
        return [(start, stop) for start, stop in itertools.pairwise(starts) if stop > start]


def faces_from_table(boxes: pd.DataFrame, names: list[str], views: int) -> DetectedFaces:
    """The boxes of the pictures `names` (each name once) in a table of Name, view, corners, score."""
    number = pd.Series(np.arange(len(names)), index=names)
    known = boxes[boxes["Name"].isin(number.index)]
    picture = number.loc[known["Name"]].to_numpy(np.int64)
    order = np.argsort(picture, kind="stable")
    return DetectedFaces(
        picture[order],
        known[BOX_COLUMNS].to_numpy(np.float32)[order],
        known["score"].to_numpy(np.float32)[order],
        known["view"].to_numpy(np.int64)[order],
        len(names),
        views,
    )


def concat_pictures(parts: list[DetectedFaces]) -> DetectedFaces:
    """Several sets of pictures with the same views, one after the other."""
    shifts = np.cumsum([0, *(part.pictures for part in parts)])
    return DetectedFaces(
        np.concatenate([part.picture + shift for part, shift in zip(parts, shifts, strict=False)]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.view for part in parts]),
        int(shifts[-1]),
        parts[0].views,
    )


def fuse_folds(folds: list[DetectedFaces], iou: float) -> DetectedFaces:
    """WBF over the models of all folds on the same pictures, for each view separately.

    The views stay apart, so a counting rule that was tuned on one model's views applies.
    """
    parts = []
    for view in range(folds[0].views):
        own = [fold.of_view(view) for fold in folds]
        picture = np.concatenate([part.picture for part in own])
        order = np.argsort(picture, kind="stable")
        fold = np.repeat(np.arange(len(own)), [len(part.picture) for part in own])
        together = DetectedFaces(
            picture[order],
            np.concatenate([part.boxes for part in own])[order],
            np.concatenate([part.scores for part in own])[order],
            fold[order],
            folds[0].pictures,
            len(folds),
        ).wbf(iou)
        parts.append((together, np.full(len(together.picture), view)))
    picture = np.concatenate([part.picture for part, _ in parts])
    order = np.argsort(picture, kind="stable")
    return DetectedFaces(
        picture[order],
        np.concatenate([part.boxes for part, _ in parts])[order],
        np.concatenate([part.scores for part, _ in parts])[order],
        np.concatenate([view for _, view in parts])[order],
        folds[0].pictures,
        folds[0].views,
    )
