"""The count of one photo that was seen on several levels and in tiles."""

import numpy as np

from common.learn.arrays import Float64
from competitions.face_counting.decision.counting import CountingRule, merge
from competitions.face_counting.detection.tiles import TiledPhoto, photo_boxes, select_faces
from competitions.face_counting.detection.wbf import DetectedFaces

MAX_CONFIDENT = 0.625
"""Score that makes a box a face for its duplicates and parts, at most: a rule may count boxes by regression
alone and have no threshold."""
MIN_FACES = 0.5
"""Sum over boxes below which a photo has no face."""


def count_photo(rule: CountingRule, photo: TiledPhoto, found: DetectedFaces) -> tuple[float, Float64]:
    """Count the faces of a photo.

    The rule was tuned on pictures that are seen whole, the photo's base level. It counts that level as it
    counts those pictures. Faces of other levels are added box by box (`CountingRule.count_boxes`). Where most
    faces lie on other levels, or no face is found at all, the base level is counted box by box as well: what
    the rule learned of whole pictures (none has no face, crowds are labelled in part) does not hold there.

    Parameters
    ----------
    found : boxes of all views; its pictures are the tiles of `photo`, in px of their levels.

    Returns
    -------
    count : real-valued.
    boxes : (faces, 4) above the count threshold, in px of the photo.
    """
    kept = select_faces(
        photo,
        found,
        lambda boxes: merge(boxes, rule.strategy.merging, rule.iou),
        min(rule.count_threshold, MAX_CONFIDENT),
    )
    faces = rule.faces(kept)
    on_base = photo.level_numbers == photo.pyramid.base
    elsewhere = int((~on_base[faces.picture]).sum())
    boxes = photo_boxes(photo, faces)
    one_by_one = rule.count_boxes(kept)
    # A rule by which no box is a face (of a detector that found nothing) counts pictures alone.
    by_picture = rule.calibration is None and rule.count_threshold > 1
    if by_picture or (2 * elsewhere <= len(faces.picture) and one_by_one.sum() >= MIN_FACES):
        count = float(rule.count(kept.of_pictures(on_base)).sum())
        if elsewhere:
            count += float(one_by_one[~on_base].sum())
        return count, boxes
    return float(np.sum(one_by_one)), boxes
