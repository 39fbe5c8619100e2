"""Batches for the contrastive loss: positive pairs, similar groups in one batch as hard negatives."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from common.learn.arrays import Bools, Float32, Int64
from common.learn.training import EpochSampler


class PairSampler(EpochSampler):
    """Listings in pairs of one group; groups with similar vectors share a batch (hard negatives).

    Every epoch splits the pairs recursively in halves along random directions until a part fits a batch (a
    random projection tree). The order depends on seed and epoch alone.

    Parameters
    ----------
    classes : (n,) group of each row.
    vectors : (n, d) embeddings before training; None orders the pairs at random.
    batch_size : rows per batch.
    augmentations : albumentations pipeline that the data set applies; it keeps a random generator of its own.
    """

    def __init__(
        self,
        classes: Int64,
        vectors: Float32 | None,
        batch_size: int,
        seed: int,
        augmentations: Any = None,
    ) -> None:
        length = int((np.bincount(classes) // 2).sum() * 2)
        super().__init__(len(classes), seed, length=length, augmentations=augmentations)
        self.classes, self.vectors, self.batch_size = classes, vectors, batch_size

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng(self.begin_epoch())
        shuffled = random.permutation(len(self.classes))
        ordered = shuffled[np.argsort(self.classes[shuffled], kind="stable")]
        groups = self.classes[ordered]
        starts = np.searchsorted(groups, groups)
        # Places 0, 2, 4, ... of a group begin a pair, unless the group ends there.
        first: Bools = (np.arange(len(ordered)) - starts) % 2 == 0
        first[:-1] &= groups[1:] == groups[:-1]
        first[-1] = False
        pairs = np.stack([ordered[np.flatnonzero(first)], ordered[np.flatnonzero(first) + 1]], axis=1)
        pairs = pairs[random.permutation(len(pairs))]
        for block in self._halved(pairs, random):
            yield from block.ravel().tolist()

    def _halved(self, pairs: Int64, random: np.random.Generator) -> list[Int64]:
        pairs_per_batch = max(1, self.batch_size // 2)
        if self.vectors is None or len(pairs) <= pairs_per_batch:
            return [pairs]
        batches = -(-len(pairs) // pairs_per_batch)
        along = self.vectors[pairs[:, 0]] @ random.normal(size=self.vectors.shape[1])
        order = np.argsort(along, kind="stable")
        middle = batches // 2 * pairs_per_batch
        return [
            *self._halved(pairs[order[:middle]], random),
            *self._halved(pairs[order[middle:]], random),
        ]
