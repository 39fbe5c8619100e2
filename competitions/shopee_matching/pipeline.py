"""The four stages as functions: prepare listings, retrieve and rerank candidates, tune the rule, match."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from common.base.atomic import atomic_write
from common.base.console import log
from common.base.errors import InputError
from common.learn.arrays import Int64
from common.learn.boosting import save_booster
from common.learn.seeding import derived_seed, seed_everything
from common.run.job import Job, Result
from competitions.shopee_matching.candidates.base import Embeddings, Gallery, Retriever, build_retriever
from competitions.shopee_matching.candidates.descriptor_store import describe_split
from competitions.shopee_matching.candidates.embeddings import (
    concatenated_embeddings,
    read_embeddings,
    write_embeddings,
)
from competitions.shopee_matching.candidates.knn import embedding_pairs
from competitions.shopee_matching.candidates.pairs import (
    CandidatePairs,
    concatenated,
    no_pairs,
    read_pairs,
    write_pairs,
)
from competitions.shopee_matching.data.availability import images_unavailable, titles_unavailable
from competitions.shopee_matching.data.folds import product_folds
from competitions.shopee_matching.data.listings import Listings, load_listings, read_listings, write_listings
from competitions.shopee_matching.data.pictures import picture_paths, store_pictures
from competitions.shopee_matching.data.training_titles import TITLES_FILE, write_training_titles
from competitions.shopee_matching.decision.catalogue_rule import (
    CatalogueRule,
    Pool,
    pools_of_pairs,
    tune_catalogue_rule,
)
from competitions.shopee_matching.decision.fusion import Member, fused_candidates
from competitions.shopee_matching.decision.match_rule import MatchRule, rule_of, select_matches
from competitions.shopee_matching.decision.tuning import initial_rule, tune_rule, with_slopes
from competitions.shopee_matching.experiment import ShopeeExperiment
from competitions.shopee_matching.models.reranker.catalogue import (
    Parent,
    catalogue_file,
    drawn_catalogues,
    pool_of,
    train_catalogue_booster,
)
from competitions.shopee_matching.models.reranker.features import PairFeatures
from competitions.shopee_matching.models.reranker.two_stage import (
    load_reranker,
    train_first_stage,
    train_second_stage,
)
from competitions.shopee_matching.rules.metric import group_interval, row_f1
from competitions.shopee_matching.rules.submission import submission_faults, write_submission

ShopeeJob = Job[ShopeeExperiment]


# ---- 1_preprocess


def preprocess(job: ShopeeJob) -> Result:
    """Decode both splits, assign folds to the labelled one, store the images or their descriptors."""
    splits = {"test": read_listings(job.data / "test.csv", labelled=False)}
    if (job.data / "train.csv").exists():
        train = read_listings(job.data / "train.csv", labelled=True)
        job.separate_splits(train.posting_id, splits["test"].posting_id, "listings")
        seed = derived_seed(job.seed, "folds")
        splits["train"] = replace(
            train, fold=product_folds(train.label_group, train.image, job.settings.folds, seed)
        )
    else:
        log("  train.csv is missing: nothing is trained or tuned, the default thresholds are used")

    # All names are checked before anything is written: a table with a malicious path is refused as a whole.
    paths = {
        split: picture_paths(listings.image, job.data / f"{split}_images", f"{split}.csv")
        for split, listings in splits.items()
    }
    outputs: list[Path] = []
    reasons = {"titles": titles_unavailable(splits["test"].title)}
    metrics = {}
    for split in sorted(splits, reverse=True):  # train first: visual words are learned from it
        listings = splits[split]
        if job.settings.modality == "images":
            listings, written = _with_images(job, listings, split, paths[split])
            outputs += written
            reasons["images"] = reasons.get("images") or images_unavailable(listings.image_row, split)
            metrics[f"{split}_with_image"] = float((listings.image_row >= 0).mean())
        table = job.processed / f"{split}.parquet"
        write_listings(table, listings)
        outputs.append(table)
        metrics[f"{split}_listings"] = float(len(listings))
    unavailable = {modality: reason for modality, reason in reasons.items() if reason}
    for reason in unavailable.values():
        log(f"  {reason}")
    return Result(sorted(outputs), metrics, {"labelled": "train" in splits, "unavailable": unavailable})


def _with_images(
    job: ShopeeJob, listings: Listings, split: str, paths: dict[str, Path]
) -> tuple[Listings, list[Path]]:
    """Store the split's distinct images or their descriptors; note the row of each listing's image."""
    describe = job.settings.reads == "descriptors"
    out = (job.resume_dir if describe else job.processed) / f"{split}_pictures.npy"
    stored = store_pictures(paths, listings.image, job.settings.preprocessing()["image_size"], out)
    for fault in stored.corrupt:
        job.warn(fault)
    if stored.missing:
        names = ", ".join(stored.missing[:3])
        job.warn(f"{len(stored.missing)} pictures of {split}.csv are not in {split}_images/: {names}, ...")
    listings = replace(listings, image_row=stored.image_row)
    if not describe:
        return listings, [out]
    images, seed = np.load(out, mmap_mode="r"), derived_seed(job.seed, "words")
    written = describe_split(images, listings.image_row, job.processed, split, job.settings.descriptors, seed)
    return listings, written


# ---- 2_train_folds


def train_fold(job: ShopeeJob) -> Result:
    """OOF candidates of the fold's listings in the gallery of all labelled ones."""
    settings, data = job.settings, job.upstream["processed"].decision
    retriever = _retriever(job, settings, [job.fold_folder]) if settings.retriever else None
    result = Result(retriever.keep(job) if retriever else [])
    if settings.fusion == "union" or not data["labelled"]:
        return result
    listings = load_listings(job.processed / "train.parquet")
    if settings.modality in data["unavailable"]:
        log(f"  skipped: {data['unavailable'][settings.modality]}")
        pairs = no_pairs(settings.name)
    elif retriever is not None:
        pairs = _fit_and_retrieve(job, retriever, listings, result)
    elif settings.fusion == "concat":
        pairs = _concatenated_candidates(job, np.flatnonzero(listings.fold == job.fold))
    else:
        pairs, result = train_first_stage(job, listings, _features(job, listings, "train"))
    out = job.fold_folder / "oof.parquet"
    write_pairs(out, pairs)
    result.outputs.append(out)
    return result


