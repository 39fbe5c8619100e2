"""Common part of the retrievers whose networks are trained fold by fold."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.learn.arrays import Bools, Int64
from common.run.job import Job, Result
from competitions.shopee_matching.candidates.base import Embeddings, Gallery, Retriever
from competitions.shopee_matching.candidates.knn import class_pairs, embedding_pairs
from competitions.shopee_matching.candidates.pairs import CandidatePairs
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.experiment import ShopeeExperiment, TrainingSettings

CHECKPOINT = "checkpoint.safetensors"


class EncoderRetriever(Retriever):
    """Cosine of embeddings; a network that is not fine-tuned (`loss = "none"`) serves all folds."""

    @property
    def training(self) -> TrainingSettings:
        """The network's table of the experiment."""
        raise NotImplementedError

    def train(
        self, job: Job[ShopeeExperiment], listings: Listings, trained_on: Bools, checkpoint: Path
    ) -> list[dict[str, float]]:
        """Train where `trained_on` (n,) is true, write `checkpoint`; the history of epochs."""
        raise NotImplementedError

    def embed(self, gallery: Gallery) -> Embeddings:
        """Vectors of the gallery's listings by the networks of all fold folders."""
        raise NotImplementedError

    @property
    def needs_labels(self) -> bool:
        """Whether the network is trained."""
        return self.training.loss != "none"

    @property
    def fitted(self) -> bool:
        """Whether the first fold has its network, or none is trained."""
        return not self.needs_labels or (self.fold_folders[0] / CHECKPOINT).is_file()

    @property
    def model_folders(self) -> Sequence[Path]:
        """Fold folders of the networks that are used together."""
        return self.fold_folders if self.needs_labels else self.fold_folders[:1]

    def queries(self, listings: Listings, fold: int) -> Int64:
        """Validation listings of the fold; without training fold 0 finds the candidates of all listings."""
        if self.needs_labels:
            return super().queries(listings, fold)
        return np.arange(len(listings)) if fold == 0 else np.empty(0, dtype=np.int64)

    def fit(self, job: Job[ShopeeExperiment], listings: Listings) -> Result:
        """Train the fold's network, if it is trained at all."""
        if not self.needs_labels:
            return Result([])
        checkpoint = job.fold_folder / CHECKPOINT
        trained_on = (listings.fold != job.fold) | (self.settings.evaluation == "in_sample")
        history = self.train(job, listings, trained_on, checkpoint)
        return Result([checkpoint], {"loss": min(epoch["loss"] for epoch in history)}, history=history)

    def candidates(self, gallery: Gallery, queries: Int64) -> CandidatePairs:
        """The 50 nearest listings of each query; in sample, listings of the same predicted class."""
        embeddings = gallery.embeddings or self.embed(gallery)
        if embeddings.classes is not None:
            return class_pairs(embeddings.classes, embeddings.models[0], queries, self.name)
        return embedding_pairs(embeddings.models, queries, self.name, embeddings.calibration)
