"""The interface of a retriever: one similarity that proposes candidate pairs.

The training stage, inference on the test split and the matching of one's own catalogue all call it the same
way:

    retriever = build_retriever(settings, fold_folders, device)
    retriever.fit(job, listings)                             # per fold; only where it learns from labels
    gallery = Gallery(listings, folder, "test")
    gallery = replace(gallery, embeddings=retriever.embed(gallery))
    pairs = retriever.candidates(gallery, queries)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from common.base.errors import InputError
from common.learn.arrays import Float32, Int64
from common.run.experiments import NoOptions, Settings, read_options
from common.run.job import Job, Result
from competitions.shopee_matching.candidates.pairs import CandidatePairs
from competitions.shopee_matching.candidates.registry import RETRIEVERS
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.experiment import Reads, ShopeeExperiment


@dataclass(frozen=True)
class Embeddings:
    """Vectors of all listings of a gallery by one or several models."""

    models: list[Float32]
    """Per model, (n, d) unit rows; a row of zeros is a listing without the modality."""
    calibration: Float32 | None = None
    """(2, knots) score calibration of the ensemble, see `score_calibration`; None: computed from `models`."""
    classes: Int64 | None = None
    """(n,) predicted label group, -1 for none: in-sample runs match by it, as the paper did."""


@dataclass(frozen=True)
class Gallery:
    """The listings that are searched, and the files that hold what is known of them."""

    listings: Listings
    folder: Path
    """Holds `<split>_pictures.npy` and `<split>_<descriptor>.npy`, one row per stored image."""
    split: str
    """train, test, or gallery for a catalogue of one's own."""
    corpus: Sequence[str] = ()
    """Titles outside the gallery that also count for word frequencies."""
    embeddings: Embeddings | None = None

    def file(self, name: str) -> Path:
        """`<folder>/<split>_<name>`."""
        return self.folder / f"{self.split}_{name}"


class Retriever:
    """Base of all retrievers; a new one overrides `candidates`, and what else it needs.

    Parameters
    ----------
    settings : the experiment.
    fold_folders : folders of the folds whose models are used together.
    device : auto, cpu or cuda.
    weights : the folder given by --weights.
    """

    READS: ClassVar[tuple[Reads, ...]]
    """Values of the setting `reads` that it works with."""
    OPTIONS: ClassVar[type[Settings]] = NoOptions
    """What the table `options` of its experiments holds; `self.options` is read by it."""

    def __init__(
        self,
        settings: ShopeeExperiment,
        fold_folders: Sequence[Path] = (),
        device: str = "auto",
        weights: Path | None = None,
    ) -> None:
        if settings.reads not in self.READS:
            raise InputError(
                f"{settings.name}: retriever {settings.retriever!r} needs reads = "
                f"{' or '.join(map(repr, self.READS))}, not {settings.reads!r}"
            )
        self.options: Any = read_options(self.OPTIONS, settings.options, f"{settings.name}: options")
        self.settings, self.name = settings, settings.name
        self.fold_folders, self.device, self.weights = list(fold_folders), device, weights

    @property
    def needs_labels(self) -> bool:
        """Whether `fit` learns from label groups."""
        return False

    @property
    def fitted(self) -> bool:
        """Whether the fold folders hold what `fit` learns."""
        return True

    def queries(self, listings: Listings, fold: int) -> Int64:
        """Rows of the labelled listings whose candidates are found in `fold`."""
        return np.flatnonzero(listings.fold == fold)

    def keep(self, job: Job[ShopeeExperiment]) -> list[Path]:  # noqa: ARG002
        """Copy from the processed data into the fold's folder whatever later predictions need; the files."""
        return []

    def fit(self, job: Job[ShopeeExperiment], listings: Listings) -> Result:  # noqa: ARG002
        """Train the fold's model on the labelled listings of the other folds (in sample: on all)."""
        return Result([])

    def embed(self, gallery: Gallery) -> Embeddings | None:  # noqa: ARG002
        """Vectors of the gallery's listings, kept for later searches; None for retrievers without."""
        return None

    def candidates(self, gallery: Gallery, queries: Int64) -> CandidatePairs:
        """Candidates of the gallery's rows `queries` within the gallery, at most 50 each."""
        raise NotImplementedError

    def fill(self, pairs: CandidatePairs, score: Float32, gallery: Gallery) -> Float32:  # noqa: ARG002
        """(pairs,) `score`, with the similarity of pairs that only other retrievers proposed."""
        return score


def build_retriever(
    settings: ShopeeExperiment,
    fold_folders: Sequence[Path] = (),
    device: str = "auto",
    weights: Path | None = None,
) -> Retriever:
    """The retriever of an experiment; InputError for a fusion, or when `reads` does not fit."""
    if settings.retriever is None:
        raise InputError(f"{settings.name} is a fusion of {', '.join(settings.parents)}, not a retriever")
    retriever: Retriever = RETRIEVERS[settings.retriever](settings, fold_folders, device, weights)
    return retriever