def _fit_and_retrieve(
    job: ShopeeJob, retriever: Retriever, listings: Listings, result: Result
) -> CandidatePairs:
    """Train the fold's model, embed the whole gallery by it, find the candidates of the fold's listings."""
    queries = retriever.queries(listings, job.fold)
    if not len(queries):
        return no_pairs(retriever.name)
    fitted = retriever.fit(job, listings)
    result.outputs.extend(fitted.outputs)
    result.metrics.update(fitted.metrics)
    result.history.extend(fitted.history)
    gallery = Gallery(listings, job.processed, "train")
    embeddings = retriever.embed(gallery)
    if embeddings is not None:
        stored = job.fold_folder / "embeddings.npy"
        write_embeddings(stored, embeddings.models)
        result.outputs.append(stored)
        # Searched as stored, in half precision, like concatenated embeddings later.
        if embeddings.classes is None:
            embeddings = Embeddings(read_embeddings(stored))
        gallery = replace(gallery, embeddings=embeddings)
    return retriever.candidates(gallery, queries)


def _concatenated_candidates(job: ShopeeJob, queries: Int64) -> CandidatePairs:
    """Neighbours by the parents' concatenated embeddings of this fold."""
    parts = []
    for parent in job.settings.parents:
        own = job.paths.fold(parent, job.fold) / "embeddings.npy"
        # An encoder that is not fine-tuned has embedded all listings in fold 0.
        file = own if own.is_file() else job.paths.fold(parent, 0) / "embeddings.npy"
        if file.is_file():
            parts.append(read_embeddings(file))
    if not parts:
        return no_pairs(job.settings.name)
    models = concatenated_embeddings(parts, job.settings.blending)
    return embedding_pairs(models, queries, job.settings.name)


def pool_folds(job: ShopeeJob) -> Result:
    """Tune the rule on the candidates of all folds' validation listings together."""
    settings, data = job.settings, job.upstream["processed"].decision
    parents = {parent: job.upstream[f"{parent}/oof"].decision for parent in settings.parents}
    start = initial_rule(settings, parents, data["labelled"])
    if not data["labelled"]:
        log(f"  no labelled listings to tune on: the default thresholds of {settings.name} are used")
        return Result([], decision=start.model_dump() | data)

    listings = load_listings(job.processed / "train.parquet")
    outputs: list[Path] = []
    if settings.fusion == "union":
        pairs = _parents_candidates(job, listings, "train")
    else:
        pairs = concatenated([read_pairs(folder / "oof.parquet") for folder in job.fold_folders])
    if settings.fusion == "reranker" and settings.reranker.second_stage:
        pairs, outputs = train_second_stage(job, listings, _features(job, listings, "train"), pairs)
    out = job.paths.experiment(settings.name) / "oof.parquet"
    write_pairs(out, pairs)
    rule = start.fitted_to(listings.label_group, settings.rule.group_size_prior)
    if settings.rule.tuned:
        rule = tune_rule(pairs, listings.label_group, rule, settings.rule.min2)
        rule = with_slopes(pairs, listings.label_group, rule, derived_seed(job.seed, "parts"))
    written, catalogue = _catalogue_part(job, listings, pairs, rule)
    outputs += written
    f1 = row_f1(*select_matches(pairs, rule), listings.label_group)
    low, high = group_interval(f1, listings.label_group, derived_seed(job.seed, "interval"))
    only_oneself = row_f1(pairs.query[:0], pairs.match[:0], listings.label_group)
    metrics = {
        "oof_f1": float(f1.mean()),
        "oof_f1_low": low,
        "oof_f1_high": high,
        "baseline: only oneself": float(only_oneself.mean()),
        "gallery_size": float(len(listings)),
    }
    return Result([*outputs, out], metrics, rule.model_dump() | {"catalogue": catalogue.model_dump()} | data)


