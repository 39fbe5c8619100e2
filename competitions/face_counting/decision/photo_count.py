"""The count of one photo that was seen on several levels and in tiles."""

import numpy as np

from common.learn.arrays import Float64
from competitions.face_counting.decision.counting import CountingRule, merge
from competitions.face_counting.detection.tiles import TiledPhoto, photo_boxes, select_faces
from competitions.face_counting.detection.wbf import DetectedFaces

MAX_CONFIDENT = 0.625
"""Score that makes a box a face for its duplicates and parts, at most: a rule may count boxes by regression
alone and have no threshold."""


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
    whole = len(faces.picture) > 0 and 2 * elsewhere <= len(faces.picture)
    if whole:
        count = float(rule.count(kept.of_pictures(on_base)).sum())
        if elsewhere:
            count += float(rule.count_boxes(kept)[~on_base].sum())
        return count, boxes
    return float(np.sum(rule.count_boxes(kept))), boxes
