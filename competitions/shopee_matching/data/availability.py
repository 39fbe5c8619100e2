"""Which parts of the listings the given data can feed at all; looks at inputs, never at labels."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from common.learn.arrays import Bools, Int32

MAX_MATCHES = 51
"""Names in one match list that the metric can reward, the listing itself among them."""
MIN_SHARE = 0.5
"""A modality that fewer listings than this share have is left out."""


def titles_available(titles: Sequence[str]) -> Bools:
    """(n,) which titles can identify a product: not empty, shared by at most 51 listings."""
    counts = Counter(titles)
    return np.array([bool(title.strip()) and counts[title] <= MAX_MATCHES for title in titles], dtype=bool)


def titles_unavailable(titles: Sequence[str]) -> str | None:
    """Why the test titles are of no use, in one line; None when they are."""
    informative = titles_available(titles)
    if informative.mean() >= MIN_SHARE:
        return None
    title, count = Counter(titles).most_common(1)[0]
    return (
        f"{(~informative).sum()} of {len(titles)} test titles identify no product "
        f"({count} are {title[:40]!r}), so titles are not used"
    )


def images_unavailable(image_row: Int32, split: str) -> str | None:
    """Why the images of a split are of no use, in one line; None when they are."""
    readable = int((image_row >= 0).sum())
    if readable >= MIN_SHARE * len(image_row):
        return None
    return (
        f"{readable} of {len(image_row)} {split} listings have a readable image, so images are not compared"
    )
