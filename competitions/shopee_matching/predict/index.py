"""A catalogue's listings and what is known of them, on disk: new listings are matched against it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.base.atomic import atomic_array
from common.base.errors import InputError
from common.base.paths import display_path
from common.run.job import Job
from competitions.shopee_matching.candidates.descriptor_store import (
    STORED,
    WORDS_FILE,
    describe_pictures,
    described_pictures,
    read_words,
)
from competitions.shopee_matching.candidates.knn import embedding_pairs, single_scale
from competitions.shopee_matching.candidates.pairs import (
    CandidatePairs,
    concatenated,
    joined,
    no_pairs,
    read_pairs,
    restricted,
    write_pairs,
)
from competitions.shopee_matching.candidates.phash import hash_pairs
from competitions.shopee_matching.candidates.registry import (
    by_picture,
    filled,
    read_embeddings,
    write_embeddings,
)
from competitions.shopee_matching.candidates.sift_matching import DETAILS, aligned_pairs
from competitions.shopee_matching.candidates.tfidf import title_pairs
from competitions.shopee_matching.data.listings import Listings, load_listings, write_listings
from competitions.shopee_matching.data.pictures import store_pictures
from competitions.shopee_matching.experiment import DESCRIBED, LEARNT, ShopeeExperiment
from competitions.shopee_matching.models.reranker.features import PairFeatures
from competitions.shopee_matching.models.reranker.gbdt import SecondLook, both_ways, chances, load_booster
from competitions.shopee_matching.predict.catalogue import with_hashes

POOL = "pool"
"""How the arrays of an index are called, where those of a split are called train and test."""
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Growth:
    """New listings on their way into an index."""

    job: Job
    listings: Listings
    """All of them: those of the older index first."""
    new: Int64
    """Rows of the new ones."""
    folder: Path
    """Of the index that is made."""
    older: Path | None
    """The index that is built upon."""
    fresh: npt.NDArray[np.int32]
    """(new,) row of each new listing's picture among the new pictures; -1 without one."""


def merged_listings(older: Path | None, new: Listings) -> Listings:
    """The listings of an index, then the new ones; InputError when the folder is no index."""
    if older is None:
        return new
    if not (older / "listings.parquet").is_file():
        raise InputError(
            f"{display_path(older)}: not an index; expected the index/ that --catalogue once wrote"
        )
    old = vars(load_listings(older / "listings.parquet"))
    merged: dict[str, Any] = {
        name: [*old[name], *values] if isinstance(values, list) else np.concatenate([old[name], values])
        for name, values in vars(new).items()
    }
    return Listings(**merged)


def grow(
    growth: Growth, parents: Sequence[ShopeeExperiment], paths: dict[str, Path]
) -> tuple[Growth, CandidatePairs]:
    """Find candidates of the new listings by every parent; write all of it to the new index.

    Returns
    -------
    growth : with the pictures and hashes of the new listings known.
    pairs : candidates by all parents of all listings, those of the older index as they were.
    """
    growth = _with_pictures(growth, parents, paths)
    write_listings(growth.folder / "listings.parquet", growth.listings)
    tables = []
    for parent in parents:
        pairs = _candidates(growth, parent)
        if growth.older is not None:
            pairs = concatenated([read_pairs(growth.older / f"{parent.name}.parquet"), pairs])
        write_pairs(growth.folder / f"{parent.name}.parquet", pairs)
        tables.append(pairs)
    together = joined(tables)
    for parent in parents:
        if parent.branch == "descriptors" and len(parents) > 1:
            vectors = np.load(growth.folder / f"{POOL}_{parent.descriptors.kind}.npy", mmap_mode="r")
            rows = by_picture(vectors, growth.listings.picture)
            together.scores[parent.name] = filled(together, together.scores[parent.name], rows)
    return growth, together


def _with_pictures(growth: Growth, parents: Sequence[ShopeeExperiment], paths: dict[str, Path]) -> Growth:
    """Describe the new pictures, once for all branches that look at them, and hash those without a hash."""
    job, new = growth.job, growth.new
    names = [growth.listings.image[row] for row in new]
    size = next(parent.descriptors.size for parent in parents)
    for other in {parent.pictures.size for parent in parents if parent.branch == "pictures"} - {size}:
        store_pictures(paths, names, other, new_pictures(job, other))
    stored = store_pictures(paths, names, size, new_pictures(job, size))
    for fault in stored.corrupt:
        job.warn(fault)
    if stored.missing:
        shown_names = ", ".join(stored.missing[:3])
        job.warn(f"{len(stored.missing)} pictures are not there, their rows go by title: {shown_names}, ...")
    pictures = np.load(new_pictures(job, size), mmap_mode="r")
    older = growth.older
    known = len(np.load(older / f"{POOL}_colours.npy", mmap_mode="r")) if older else 0
    words = read_words(_words_file(growth, parents))
    fresh = job.resume_dir / "fresh"
    describe_pictures(pictures, words, fresh, POOL, job.seed)
    for name in STORED:
        parts = [np.load(folder / f"{POOL}_{name}.npy", mmap_mode="r") for folder in (older, fresh) if folder]
        shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
        with atomic_array(growth.folder / f"{POOL}_{name}.npy", shape, parts[0].dtype) as together:
            start = 0
            for part in parts:
                together[start : start + len(part)] = part
                start += len(part)
    picture, phash = growth.listings.picture.copy(), growth.listings.phash.copy()
    newcomers = taken(growth.listings, new, stored.picture)
    unhashed = phash[new] == 0
    phash[new[unhashed]] = with_hashes(newcomers, pictures)[unhashed]
    picture[new] = np.where(stored.picture >= 0, stored.picture + known, -1)
    return replace(
        growth, listings=replace(growth.listings, picture=picture, phash=phash), fresh=stored.picture
    )


