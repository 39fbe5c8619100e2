"""An index: a catalogue's listings with their descriptors, embeddings and candidates, on disk.

An update adds new listings. Results of the older ones are read; the retrievers compute vectors of the
new ones only, and search the new ones in the whole gallery.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from common.base.atomic import atomic_array
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import AnyArray, Int32, Int64
from competitions.shopee_matching.candidates.base import Embeddings, Gallery, Retriever
from competitions.shopee_matching.candidates.descriptor_store import (
    WORDS_FILE,
    append_descriptors,
    describe_images,
    read_words,
)
from competitions.shopee_matching.candidates.embeddings import read_embeddings, write_embeddings
from competitions.shopee_matching.candidates.knn import score_calibration
from competitions.shopee_matching.candidates.pairs import (
    CandidatePairs,
    concatenated,
    no_pairs,
    read_pairs,
    write_pairs,
)
from competitions.shopee_matching.data.listings import Listings, load_listings, write_listings
from competitions.shopee_matching.data.pictures import store_pictures
from competitions.shopee_matching.decision.fusion import Member
from competitions.shopee_matching.predict.catalogue import image_hashes, no_common_ids

SPLIT = "gallery"
"""Prefix of an index's arrays, where those of a split are called train and test."""
Warn = Callable[[str], None]


@dataclass(frozen=True)
class IndexUpdate:
    """New listings on their way into an index."""

    listings: Listings
    """The gallery: listings of the older index first."""
    new: Int64
    """Rows of the new ones."""
    folder: Path
    """The new index."""
    older: Path | None
    """The index that is extended."""
    temp_dir: Path
    """Folder for the images of the new listings."""
    image_row: Int32
    """(new,) row of each new listing's image among the new images; -1 without one."""

    @property
    def new_listings(self) -> Listings:
        """The new listings alone, with the rows of the new images."""
        rows: dict[str, Any] = {
            name: [values[row] for row in self.new] if isinstance(values, list) else values[self.new]
            for name, values in vars(self.listings).items()
        }
        return Listings(**(rows | {"image_row": self.image_row}))


def begin_update(
    new: Listings,
    paths: dict[str, Path],
    folder: Path,
    older: Path | None,
    temp_dir: Path,
    warn: Warn,
    retrievers: Sequence[Retriever],
) -> IndexUpdate:
    """Read the new pictures, hash and describe them as the retrievers need; write the listings of the index.

    Parameters
    ----------
    paths : name -> path of each picture that the new listings name.

    Raises
    ------
    InputError : `older` is no index, or holds the id of a new listing.
    """
    listings = merged_listings(older, new)
    known = len(listings) - len(new)
    no_common_ids(new.posting_id, listings.posting_id[:known])
    folder.mkdir(parents=True)
    # Hashes and descriptors share one size; image networks may have others.
    size = retrievers[0].settings.descriptors.size
    stored = store_pictures(paths, new.image, size, _images_file(temp_dir, size))
    sizes = {each.settings.image.size for each in retrievers if each.settings.reads == "images"}
    for other in sizes - {size}:
        store_pictures(paths, new.image, other, _images_file(temp_dir, other))
    for fault in stored.corrupt:
        warn(fault)
    if stored.missing:
        names = ", ".join(stored.missing[:3])
        warn(f"{len(stored.missing)} pictures are missing, their listings are matched by title: {names}, ...")
    images = np.load(_images_file(temp_dir, size), mmap_mode="r")
    first_image = int(listings.image_row.max(initial=-1)) + 1
    described = [each for each in retrievers if each.settings.reads == "descriptors"]
    if described:
        words = read_words(described[0].fold_folders[0] / WORDS_FILE)
        describe_images(images, words, temp_dir / "new", SPLIT, seed=0)
        first_image = append_descriptors(older, temp_dir / "new", folder, SPLIT)
    image_row, phash = listings.image_row.copy(), listings.phash.copy()
    image_row[known:] = np.where(stored.image_row >= 0, stored.image_row + first_image, -1)
    computed = image_hashes(replace(new, image_row=stored.image_row), images)
    phash[known:] = np.where(phash[known:] == 0, computed, phash[known:])
    listings = replace(listings, image_row=image_row, phash=phash)
    write_listings(folder / "listings.parquet", listings)
    rows = np.arange(known, len(listings))
    return IndexUpdate(listings, rows, folder, older, temp_dir, stored.image_row)


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


def add_member(update: IndexUpdate, retriever: Retriever) -> Member:
    """Candidates of the older index and of the new listings by one retriever, kept in the new index."""
    size = retriever.settings.image.size
    gallery = Gallery(update.listings, update.folder, SPLIT)
    if retriever.fitted:
        embeddings = retriever.embed(
            Gallery(update.new_listings, _images_file(update.temp_dir, size).parent, SPLIT)
        )
        if embeddings is not None:
            gallery = replace(gallery, embeddings=_all_embeddings(update, retriever.name, embeddings))
        pairs = retriever.candidates(gallery, update.new)
    else:
        pairs = no_pairs(retriever.name)  # left out in training, because the data had nothing to learn from
    return Member(retriever, gallery, keep_pairs(update, retriever.name, pairs))


def keep_pairs(update: IndexUpdate, name: str, pairs: CandidatePairs) -> CandidatePairs:
    """Pairs of the new listings after those of the older index, written to the index."""
    if update.older is not None:
        pairs = concatenated([read_pairs(update.older / f"{name}.parquet"), pairs])
    write_pairs(update.folder / f"{name}.parquet", pairs)
    return pairs


def _all_embeddings(update: IndexUpdate, name: str, new: Embeddings) -> Embeddings:
    """Embeddings of the whole gallery; the calibration stays that of the first catalogue."""
    file, calibration_file = f"{name}_embeddings.npy", f"{name}_calibration.npy"
    models, classes = new.models, new.classes
    if update.older is None:
        known = [model[model.any(axis=1)] for model in models]
        calibration = score_calibration(known) if len(known[0]) > 1 else np.zeros((2, 1), dtype=np.float32)
    else:
        calibration = np.load(update.older / calibration_file)
        old = read_embeddings(update.older / file)
        models = [np.concatenate([one, other]) for one, other in zip(old, models, strict=True)]
    write_embeddings(update.folder / file, models)
    _write_array(update.folder / calibration_file, calibration)
    if classes is not None:
        classes_file = f"{name}_classes.npy"
        if update.older is not None:
            classes = np.concatenate([np.load(update.older / classes_file), classes])
        _write_array(update.folder / classes_file, classes)
    return Embeddings(read_embeddings(update.folder / file), calibration, classes)


def _write_array(path: Path, array: AnyArray) -> None:
    with atomic_array(path, array.shape, array.dtype) as stored:
        stored[:] = array


def _images_file(temp_dir: Path, size: int) -> Path:
    return temp_dir / f"{size}px" / f"{SPLIT}_pictures.npy"
