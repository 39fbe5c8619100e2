"""Boxes of one photo's levels and tiles: each face is kept once, on the level that is its home."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torchvision.ops import box_iou

from common.learn.arrays import Bools, Float32, Float64, Int64, UInt8
from competitions.face_counting.detection.pyramid import CORE_MARGIN, Level, Pyramid, Tile, has_detail
from competitions.face_counting.detection.wbf import DetectedFaces

MIN_SCORE = 0.1
"""Merged boxes below it suppress none and are not looked at for duplicates."""
DUPLICATE_IOU = 0.4
PART_COVER = 0.6
"""Share of a box inside a larger face of a coarser level from which it is a part of that face."""
MEMBER_IOU = 0.45
"""Boxes of single views that overlap a suppressed merged box so much go with it."""
MAX_UPSCALE = 2
"""The base level is rendered from a photo of at most so many times its side, for views at larger scales."""


@dataclass(frozen=True)
class SeenTile:
    """One picture that a detector gets."""

    level: int
    tile: Tile


@dataclass(frozen=True)
class TiledPhoto:
    """The pictures in which one photo is seen."""

    pyramid: Pyramid
    seen: list[SeenTile]
    """Tiles without detail are left out of levels that are finer than the base."""

    @property
    def level_numbers(self) -> Int64:
        """(tiles,)"""
        return np.array([each.level for each in self.seen], dtype=np.int64)


def cut_tiles(pixels: UInt8, pyramid: Pyramid, padded: bool) -> tuple[TiledPhoto, list[UInt8], list[float]]:
    """The pictures of a photo (height, width, 3) for all levels.

    Parameters
    ----------
    padded : coarser levels lie on a white picture of the base level's size, for detectors whose input image
        is filled by the picture whatever its size.

    Returns
    -------
    photo : which tile of which level each picture is.
    pictures : (height, width, 3) each.
    scales : side of each picture over the side of its tile.
    """
    seen, pictures, scales = [], [], []
    for number, level in enumerate(pyramid.levels):
        factor = 1.0
        if number == pyramid.base and level.scale < 1:
            factor = min(MAX_UPSCALE, 1 / level.scale)
        picture = _resized(pixels, round(level.width * factor), round(level.height * factor))
        for tile, part in _parts(picture, level, factor):
            if number > pyramid.base and not has_detail(part):
                continue
            if number < pyramid.base and padded:
                part = _on_white(part, pyramid.levels[pyramid.base])
            seen.append(SeenTile(number, tile))
            pictures.append(np.ascontiguousarray(part))
            scales.append(factor)
    return TiledPhoto(pyramid, seen), pictures, scales


def _parts(picture: UInt8, level: Level, factor: float) -> Iterator[tuple[Tile, UInt8]]:
    for tile in level.tiles:
        left, top = round(tile.left * factor), round(tile.top * factor)
        right, lower = left + round(level.tile_width * factor), top + round(level.tile_height * factor)
        yield tile, picture[top:lower, left:right]


def _on_white(picture: UInt8, level: Level) -> UInt8:
    """The picture in the upper left corner of a white one of the level's size."""
    image = np.full((level.height, level.width, 3), 255, dtype=np.uint8)
    image[: picture.shape[0], : picture.shape[1]] = picture
    return image


def _resized(pixels: UInt8, width: int, height: int) -> UInt8:
    if (width, height) == (pixels.shape[1], pixels.shape[0]):
        return pixels
    size = (max(1, width), max(1, height))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def select_faces(
    photo: TiledPhoto,
    found: DetectedFaces,
    merge: Callable[[DetectedFaces], DetectedFaces],
    confident: float,
) -> DetectedFaces:
    """The boxes of faces that have their home on the level where they were found, each face once.

    Parameters
    ----------
    found : boxes of all views; its pictures are the tiles that were seen, in px of their levels.
    merge : one box per face of each picture.
    confident : score of a merged box that counts as a face; its parts on finer levels go.

    Returns
    -------
    A part of `found`. A photo that is seen whole alone, or with nothing large on coarser levels, keeps all
    boxes of the base level.
    """
    kept = found.at(np.flatnonzero(_at_home(photo, found)))
    merged = merge(kept)
    merged = merged.at(np.flatnonzero(merged.scores >= MIN_SCORE))
    removed = np.zeros(len(kept.picture), dtype=bool)
    for row in np.flatnonzero(_suppressed(photo, merged, confident)):
        own = np.flatnonzero(kept.picture == merged.picture[row])
        box = torch.from_numpy(merged.boxes[row : row + 1])
        overlaps = box_iou(torch.from_numpy(kept.boxes[own]), box).numpy()[:, 0]
        removed[own[overlaps >= MEMBER_IOU]] = True
    return kept.at(np.flatnonzero(~removed))


