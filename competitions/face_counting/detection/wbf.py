"""Boxes of several looks at the same picture put together: by suppression, or by weighted fusion.

Looks are views (scales, mirrored), detectors of other folds, or detectors of other families: whatever gives
boxes for the same picture.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torchvision.ops import box_iou, nms

from competitions.face_counting.data.official_tables import BOX_COLUMNS


@dataclass(frozen=True)
class FoundFaces:
    """Boxes found on some pictures."""

    picture: npt.NDArray[np.int64]
    """(n,) number of each box's picture, rising."""
    boxes: npt.NDArray[np.float32]
    """(n, 4) corners in px."""
    scores: npt.NDArray[np.float32]
    """(n,)"""
    look: npt.NDArray[np.int64]
    """(n,) number of the look that found it."""
    pictures: int
    looks: int

    def only(self, look: int) -> "FoundFaces":
        """What one look found."""
        return self.at(np.flatnonzero(self.look == look))

    def at_least(self, confidence: float) -> "FoundFaces":
        """The boxes that are at least that sure."""
        return self.at(np.flatnonzero(self.scores >= confidence))

    def of_pictures(self, mask: npt.NDArray[np.bool_]) -> "FoundFaces":
        """The pictures that a mask marks, numbered anew."""
        number = np.cumsum(mask) - 1
        rows = np.flatnonzero(mask[self.picture])
        kept = self.at(rows)
        return FoundFaces(
            number[kept.picture], kept.boxes, kept.scores, kept.look, int(mask.sum()), self.looks
        )

    def suppressed(self, overlap: float) -> "FoundFaces":
        """What non-maximum suppression at that IoU leaves of all looks in each picture."""
        boxes, scores = torch.from_numpy(self.boxes), torch.from_numpy(self.scores)
        kept = [
            np.sort(nms(boxes[start:stop], scores[start:stop], overlap).numpy()) + start
            for start, stop in self._spans()
        ]
        return self.at(np.concatenate(kept) if kept else np.zeros(0, np.int64))

    def fused(self, overlap: float) -> "FoundFaces":
        """Weighted boxes fusion (Solovyev et al. 2021) of all looks.

        The boxes that suppression at that IoU leaves gather what they suppress. A fused box is the mean of
        its boxes, weighted by their scores; its score is the mean of each look's best score, nought for
        looks that did not see it. It is numbered as found by look 0.
        """
        return self.gathered(overlap)[0]

    def gathered(self, overlap: float) -> tuple["FoundFaces", npt.NDArray[np.float32]]:
        """The fused boxes, and for each (n, looks) the best score of every look."""
        picture, boxes = [], [np.zeros((0, 4), np.float32)]
        evidence = [np.zeros((0, self.looks), np.float32)]
        for start, stop in self._spans():
            own, weight = torch.from_numpy(self.boxes[start:stop]), torch.from_numpy(self.scores[start:stop])
            leaders = nms(own, weight, overlap)
            overlaps = box_iou(own, own[leaders])
            # A box goes to a surer one, though it may overlap a less sure one more.
            overlaps[weight[:, None] > weight[leaders][None]] = -1.0
            overlaps[leaders, torch.arange(len(leaders))] = 2.0
            owner = overlaps.argmax(dim=1)
            total = torch.zeros(len(leaders)).index_add(0, owner, weight)
            middle = torch.zeros(len(leaders), 4).index_add(0, owner, own * weight[:, None]) / total[:, None]
            best = torch.zeros(len(leaders) * self.looks)
            place = owner * self.looks + torch.from_numpy(self.look[start:stop])
            best = best.scatter_reduce(0, place, weight, "amax").view(len(leaders), self.looks)
            picture += [int(self.picture[start])] * len(leaders)
            boxes.append(middle.numpy())
            evidence.append(best.numpy())
        seen = np.concatenate(evidence)
        fused = FoundFaces(
            np.asarray(picture, np.int64),
            np.concatenate(boxes),
            seen.mean(axis=1, dtype=np.float32),
            np.zeros(len(picture), np.int64),
            self.pictures,
            1,
        )
        return fused, seen

    def above(self, confidences: list[float]) -> npt.NDArray[np.int64]:
        """(confidences, pictures) boxes that are at least that sure."""
        return np.stack(
            [
                np.bincount(self.picture[self.scores >= limit], minlength=self.pictures)
                for limit in confidences
            ]
        )

    def at(self, rows: npt.NDArray[np.int64]) -> "FoundFaces":
        """The boxes of these rows."""
        return FoundFaces(
            self.picture[rows],
            self.boxes[rows],
            self.scores[rows],
            self.look[rows],
            self.pictures,
            self.looks,
        )

    def _spans(self) -> list[tuple[int, int]]:
        """First row and the one after the last, of each picture that has any box."""
        starts = np.searchsorted(self.picture, np.arange(self.pictures + 1)).tolist()
        return [(start, stop) for start, stop in itertools.pairwise(starts) if stop > start]


def found_faces(boxes: pd.DataFrame, names: list[str], looks: int) -> FoundFaces:
    """The boxes of `names` (no name twice) out of a table of Name, view, corners, score."""
    number = pd.Series(np.arange(len(names)), index=names)
    known = boxes[boxes["Name"].isin(number.index)]
    picture = number.loc[known["Name"]].to_numpy(np.int64)
    order = np.argsort(picture, kind="stable")
    return FoundFaces(
        picture[order],
        known[BOX_COLUMNS].to_numpy(np.float32)[order],
        known["score"].to_numpy(np.float32)[order],
        known["view"].to_numpy(np.int64)[order],
        len(names),
        looks,
    )


def joined(parts: list[FoundFaces]) -> FoundFaces:
    """Several sets of pictures, seen by the same looks, one after the other."""
    shifts = np.cumsum([0, *(part.pictures for part in parts)])
    return FoundFaces(
        np.concatenate([part.picture + shift for part, shift in zip(parts, shifts, strict=False)]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.look for part in parts]),
        int(shifts[-1]),
        parts[0].looks,
    )


def fused_folds(folds: list[FoundFaces], overlap: float) -> FoundFaces:
    """What the networks of all folds found on the same pictures, fused for each look by itself.

    So a rule that was tuned on one network's looks can count them.
    """
    parts = []
    for look in range(folds[0].looks):
        own = [fold.only(look) for fold in folds]
        picture = np.concatenate([part.picture for part in own])
        order = np.argsort(picture, kind="stable")
        network = np.repeat(np.arange(len(own)), [len(part.picture) for part in own])
        together = FoundFaces(
            picture[order],
            np.concatenate([part.boxes for part in own])[order],
            np.concatenate([part.scores for part in own])[order],
            network[order],
            folds[0].pictures,
            len(folds),
        ).fused(overlap)
        parts.append((together, np.full(len(together.picture), look)))
    picture = np.concatenate([part.picture for part, _ in parts])
    order = np.argsort(picture, kind="stable")
    return FoundFaces(
        picture[order],
        np.concatenate([part.boxes for part, _ in parts])[order],
        np.concatenate([part.scores for part, _ in parts])[order],
        np.concatenate([look for _, look in parts])[order],
        folds[0].pictures,
        folds[0].looks,
    )