def new_pictures(job: Job, size: int) -> Path:
    """Where the new pictures are stored at one size."""
    return job.resume_dir / f"new{size}px.npy"


def taken(listings: Listings, rows: Int64, picture: npt.NDArray[np.int32]) -> Listings:
    """The listings at `rows` alone, with other rows of pictures."""
    values_at: dict[str, Any] = {
        name: [values[row] for row in rows] if isinstance(values, list) else values[rows]
        for name, values in vars(listings).items()
    }
    return Listings(**(values_at | {"picture": picture}))


def _words_file(growth: Growth, parents: Sequence[ShopeeExperiment]) -> Path:
    described = [parent for parent in parents if parent.branch in DESCRIBED]
    if not described:
        raise InputError(
            f"--catalogue: {growth.job.settings.name} has no branch with hand-made descriptors; use champion"
        )
    return growth.job.paths.processed(described[0].processed_variant()) / WORDS_FILE


def _candidates(growth: Growth, parent: ShopeeExperiment) -> CandidatePairs:
    """Candidates of the new listings by one parent, in the whole pool."""
    listings, new, folder = growth.listings, growth.new, growth.folder
    if parent.branch == "phash":
        return hash_pairs(listings.phash, new, parent.phash.largest_distance, parent.name)
    if parent.branch == "titles":
        return title_pairs(listings.title, new, parent.titles, parent.name)
    if parent.branch == "descriptors":
        vectors = np.load(folder / f"{POOL}_{parent.descriptors.kind}.npy", mmap_mode="r")
        return embedding_pairs([by_picture(vectors, listings.picture)], new, parent.name)
    if parent.branch == "alignment":
        if len(np.unique(listings.picture)) > parent.descriptors.most_pictures:
            return no_pairs(parent.name, DETAILS)
        described = described_pictures(folder, POOL, parent.descriptors.size)
        first = listings.picture[new]
        first_new = int(first[first >= 0].min(initial=len(described.points)))
        pairs = aligned_pairs(described, listings.picture, parent.descriptors.checked, parent.name, first_new)
        return restricted(pairs, np.isin(pairs.query, new))
    if parent.branch in LEARNT:
        return _by_networks(growth, parent)
    if parent.branch == "concat":
        raise InputError(f"--catalogue: {parent.name} joins embeddings; use an experiment of single branches")
    raise InputError(f"--catalogue: {parent.name} joins other experiments; use champion or a single branch")


def _by_networks(growth: Growth, parent: ShopeeExperiment) -> CandidatePairs:
    from competitions.shopee_matching.models.encoders.fold_models import network_rows

    fold0 = growth.job.paths.fold(parent.name, 0)
    if parent.training().loss != "none" and not (fold0 / "checkpoint.safetensors").is_file():
        return no_pairs(parent.name)  # left out in training, where the data said nothing to it
    scale_file, file = (
        growth.folder / f"{parent.name}_scale.npy",
        growth.folder / f"{parent.name}_embeddings.npy",
    )
    newcomers = taken(growth.listings, growth.new, growth.fresh)
    models = network_rows(growth.job, parent, newcomers, new_pictures(growth.job, parent.pictures.size))
    if growth.older is not None:
        old = read_embeddings(growth.older / file.name)
        models = [np.concatenate([one, other]) for one, other in zip(old, models, strict=True)]
        scale = np.load(growth.older / scale_file.name)
    else:
        there = [model[model.any(axis=1)] for model in models]
        scale = single_scale(there) if len(there[0]) > 1 else np.zeros((2, 1), dtype=np.float32)
    write_embeddings(file, models)
    with atomic_array(scale_file, scale.shape, np.float32) as stored:
        stored[:] = scale
    return embedding_pairs(read_embeddings(file), growth.new, parent.name, scale)


def judged(
    growth: Growth, settings: ShopeeExperiment, pairs: CandidatePairs, without: Sequence[str]
) -> CandidatePairs:
    """Chances of all pairs by the boosters, those of the older index as they were; written to the index."""
    job = growth.job
    features = PairFeatures(pairs, growth.listings, "titles" not in without, "phash" not in without)
    is_new = np.isin(pairs.query, growth.new)
    first, final = np.zeros((2, len(pairs)), dtype=np.float32)
    if growth.older is not None:
        before = read_pairs(growth.older / f"{settings.name}.parquet")
        first[~is_new], final[~is_new] = before.scores["first"], before.scores[settings.name]
    places = np.flatnonzero(is_new)
    first[places] = chances(
        [load_booster(folder / "first_look.txt") for folder in job.fold_folders], features, places
    )
    final[places] = first[places]
    if settings.booster.second_look:
        look = SecondLook(features, first)
        folder = job.paths.experiment(settings.name)
        boosters = [load_booster(folder / f"second_look{fold}.txt") for fold in range(settings.folds)]
        places = np.flatnonzero(is_new & look.worth_it())
        final[places] = chances(boosters, look, places)
        final[is_new] = both_ways(pairs, final)[is_new]
    write_pairs(
        growth.folder / f"{settings.name}.parquet",
        CandidatePairs(pairs.query, pairs.match, {"first": first, settings.name: final}),
    )
    return CandidatePairs(pairs.query, pairs.match, {settings.name: final})
