"""Processed listings -> candidate pairs of the held-out listings, then the rule that makes them matches.

    python competitions/shopee_matching/2_train_folds.py [--experiment NAME] [--fold K] [--weights DIR]

Hashes and titles learn nothing from labels. A picture network learns to tell the label groups of the other
folds apart; the epoch with the lowest training loss is kept, and embeds the whole pool of labelled listings,
in which the neighbours of the held-out ones are searched. When all folds are there, the thresholds, and
whether a listing without any match takes its nearest candidate, are tuned on the pooled held-out listings.

Reads
    <work>/processed/train.parquet, <work>/processed/pictures<size>px/  see 1_preprocess.py
    <work>/<parent>/oof.parquet  candidates of the branches that a union joins

Writes
    <work>/<experiment>/fold<k>/checkpoint.safetensors  the fold's picture network
    <work>/<experiment>/fold<k>/oof.parquet  candidates of the fold's held-out listings: query, match, score
    <work>/<experiment>/oof.parquet  candidates of all labelled listings
"""

import argparse
from typing import TYPE_CHECKING, cast

from common.stage import Job, Outcome, Stage
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.experiment import ShopeeExperiment

if TYPE_CHECKING:
    from competitions.shopee_matching.candidate_pairs import CandidatePairs
    from competitions.shopee_matching.listings import Listings


def train_fold(job: Job) -> Outcome:
    """Candidates of the fold's listings in the whole labelled pool, by a model that saw none of them."""
    settings = cast(ShopeeExperiment, job.settings)
    found = job.upstream["processed"].decision
    if settings.branch == "union" or not found["labelled"]:
        return Outcome([])
    import numpy as np

    from common.console import say
    from competitions.shopee_matching.candidate_pairs import no_pairs, write_pairs
    from competitions.shopee_matching.hash_distance import hash_pairs
    from competitions.shopee_matching.listings import load_listings
    from competitions.shopee_matching.title_similarity import title_pairs

    listings = load_listings(job.processed / "train.parquet")
    queries = np.flatnonzero(listings.fold == job.fold)
    out = job.fold_folder / "oof.parquet"
    outcome = Outcome([out])
    if settings.branch in found["without"]:
        say(f"  skipped: {found['without'][settings.branch]}")
        pairs = no_pairs(settings.name)
    elif settings.branch == "phash":
        pairs = hash_pairs(listings.phash, queries, settings.phash.largest_distance, settings.name)
    elif settings.branch == "titles":
        pairs = title_pairs(listings.title, queries, settings.titles, settings.name)
    else:
        outcome, pairs = train_network(job, settings, listings)
        outcome.outputs.append(out)
    write_pairs(out, pairs)
    return outcome


def train_network(
    job: Job, settings: ShopeeExperiment, listings: "Listings"
) -> tuple[Outcome, "CandidatePairs"]:
    """Train on the pictures of the other folds; neighbours of the held-out ones in the whole pool."""
    import numpy as np

    from common.device import torch_device
    from competitions.shopee_matching.embedding_network import embed, load_network
    from competitions.shopee_matching.network_training import train_on_pictures
    from competitions.shopee_matching.picture_neighbours import picture_pairs

    pictures = np.load(job.processed / "train_pictures.npy", mmap_mode="r")
    device = torch_device(job.device)
    checkpoint = job.fold_folder / "checkpoint.safetensors"
    history = train_on_pictures(job, settings.pictures, pictures, listings, device, checkpoint)
    embeddings = embed(load_network(settings.pictures, checkpoint), pictures, device)
    queries = np.flatnonzero(listings.fold == job.fold)
    pairs = picture_pairs([embeddings], listings.picture, queries, settings.name)
    return Outcome([checkpoint], {"loss": min(epoch["loss"] for epoch in history)}, history=history), pairs


def pool_folds(job: Job) -> Outcome:
    """Tune the rule on the held-out listings of all folds as one pool."""
    from common.console import say
    from common.seeding import derived_seed
    from competitions.shopee_matching.candidate_pairs import concatenated, joined, read_pairs, write_pairs
    from competitions.shopee_matching.listings import load_listings
    from competitions.shopee_matching.match_rule import MatchRule, select_matches, tune_rule
    from competitions.shopee_matching.row_f1 import group_interval, row_f1

    settings = cast(ShopeeExperiment, job.settings)
    start = {settings.name: settings.default_threshold}
    for parent in settings.parents:
        start |= job.upstream[f"{parent}/oof"].decision["thresholds"]
    if settings.branch == "union":
        start.pop(settings.name)
    if not job.upstream["processed"].decision["labelled"]:
        say(f"  no labelled listings to tune on: the default thresholds of {settings.name} are used")
        return Outcome(
            [], decision=MatchRule(thresholds=start, at_least_two=False, tuned=False, pool=0).model_dump()
        )

    listings = load_listings(job.processed / "train.parquet")
    if settings.branch == "union":
        pairs = joined(
            [read_pairs(job.paths.experiment(parent) / "oof.parquet") for parent in settings.parents]
        )
    else:
        pairs = concatenated([read_pairs(folder / "oof.parquet") for folder in job.fold_folders])
    out = job.paths.experiment(settings.name) / "oof.parquet"
    write_pairs(out, pairs)
    rule = tune_rule(pairs, listings.label_group, start, settings.try_two_matches)
    f1 = row_f1(*select_matches(pairs, rule), listings.label_group)
    low, high = group_interval(f1, listings.label_group, derived_seed(job.seed, "interval"))
    alone = row_f1(pairs.query[:0], pairs.match[:0], listings.label_group)
    metrics = {
        "oof_f1": float(f1.mean()),
        "oof_f1_low": low,
        "oof_f1_high": high,
        "oof_only_oneself": float(alone.mean()),
        "oof_pool": float(len(listings)),
    }
    return Outcome([out], metrics, rule.model_dump())


def add_flags(parser: argparse.ArgumentParser) -> None:
    """--weights."""
    from pathlib import Path

    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help="folder with <network>.safetensors, .pt or .pth"
    )


def weights_fingerprint(flags: argparse.Namespace) -> object:
    """What of --weights decides the result."""
    from common.paths import readable_folder
    from common.run_record import fingerprint

    return fingerprint(readable_folder(flags.weights, "the weights folder")) if flags.weights else None


if __name__ == "__main__":
    Stage(COMPETITION, "train_folds", __doc__, add_flags, weights_fingerprint).run(
        train_fold, pool=pool_folds
    )
