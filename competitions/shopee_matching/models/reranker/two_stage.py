"""What an experiment makes of its parents' candidates: one table, then a booster's first and second look."""

from pathlib import Path
from typing import cast

import numpy as np

from common.learn.seeding import derived_seed
from common.run.job import Job, Result
from competitions.shopee_matching.candidates.pairs import CandidatePairs, joined, read_pairs, restricted
from competitions.shopee_matching.candidates.registry import by_picture, filled
from competitions.shopee_matching.data.listings import Listings, load_listings
from competitions.shopee_matching.experiment import ShopeeExperiment
from competitions.shopee_matching.models.reranker.features import PairFeatures
from competitions.shopee_matching.models.reranker.gbdt import (
    SecondLook,
    both_ways,
    chances,
    load_booster,
    save_booster,
    train_booster,
)
from competitions.shopee_matching.models.reranker.units import pair_agreement


def joined_parents(job: Job, settings: ShopeeExperiment, listings: Listings, stage: str) -> CandidatePairs:
    """Candidates of all parents; without those whose amounts contradict, where the rule says so.

    Parameters
    ----------
    stage : oof or test.
    """
    pairs = joined(
        [read_pairs(job.paths.experiment(parent) / f"{stage}.parquet") for parent in settings.parents]
    )
    if settings.rule.amounts_veto and "titles" not in job.upstream["processed"].decision["without"]:
        pairs = restricted(pairs, pair_agreement(listings.title, pairs.query, pairs.match) >= 0)
    return with_all_similarities(job, pairs, stage) if settings.branch == "booster" else pairs


def with_all_similarities(job: Job, pairs: CandidatePairs, stage: str) -> CandidatePairs:
    """The pairs with the similarity of their descriptors filled in where another branch proposed them.

    A branch lists the nearest fifty; how alike a pair beyond them is, is worth knowing, too.
    """
    split, scores = ("train" if stage == "oof" else "test"), dict(pairs.scores)
    for parent in job.settings.parents:
        settings = cast(ShopeeExperiment, job.competition.experiment(parent, job.profile))
        folder = job.paths.processed(settings.processed_variant())
        file = folder / f"{split}_{settings.descriptors.kind}.npy"
        if settings.branch == "descriptors" and np.isfinite(scores[parent]).any() and file.is_file():
            pictures = load_listings(folder / f"{split}.parquet").picture
            scores[parent] = filled(pairs, scores[parent], by_picture(np.load(file, mmap_mode="r"), pictures))
    return CandidatePairs(pairs.query, pairs.match, scores)


def features_of(job: Job, listings: Listings, pairs: CandidatePairs) -> PairFeatures:
    """Features of the pairs of a pool, by what the data can tell at all."""
    without = job.upstream["processed"].decision["without"]
    labelled = job.processed / "train.parquet"
    # Word frequencies of a few listings mean little; then those of the labelled ones count, too.
    further: list[str] = []
    if (listings.fold < 0).all() and labelled.is_file():
        train = load_listings(labelled).title
        further = train if len(train) > len(listings) else []
    return PairFeatures(pairs, listings, "titles" not in without, "phash" not in without, further)


def first_look(job: Job, settings: ShopeeExperiment, listings: Listings, outcome: Result) -> CandidatePairs:
    """Train on the pairs of the other folds' listings; chances of the held-out listings' pairs."""
    pairs = joined_parents(job, settings, listings, "oof")
    features = features_of(job, listings, pairs)
    held_out = listings.fold[pairs.query] == job.fold
    same = listings.label_group[pairs.query] == listings.label_group[pairs.match]
    learnt = np.flatnonzero(~held_out)
    seed = derived_seed(job.seed, "booster", job.fold)
    products = len(np.unique(listings.label_group[listings.fold != job.fold]))
    booster = train_booster(features, learnt, same[learnt], settings.booster, seed, products)
    out = job.fold_folder / "first_look.txt"
    save_booster(out, booster)
    outcome.outputs.append(out)
    places = np.flatnonzero(held_out)
    chance = chances([booster], features, places)
    outcome.metrics["log_loss"] = _log_loss(chance, same[places])
    return CandidatePairs(pairs.query[places], pairs.match[places], {settings.name: chance})


def second_look(
    job: Job, settings: ShopeeExperiment, listings: Listings, judged: CandidatePairs
) -> tuple[CandidatePairs, list[Path]]:
    """Second boosters, fold by fold, trained on the first look's held-out chances; the pairs judged again."""
    pairs = joined_parents(job, settings, listings, "oof")
    look = SecondLook(features_of(job, listings, pairs), judged.scores[settings.name])
    fold = listings.fold[pairs.query]
    same = listings.label_group[pairs.query] == listings.label_group[pairs.match]
    chance, files = look.chance.copy(), []
    for held_out in range(settings.folds):
        learnt = np.flatnonzero((fold != held_out) & look.worth_it())
        if same[learnt].all():  # the first look left no doubt
            learnt = np.flatnonzero(fold != held_out)
        seed = derived_seed(job.seed, "second look", held_out)
        products = len(np.unique(listings.label_group[listings.fold != held_out]))
        booster = train_booster(look, learnt, same[learnt], settings.booster, seed, products)
        files.append(job.paths.experiment(settings.name) / f"second_look{held_out}.txt")
        save_booster(files[-1], booster)
        places = np.flatnonzero((fold == held_out) & look.worth_it())
        chance[places] = chances([booster], look, places)
    return CandidatePairs(judged.query, judged.match, {settings.name: both_ways(judged, chance)}), files


def judge(job: Job, settings: ShopeeExperiment, listings: Listings, pairs: CandidatePairs) -> CandidatePairs:
    """Chances of a new pool's pairs by the boosters of all folds together."""
    features = features_of(job, listings, pairs)
    chance = chances([load_booster(folder / "first_look.txt") for folder in job.fold_folders], features)
    if settings.booster.second_look:
        look = SecondLook(features, chance)
        folder = job.paths.experiment(settings.name)
        boosters = [load_booster(folder / f"second_look{fold}.txt") for fold in range(settings.folds)]
        places = np.flatnonzero(look.worth_it())
        chance = chance.copy()
        chance[places] = chances(boosters, look, places)
        chance = both_ways(pairs, chance)
    return CandidatePairs(pairs.query, pairs.match, {settings.name: chance})


def _log_loss(chance: np.ndarray, same: np.ndarray) -> float:
    known = np.clip(chance.astype(np.float64), 1e-6, 1 - 1e-6)
    return float(-np.log(np.where(same, known, 1 - known)).mean()) if len(known) else 0.0