def photo_boxes(photo: TiledPhoto, found: DetectedFaces) -> Float64:
    """Boxes (n, 4) in px of the photo."""
    corner = np.array([(each.tile.left, each.tile.top) * 2 for each in photo.seen], dtype=np.float64)
    scale = np.array([photo.pyramid.levels[each.level].scale for each in photo.seen])
    boxes = (found.boxes.astype(np.float64) + corner[found.picture]) / scale[found.picture][:, None]
    return np.asarray(boxes, dtype=np.float64)


def _at_home(photo: TiledPhoto, found: DetectedFaces) -> Bools:
    """(n,) whether a box has a size of its level and its center in its tile's core."""
    pyramid = photo.pyramid
    home = np.zeros(len(found.picture), dtype=bool)
    sides = _sides(found.boxes)
    for number, level in enumerate(pyramid.levels):
        pictures = np.flatnonzero(photo.level_numbers == number)
        rows = np.flatnonzero(np.isin(found.picture, pictures))
        own = [photo.seen[picture].tile for picture in found.picture[rows]]
        corner = np.array([(tile.left, tile.top) for tile in own], dtype=np.float64).reshape(-1, 2)
        core = np.array([tile.core for tile in own], dtype=np.float64).reshape(-1, 4)
        center = (found.boxes[rows, :2] + found.boxes[rows, 2:]) / 2 + corner
        margin = CORE_MARGIN if len(level.tiles) > 1 else np.inf
        low, high = core[:, :2] - margin, core[:, 2:] + margin
        inside = np.asarray(((center >= low) & (center <= high)).all(axis=1), dtype=np.bool_)
        if number < pyramid.base:
            inside &= level.large_enough(sides[rows]) & level.small_enough(sides[rows])
        else:
            # Where a finer level was not looked at, small faces stay here. Large ones stay on the base level,
            # as in the challenge's pictures, unless a coarser level has them.
            inside &= level.large_enough(sides[rows]) | ~_covered(photo, number + 1, center / level.scale)
            if number > pyramid.base:
                inside &= level.small_enough(sides[rows])
        home[rows] = inside
    return home


def _covered(photo: TiledPhoto, number: int, center: Float64) -> Bools:
    """(n,) whether points in px of the photo lie in a tile of level `number` that was seen."""
    covered = np.zeros(len(center), dtype=bool)
    for each in photo.seen:
        if each.level == number:
            point = center * photo.pyramid.levels[number].scale
            core = np.asarray(each.tile.core)
            covered |= ((point >= core[:2]) & (point <= core[2:])).all(axis=1)
    return covered


def _suppressed(photo: TiledPhoto, merged: DetectedFaces, confident: float) -> Bools:
    """(n,) which merged boxes are parts or duplicates of a face of another level or tile."""
    level = photo.level_numbers[merged.picture]
    boxes = torch.from_numpy(photo_boxes(photo, merged))
    iou = box_iou(boxes, boxes).numpy()
    area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).numpy()
    shared = iou * (area[:, None] + area[None]) / (1 + iou)
    smallest = np.array([each.smallest for each in photo.pyramid.levels])
    owns = (merged.scores >= confident) & (_sides(merged.boxes) >= smallest[level])
    gone = np.zeros(len(level), dtype=np.bool_)
    for row in np.lexsort((-merged.scores, level)):
        if owns[row] and not gone[row]:
            part = (area < area[row]) & (shared[row] > PART_COVER * area)
            gone = gone | (level > level[row]) & (part | (iou[row] > DUPLICATE_IOU))
    for row in np.argsort(-merged.scores, kind="stable"):
        if not gone[row]:
            weaker = (merged.scores < merged.scores[row]) | (
                (merged.scores == merged.scores[row]) & (np.arange(len(level)) > row)
            )
            gone = gone | weaker & (merged.picture != merged.picture[row]) & (iou[row] > DUPLICATE_IOU)
    return gone


def _sides(boxes: Float32) -> Float64:
    return np.asarray(np.sqrt(np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 0.0)), dtype=np.float64)
