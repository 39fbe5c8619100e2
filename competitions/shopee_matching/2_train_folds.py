"""Processed listings -> candidate pairs of the held-out listings, then the rule that makes them matches.

    python competitions/shopee_matching/2_train_folds.py [--experiment NAME] [--fold K] [--weights DIR]

Hashes, TF-IDF and descriptors learn nothing from labels. A network learns to tell the label groups of the
other folds apart (`split = "paper"`: of all folds), and embeds the whole pool of labelled listings, in which
the neighbours of the held-out ones are searched. A booster learns to judge the pairs of its parents.
When all folds are there, the thresholds, how they move with the size of the pool, and whether a listing
without any match takes its nearest candidate, are tuned on the pooled held-out listings.

Reads
    <work>/processed/train.parquet, <work>/processed/<pictures>/  see 1_preprocess.py
    <work>/<parent>/oof.parquet, <work>/<parent>/fold<k>/embeddings.npy  what an experiment joins

Writes
    <work>/<experiment>/fold<k>/checkpoint.safetensors  the fold's network
    <work>/<experiment>/fold<k>/embeddings.npy  all labelled listings by it, float16 (1, listings, length)
    <work>/<experiment>/fold<k>/first_look.txt  the fold's booster
    <work>/<experiment>/fold<k>/oof.parquet  candidates of the fold's held-out listings: query, match, scores
    <work>/<experiment>/second_look<k>.txt  boosters that know what the first ones think, one a fold
    <work>/<experiment>/oof.parquet  candidates of all labelled listings
"""

import argparse
from pathlib import Path
from typing import cast

from common.run.stage import Job, Result, Stage
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.experiment import LEARNT, ShopeeExperiment


def train_fold(job: Job) -> Result:
    """Candidates of the fold's listings in the whole labelled pool, by a model that saw none of them."""
    import numpy as np

    from common.base.console import log
    from competitions.shopee_matching.candidates.pairs import no_pairs, write_pairs
    from competitions.shopee_matching.candidates.registry import concatenate_fold, model_free_pairs
    from competitions.shopee_matching.data.listings import load_listings
    from competitions.shopee_matching.models.reranker.two_stage import first_look

    settings = cast(ShopeeExperiment, job.settings)
    found = job.upstream["processed"].decision
    if settings.branch == "union" or not found["labelled"]:
        return Result([])
    listings = load_listings(job.processed / "train.parquet")
    queries = np.flatnonzero(listings.fold == job.fold)
    outcome = Result([])
    if settings.source in found["without"]:
        log(f"  skipped: {found['without'][settings.source]}")
        pairs = no_pairs(settings.name)
    elif settings.branch in LEARNT:
        from competitions.shopee_matching.models.encoders.fold_models import train_network

        pairs = train_network(job, settings, listings, outcome)
    elif settings.branch == "concat":
        pairs = concatenate_fold(job, settings, queries)
    elif settings.branch == "booster":
        pairs = first_look(job, settings, listings, outcome)
    else:
        pairs = model_free_pairs(settings, listings, queries, job.processed, "train")
    out = job.fold_folder / "oof.parquet"
    write_pairs(out, pairs)
    outcome.outputs.append(out)
    return outcome


def pool_folds(job: Job) -> Result:
    """Tune the rule on the held-out listings of all folds as one pool."""
    from common.base.console import log
    from common.learn.seeding import derived_seed
    from competitions.shopee_matching.candidates.pairs import concatenated, read_pairs, write_pairs
    from competitions.shopee_matching.data.listings import load_listings
    from competitions.shopee_matching.decision.match_rule import select_matches
    from competitions.shopee_matching.decision.tuning import initial_rule, tune_rule, with_slopes
    from competitions.shopee_matching.models.reranker.two_stage import joined_parents, second_look
    from competitions.shopee_matching.rules.metric import group_interval, row_f1

    settings = cast(ShopeeExperiment, job.settings)
    parents = {parent: job.upstream[f"{parent}/oof"].decision for parent in settings.parents}
    labelled = job.upstream["processed"].decision["labelled"]
    start = initial_rule(settings, parents, labelled)
    if not labelled:
        log(f"  no labelled listings to tune on: the default thresholds of {settings.name} are used")
        return Result([], decision=start.model_dump())

    listings = load_listings(job.processed / "train.parquet")
    outputs: list[Path] = []
    if settings.branch == "union":
        pairs = joined_parents(job, settings, listings, "oof")
    else:
        pairs = concatenated([read_pairs(folder / "oof.parquet") for folder in job.fold_folders])
    if settings.branch == "booster" and settings.booster.second_look:
        pairs, outputs = second_look(job, settings, listings, pairs)
    out = job.paths.experiment(settings.name) / "oof.parquet"
    write_pairs(out, pairs)
    rule = start.fitted_to(listings.label_group, settings.rule.training_sizes)
    if settings.rule.tuned:
        rule = tune_rule(pairs, listings.label_group, rule, settings.rule.try_two_matches)
        rule = with_slopes(pairs, listings.label_group, rule, derived_seed(job.seed, "parts"))
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
    return Result([*outputs, out], metrics, rule.model_dump())


def add_flags(parser: argparse.ArgumentParser) -> None:
    """--weights."""
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="folder with <network>.safetensors, .pt or .pth, or with a text encoder's folder",
    )


def weights_fingerprint(flags: argparse.Namespace) -> object:
    """What of --weights decides the result."""
    from common.base.paths import readable_folder
    from common.run.run_record import hash_path

    return hash_path(readable_folder(flags.weights, "the weights folder")) if flags.weights else None


if __name__ == "__main__":
    Stage(COMPETITION, "train_folds", __doc__, add_flags, weights_fingerprint).run(
        train_fold, pool=pool_folds
    )