def _catalogue_part(
    job: ShopeeJob, listings: Listings, pairs: CandidatePairs, rule: MatchRule
) -> tuple[list[Path], CatalogueRule]:
    """What matching one's own catalogue needs: thresholds for any size, the labelled titles, a reranker."""
    settings, folder = job.settings, job.paths.experiment(job.settings.name)
    with_titles = "titles" not in job.upstream["processed"].decision["unavailable"]
    outputs = []
    if with_titles:
        outputs.append(folder / TITLES_FILE)
        write_training_titles(outputs[-1], listings.title)
    seed = derived_seed(job.seed, "catalogues")
    if not rule.tuned or settings.evaluation == "in_sample":
        return outputs, CatalogueRule(thresholds={name: [value] for name, value in rule.thresholds.items()})
    if settings.fusion != "reranker":
        titles = listings.title if with_titles else None
        return outputs, tune_catalogue_rule(
            pools_of_pairs(pairs, titles, listings.label_group, seed), rule.thresholds
        )
    if any(job.upstream[f"{parent}/oof"].experiment["retriever"] is None for parent in settings.parents):
        log("  no catalogue reranker: a parent is a fusion itself")
        return outputs, CatalogueRule(thresholds={settings.name: [0.5]})
    drawn = [
        list(drawn_catalogues(settings, listings, fold, _fold_parents(job, fold), with_titles, seed + fold))
        for fold in range(settings.folds)
    ]
    pools: dict[bool, dict[int, list[Pool]]] = {True: {}, False: {}}
    for fold in range(settings.folds):
        others = [each for other, found in enumerate(drawn) if other != fold for each in found]
        products = len(np.unique(listings.label_group[listings.fold != fold]))
        booster = train_catalogue_booster(
            others, settings.reranker, products, derived_seed(job.seed, "catalogue", fold)
        )
        if booster is None:
            log("  no catalogue reranker: the drawn catalogues hold no pairs of both kinds")
            return outputs, CatalogueRule(thresholds={settings.name: [0.5]})
        outputs.append(catalogue_file(folder, fold))
        save_booster(outputs[-1], booster)
        for each in drawn[fold]:
            if each.with_titles or not with_titles:
                pools[each.with_pictures].setdefault(each.size, []).append(
                    pool_of(each, settings.name, booster)
                )
    rules = {kind: tune_catalogue_rule(found, {settings.name: 0.5}) for kind, found in pools.items() if found}
    if not pools[True]:
        return outputs, rules[False]
    return outputs, rules[True].model_copy(update={"without_pictures": rules.get(False)})


def _fold_parents(job: ShopeeJob, fold: int) -> list[Parent]:
    """The retrievers of a reranker as trained without one fold."""
    found = []
    for parent in job.settings.parents:
        record = job.upstream[f"{parent}/oof"]
        settings = job.competition.recorded_experiment(record)
        folder = job.paths.processed(settings.processed_folder())
        retriever = build_retriever(settings, [job.paths.fold(parent, fold)], job.device)
        pairs = read_pairs(job.paths.experiment(parent) / "oof.parquet")
        available = settings.modality not in record.decision["unavailable"]
        found.append(Parent(retriever, folder, load_listings(folder / "train.parquet"), pairs, available))
    return found


# ---- 3_infer


def infer(job: ShopeeJob) -> Result:
    """Candidates of all test listings among the test listings, by the models of all folds together."""
    listings = load_listings(job.processed / "test.parquet")
    out = job.paths.test(job.settings.name, ".parquet")
    seed_everything(job.seed)
    pairs, embeddings = _test_candidates(job, listings)
    outputs = [out]
    if embeddings is not None:
        outputs.append(out.with_name("test_embeddings.npy"))
        write_embeddings(outputs[-1], embeddings.models)
    write_pairs(out, pairs)
    return Result(outputs, {"gallery_size": float(len(listings)), "candidates": float(len(pairs))})


