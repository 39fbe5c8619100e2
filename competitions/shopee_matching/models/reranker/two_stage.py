"""The two-stage reranker: trained fold by fold on candidate pairs, then applied to new galleries."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.learn.arrays import Bools, Float32
from common.learn.boosting import load_booster, save_booster
from common.learn.seeding import derived_seed
from common.run.job import Job, Result
from competitions.shopee_matching.candidates.pairs import CandidatePairs
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.experiment import ShopeeExperiment
from competitions.shopee_matching.models.reranker.features import PairFeatures
from competitions.shopee_matching.models.reranker.gbdt import (
    SecondStageFeatures,
    probabilities,
    symmetrised,
    train_reranker,
)

if TYPE_CHECKING:
    import lightgbm

FIRST_STAGE = "first_stage.txt"


def second_stage_file(experiment: Path, fold: int) -> Path:
    """Second-stage booster of one fold; made when all folds are there, so it lies outside the fold folder."""
    return experiment / f"second_stage{fold}.txt"


def train_first_stage(
    job: Job[ShopeeExperiment], listings: Listings, features: PairFeatures
) -> tuple[CandidatePairs, Result]:
    """Train on the pairs of the other folds' listings; probabilities of the validation listings' pairs."""
    settings, pairs = job.settings, features.pairs
    validation = listings.fold[pairs.query] == job.fold
    same = listings.label_group[pairs.query] == listings.label_group[pairs.match]
    training = np.flatnonzero(~validation)
    seed = derived_seed(job.seed, "booster", job.fold)
    products = len(np.unique(listings.label_group[listings.fold != job.fold]))
    booster = train_reranker(features, training, same[training], settings.reranker, seed, products)
    out = job.fold_folder / FIRST_STAGE
    save_booster(out, booster)
    places = np.flatnonzero(validation)
    probability = probabilities([booster], features, places)
    found = CandidatePairs(pairs.query[places], pairs.match[places], {settings.name: probability})
    return found, Result([out], {"log_loss": _log_loss(probability, same[places])})


def train_second_stage(
    job: Job[ShopeeExperiment], listings: Listings, features: PairFeatures, first: CandidatePairs
) -> tuple[CandidatePairs, list[Path]]:
    """Train second-stage boosters on the first stage's OOF probabilities; the pairs rescored."""
    settings, pairs = job.settings, features.pairs
    stacked = SecondStageFeatures(features, first.scores[settings.name])
    fold = listings.fold[pairs.query]
    same = listings.label_group[pairs.query] == listings.label_group[pairs.match]
    probability, files = stacked.probability.copy(), []
    for held_out in range(settings.folds):
        training = np.flatnonzero((fold != held_out) & stacked.survivors())
        if same[training].all():  # the first stage separates the products without a doubt
            training = np.flatnonzero(fold != held_out)
        # The label is part of the seed: another one would give other trees.
        seed = derived_seed(job.seed, "second look", held_out)
        products = len(np.unique(listings.label_group[listings.fold != held_out]))
        booster = train_reranker(stacked, training, same[training], settings.reranker, seed, products)
        files.append(second_stage_file(job.paths.experiment(settings.name), held_out))
        save_booster(files[-1], booster)
        places = np.flatnonzero((fold == held_out) & stacked.survivors())
        probability[places] = probabilities([booster], stacked, places)
    scores = {settings.name: symmetrised(first, probability)}
    return CandidatePairs(first.query, first.match, scores), files


@dataclass(frozen=True)
class Reranker:
    """The boosters of all folds; their mean probability counts."""

    name: str
    first_stage: list["lightgbm.Booster"]
    second_stage: list["lightgbm.Booster"]
    """Empty without a second stage."""

    def rerank(
        self, features: PairFeatures, new: Bools | None = None, earlier: CandidatePairs | None = None
    ) -> CandidatePairs:
        """Scores `first_stage` and `<name>` of all pairs.

        Parameters
        ----------
        new : (pairs,) pairs to score; the others keep their scores. None: all.
        earlier : the other pairs, in their order, as this method returned them.
        """
        pairs = features.pairs
        new = np.ones(len(pairs), dtype=bool) if new is None else new
        first, final = np.zeros((2, len(pairs)), dtype=np.float32)
        if earlier is not None:
            first[~new], final[~new] = earlier.scores["first_stage"], earlier.scores[self.name]
        places = np.flatnonzero(new)
        first[places] = probabilities(self.first_stage, features, places)
        final[places] = first[places]
        if self.second_stage:
            stacked = SecondStageFeatures(features, first)
            places = np.flatnonzero(new & stacked.survivors())
            final[places] = probabilities(self.second_stage, stacked, places)
            final[new] = symmetrised(pairs, final)[new]
        return CandidatePairs(pairs.query, pairs.match, {"first_stage": first, self.name: final})


def load_reranker(settings: ShopeeExperiment, experiment: Path) -> Reranker:
    """The boosters below `<work>/<experiment>`; InputError when one is missing or damaged."""
    folds = range(settings.folds)
    second = [second_stage_file(experiment, fold) for fold in folds] if settings.reranker.second_stage else []
    return Reranker(
        settings.name,
        [load_booster(experiment / f"fold{fold}" / FIRST_STAGE) for fold in folds],
        [load_booster(file) for file in second],
    )


def _log_loss(probability: Float32, same: Bools) -> float:
    known = np.clip(probability.astype(np.float64), 1e-6, 1 - 1e-6)
    return float(-np.log(np.where(same, known, 1 - known)).mean()) if len(known) else 0.0
