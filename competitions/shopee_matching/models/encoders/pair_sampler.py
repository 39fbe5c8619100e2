"""The order in which the contrastive loss sees listings: pairs of one product, look-alikes together."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from common.learn.training import EpochSampler


class PairSampler(EpochSampler):
    """Listings in pairs of one group, for the contrastive loss; groups that look alike share a batch.

    Every epoch cuts the pairs in halves along random directions until a batch is left, so that a batch holds
    neighbours: the hard negatives. The order depends on seed and epoch alone; everything else is seeded as
    each epoch begins.

    Parameters
    ----------
    classes : (n,) group of each row.
    vectors : (n, d) embeddings before training; None orders the pairs at random.
    batch : rows a batch.
    augmentations : albumentations pipeline that the data set applies; it keeps a random generator of its own.
    """

    def __init__(
        self,
        classes: npt.NDArray[np.int64],
        vectors: npt.NDArray[np.float32] | None,
        batch: int,
        seed: int,
        augmentations: Any = None,
    ) -> None:
        length = int((np.bincount(classes) // 2).sum() * 2)
        super().__init__(len(classes), seed, length=length, augmentations=augmentations)
        self.classes, self.vectors, self.batch = classes, vectors, batch

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng(self.begin_epoch())
        shuffled = random.permutation(len(self.classes))
        ordered = shuffled[np.argsort(self.classes[shuffled], kind="stable")]
        groups = self.classes[ordered]
        starts = np.searchsorted(groups, groups)
        first: npt.NDArray[np.bool_] = (np.arange(len(ordered)) - starts) % 2 == 0
        first[:-1] &= groups[1:] == groups[:-1]
        first[-1] = False
        pairs = np.stack([ordered[np.flatnonzero(first)], ordered[np.flatnonzero(first) + 1]], axis=1)
        pairs = pairs[random.permutation(len(pairs))]
        for block in self._halved(pairs, random):
            yield from block.ravel().tolist()

    def _halved(
        self, pairs: npt.NDArray[np.int64], random: np.random.Generator
    ) -> list[npt.NDArray[np.int64]]:
        most = max(1, self.batch // 2)
        if self.vectors is None or len(pairs) <= most:
            return [pairs]
        batches = -(-len(pairs) // most)
        along = self.vectors[pairs[:, 0]] @ random.normal(size=self.vectors.shape[1])
        order = np.argsort(along, kind="stable")
        middle = batches // 2 * most
        return [
            *self._halved(pairs[order[:middle]], random),
            *self._halved(pairs[order[middle:]], random),
        ]