def _test_candidates(job: ShopeeJob, listings: Listings) -> tuple[CandidatePairs, Embeddings | None]:
    settings, data = job.settings, job.upstream["processed"].decision
    train_titles = load_listings(job.processed / "train.parquet").title if data["labelled"] else []
    queries = np.arange(len(listings))
    if settings.modality in data["unavailable"]:
        log(f"  skipped: {data['unavailable'][settings.modality]}")
        return no_pairs(settings.name), None
    if settings.fusion == "concat":
        files = [job.paths.experiment(parent) / "test_embeddings.npy" for parent in settings.parents]
        parts = [read_embeddings(file) for file in files if file.is_file()]
        if not parts:
            return no_pairs(settings.name), None
        models = concatenated_embeddings(parts, settings.blending)
        return embedding_pairs(models, queries, settings.name), None
    if settings.fusion == "reranker" and data["labelled"]:
        # Word frequencies of a few listings mean little; then the labelled titles count as well.
        corpus = train_titles if len(train_titles) > len(listings) else []
        reranker = load_reranker(settings, job.paths.experiment(settings.name))
        found = reranker.rerank(_features(job, listings, "test", corpus))
        return CandidatePairs(found.query, found.match, {settings.name: found.scores[settings.name]}), None
    if settings.fusion is not None:
        return _parents_candidates(job, listings, "test"), None
    retriever = _retriever(job, settings, job.fold_folders)
    if retriever.needs_labels and not data["labelled"]:
        log("  skipped: no labelled listings to train a network on")
        return no_pairs(settings.name), None
    gallery = Gallery(listings, job.processed, "test", train_titles)
    embeddings = retriever.embed(gallery)
    return retriever.candidates(replace(gallery, embeddings=embeddings), queries), embeddings


# ---- 4_make_submission


def make_submission(job: ShopeeJob) -> Result:
    """Select the matches, write them, validate, and only then move the file to its place."""
    rule = rule_of(job.upstream["oof"].decision)
    listings = load_listings(job.processed / "test.parquet")
    pairs = read_pairs(job.paths.test(job.settings.name, ".parquet"))
    query, match = select_matches(pairs, rule, len(listings))
    draft = job.resume_dir / "submission.csv"
    write_submission(draft, listings.posting_id, query, match)
    faults = submission_faults(draft, job.data)
    if faults:
        raise InputError(f"the submission would break the official format: {'; '.join(faults)}")
    out = job.paths.submission(job.settings.name, ".csv")
    with atomic_write(out) as partial:
        shutil.copyfile(draft, partial)
    metrics = {
        "listings": float(len(listings)),
        "matches_per_listing": 1 + len(query) / len(listings),
        "tuned_on_gallery_of": float(rule.gallery_size),
    }
    return Result([out], metrics)


# ---- the parents of a fusion


def _retriever(job: ShopeeJob, settings: ShopeeExperiment, fold_folders: list[Path]) -> Retriever:
    return build_retriever(settings, fold_folders, job.device, getattr(job.stage_args, "weights", None))


def _parents_candidates(job: ShopeeJob, listings: Listings, split: str) -> CandidatePairs:
    """Candidates of all parents in the split `train` (out of fold) or `test`."""
    galleries: dict[Path, Gallery] = {}
    members = []
    for parent in job.settings.parents:
        settings = job.competition.recorded_experiment(job.upstream[f"{parent}/oof"])
        folder = job.paths.processed(settings.processed_folder())
        if folder not in galleries:
            galleries[folder] = Gallery(load_listings(folder / f"{split}.parquet"), folder, split)
        stem = "oof" if split == "train" else "test"
        pairs = read_pairs(job.paths.experiment(parent) / f"{stem}.parquet")
        retriever = build_retriever(settings) if settings.retriever else None
        members.append(Member(retriever, galleries[folder], pairs))
    titles = None if "titles" in job.upstream["processed"].decision["unavailable"] else listings.title
    return fused_candidates(job.settings, members, titles)


def _features(
    job: ShopeeJob, listings: Listings, split: str, corpus: list[str] | None = None
) -> PairFeatures:
    """Features of the parents' candidates for the reranker."""
    pairs = _parents_candidates(job, listings, split)
    with_titles = "titles" not in job.upstream["processed"].decision["unavailable"]
    return PairFeatures(pairs, listings, with_titles, corpus or [])
