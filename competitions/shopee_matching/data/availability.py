"""Which branches the given data can feed at all; looks at inputs, never at labels."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

MOST_NAMES = 51
"""A match list holds a listing and at most 50 others that are of use."""
LEAST_SHARE = 0.5
"""A branch that says something of fewer listings than this is left out."""


def informative_titles(titles: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which titles can name one product: not empty, shared by no more listings than a match list holds."""
    counts = Counter(titles)
    return np.array([bool(title.strip()) and counts[title] <= MOST_NAMES for title in titles], dtype=bool)


def titles_without_information(titles: Sequence[str]) -> str | None:
    """Why the test titles are of no use, in one line; None when they are."""
    informative = informative_titles(titles)
    if informative.mean() >= LEAST_SHARE:
        return None
    title, count = Counter(titles).most_common(1)[0]
    return (
        f"{(~informative).sum()} of {len(titles)} test titles name no product "
        f"({count} are {title[:40]!r}), so titles are not used"
    )


def pictures_without_information(picture: npt.NDArray[np.int32], split: str) -> str | None:
    """Why the pictures of a split are of no use, in one line; None when they are."""
    readable = int((picture >= 0).sum())
    if readable >= LEAST_SHARE * len(picture):
        return None
    return (
        f"{readable} of {len(picture)} {split} listings have a readable picture, so pictures are not compared"
    )
