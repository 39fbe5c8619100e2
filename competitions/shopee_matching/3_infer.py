"""Test listings -> candidate pairs within the test pool.

    python competitions/shopee_matching/3_infer.py [--experiment NAME] [--work DIR] [--weights DIR]
    python competitions/shopee_matching/3_infer.py --catalogue FILE.csv --columns id=sku,title=name,image=file
        [--pictures DIR] [--index DIR]

Every test listing is looked for among all test listings. Titles take their word frequencies from the
labelled listings, too. The networks of all folds compare together; their scores are brought to the scale of
one network's, on which the threshold was tuned. Boosters of all folds judge together.

With --catalogue a table of one's own is matched instead, and an index of it is kept; with --index new
listings are matched against the listings of an earlier call, which are not done again.

Reads
    <work>/processed/test.parquet, <work>/processed/train.parquet  listings
    <work>/processed/<pictures>/  test pictures or their descriptors
    <work>/<experiment>/fold<k>/checkpoint.safetensors  networks
    <work>/<experiment>/fold<k>/first_look.txt, <work>/<experiment>/second_look<k>.txt  boosters
    <work>/<parent>/test.parquet, <work>/<parent>/test_embeddings.npy  what an experiment joins

Writes
    <work>/<experiment>/catalogue_<name>/pairs.csv  with --catalogue: id,match,score of its matches
    <work>/<experiment>/catalogue_<name>/groups.csv  id,group of the whole pool
    <work>/<experiment>/catalogue_<name>/index/<part>  what --index takes
    <work>/<experiment>/test.parquet  candidates of all test listings: query, match, scores
    <work>/<experiment>/test_embeddings.npy  by each fold's network, float16 (models, listings, length)
"""

import argparse
from pathlib import Path
from typing import cast

from common.run.stage import Job, Result, Stage
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.experiment import LEARNT, ShopeeExperiment


def infer(job: Job) -> Result:
    """Candidates by the experiment's branch, or by all branches that it joins."""
    import numpy as np

    from common.base.console import log
    from common.learn.seeding import seed_everything
    from competitions.shopee_matching.candidates.knn import embedding_pairs
    from competitions.shopee_matching.candidates.pairs import no_pairs, write_pairs
    from competitions.shopee_matching.candidates.registry import (
        concatenated_embeddings,
        model_free_pairs,
        read_embeddings,
        write_embeddings,
    )
    from competitions.shopee_matching.data.listings import load_listings
    from competitions.shopee_matching.models.reranker.two_stage import joined_parents, judge

    settings = cast(ShopeeExperiment, job.settings)
    if job.stage_args.catalogue:
        from competitions.shopee_matching.predict.predictor import match_catalogue

        return match_catalogue(job, settings)
    listings = load_listings(job.processed / "test.parquet")
    queries = np.arange(len(listings))
    found = job.upstream["processed"].decision
    out = job.paths.test(settings.name, ".parquet")
    outputs = [out]
    seed_everything(job.seed)
    if settings.source in found["without"]:
        log(f"  skipped: {found['without'][settings.source]}")
        pairs = no_pairs(settings.name)
    elif settings.branch in LEARNT and not found["labelled"] and settings.training().loss != "none":
        log("  skipped: no labelled listings to train a network on")
        pairs = no_pairs(settings.name)
    elif settings.branch in LEARNT:
        from competitions.shopee_matching.models.encoders.fold_models import test_pairs

        pairs, models = test_pairs(job, settings, listings)
        outputs.append(out.with_name("test_embeddings.npy"))
        write_embeddings(outputs[-1], models)
    elif settings.branch == "concat":
        files = [job.paths.experiment(parent) / "test_embeddings.npy" for parent in settings.parents]
        parts = [read_embeddings(file) for file in files if file.is_file()]
        models = concatenated_embeddings(parts, settings.blending) if parts else []
        pairs = embedding_pairs(models, queries, settings.name) if parts else no_pairs(settings.name)
    elif settings.branch in ("union", "booster"):
        pairs = joined_parents(job, settings, listings, "test")
        if settings.branch == "booster" and found["labelled"]:
            pairs = judge(job, settings, listings, pairs)
    else:
        further = load_listings(job.processed / "train.parquet").title if found["labelled"] else []
        pairs = model_free_pairs(settings, listings, queries, job.processed, "test", further)
    write_pairs(out, pairs)
    return Result(outputs, {"test_pool": float(len(listings)), "candidates": float(len(pairs))})


def add_flags(parser: argparse.ArgumentParser) -> None:
    """--weights, --catalogue and what belongs to it."""
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="folder with a text encoder's folder, as in 2_train_folds.py",
    )
    parser.add_argument(
        "--catalogue", type=Path, metavar="FILE", help="match this CSV instead of the test split"
    )
    parser.add_argument(
        "--columns",
        default="id=posting_id,title=title,image=image",
        metavar="LIST",
        help="its columns: id=...,title=...,image=...[,phash=...] (%(default)s)",
    )
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="folder of its pictures (the CSV's own)")
    parser.add_argument("--index", type=Path, metavar="DIR", help="match against this index, too")


def own_inputs(flags: argparse.Namespace) -> object:
    """What of the catalogue's flags decides the result."""
    from common.base.errors import InputError
    from common.base.paths import readable_folder
    from common.run.run_record import hash_path

    if not flags.catalogue:
        return None
    if not flags.catalogue.is_file():
        raise InputError(f"{flags.catalogue}: no such file; --catalogue takes a CSV file")
    folders = [flags.index] if flags.index else []
    if "image=" in flags.columns:
        folders.append(flags.pictures or flags.catalogue.absolute().parent)
    prints = [hash_path(readable_folder(folder, "the folder")) for folder in folders]
    return [hash_path(flags.catalogue.absolute()), flags.columns, *prints]


def record_name(flags: argparse.Namespace) -> str:
    """A catalogue has a record of its own."""
    return f"catalogue_{flags.catalogue.stem}" if flags.catalogue else ""


if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__, add_flags, own_inputs, record_name).run(infer)
