"""An index: a catalogue's listings with the descriptors and embeddings of their pictures and titles, on disk.

An update appends new listings. What is costly and depends on one listing alone is read from the index; what
depends on the whole gallery (candidates, ranks, word frequencies, groups) is computed for all listings again,
so rounds of updates give what one call on all listings gives.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from common.base.atomic import atomic_array, write_text
from common.base.console import counted
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.tables import write_table
from common.learn.arrays import AnyArray, Int32, Int64, UInt8
from competitions.shopee_matching.candidates.base import Embeddings, Gallery, Retriever
from competitions.shopee_matching.candidates.descriptor_store import (
    WORDS_FILE,
    append_descriptors,
    describe_images,
    read_words,
)
from competitions.shopee_matching.candidates.embeddings import read_embeddings, write_embeddings
from competitions.shopee_matching.candidates.handcrafted import VERIFIED_IMAGES
from competitions.shopee_matching.data.availability import titles_available
from competitions.shopee_matching.data.listings import Listings, load_listings, write_listings
from competitions.shopee_matching.data.pictures import StoredPictures, store_pictures
from competitions.shopee_matching.predict.catalogue import no_common_ids
from competitions.shopee_matching.predict.evidence import Distinct, PictureFacts, taken

SPLIT = "gallery"
"""Prefix of an index's arrays, where those of a split are called train and test."""
ABOUT = "index.json"
FORMAT = 2
LISTINGS, PICTURES = "listings.parquet", "pictures.parquet"
MIN_CONTRAST = 2.0
"""Standard deviation of the grey levels (of 255) below which a picture is blank."""
Warn = Callable[[str], None]


@dataclass(frozen=True)
class IndexUpdate:
    """An index with new listings in it."""

    listings: Listings
    """The gallery: listings of the older index first."""
    new: Int64
    """Rows of the new ones."""
    pictures: PictureFacts
    """Of all stored pictures."""
    folder: Path
    """The new index."""
    older: Path | None
    """The index that was extended."""
    temp_dir: Path
    """Folder with the images of the new listings."""
    image_row: Int32
    """(new,) row of each new listing's image among the new images; -1 without one."""


# ---- on disk


def check_index(folder: Path, model: str) -> None:
    """InputError when the folder is no index, is damaged, or belongs to another model.

    Parameters
    ----------
    model : hash of the trained experiment.
    """
    where, about = display_path(folder), folder / ABOUT
    again = "match its catalogue again without --index"
    if not about.is_file():
        old = (folder / LISTINGS).is_file()
        raise InputError(
            f"{where}: an index of an earlier version; {again}"
            if old
            else f"{where}: not an index; expected the folder index/ that --catalogue once wrote"
        )
    try:
        content = json.loads(about.read_bytes())
        version, made_by, files = content["format"], content["model"], content["files"]
        known = {str(name): (int(size), str(digest)) for name, (size, digest) in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise InputError(f"{display_path(about)}: damaged; {again}") from None
    if version != FORMAT:
        raise InputError(f"{where}: an index of another version ({str(version)[:20]}); {again}")
    if made_by != model:
        raise InputError(
            f"{where}: made by another model than the one that matches now (trained again, or another "
            f"--experiment or --work); use that model, or {again}"
        )
    for name, (size, digest) in known.items():
        file = folder / name
        if Path(name).name != name or not file.is_file():
            raise InputError(f"{display_path(file)}: missing from the index; {again}")
        if file.stat().st_size != size or _digest(file) != digest:
            raise InputError(f"{display_path(file)}: damaged, not as it was written; {again}")
    if LISTINGS not in known or PICTURES not in known:
        raise InputError(f"{display_path(about)}: damaged; {again}")


def writable_index(folder: Path) -> Path:
    """`folder` as an absolute path; InputError when it holds something else than an index, which stays."""
    folder = folder.expanduser().absolute()
    if folder.exists() and not (folder / ABOUT).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{display_path(folder)}: is there and is no index; give a new folder for the index")
    return folder


def seal_index(folder: Path, model: str) -> None:
    """Write what `check_index` checks: version, model, size and SHA-256 of each file."""
    files = {
        file.name: (file.stat().st_size, _digest(file))
        for file in sorted(folder.iterdir())
        if file.name != ABOUT
    }
    write_text(
        folder / ABOUT, json.dumps({"format": FORMAT, "model": model, "files": files}, indent=1) + "\n"
    )


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


# ---- new listings


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
    InputError : `older` holds the id of a new listing.
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
    _warn_of_pictures(stored, new, warn)
    images = np.load(_images_file(temp_dir, size), mmap_mode="r")
    facts = _joined_facts(older, picture_facts(images))
    first_image = len(facts.content) - len(images)
    described = [each for each in retrievers if each.settings.reads == "descriptors"]
    if described:
        words = read_words(described[0].fold_folders[0] / WORDS_FILE)
        describe_images(images, words, temp_dir / "new", SPLIT, seed=0)
        append_descriptors(older, temp_dir / "new", folder, SPLIT)
        verified = f"{SPLIT}_{VERIFIED_IMAGES}"
        if older is not None and (older / verified).is_file():
            shutil.copyfile(older / verified, folder / verified)
    image_row = listings.image_row.copy()
    image_row[known:] = np.where(stored.image_row >= 0, stored.image_row + first_image, -1)
    listings = replace(listings, image_row=image_row)
    write_listings(folder / LISTINGS, listings)
    _write_facts(folder / PICTURES, facts)
    rows = np.arange(known, len(listings))
    return IndexUpdate(listings, rows, facts, folder, older, temp_dir, stored.image_row)


def _warn_of_pictures(stored: StoredPictures, new: Listings, warn: Warn) -> None:
    if not stored.corrupt:
        return
    unreadable = sum(bool(name) and row < 0 for name, row in zip(new.image, stored.image_row, strict=True))
    warn(
        f"{counted(len(stored.corrupt), 'picture')} cannot be read, {counted(unreadable, 'listing')} matched "
        f"by title: {stored.corrupt[0]}" + (", ..." if len(stored.corrupt) > 1 else "")
    )


def merged_listings(older: Path | None, new: Listings) -> Listings:
    """The listings of an index, then the new ones."""
    if older is None:
        return new
    old = vars(load_listings(older / LISTINGS))
    merged: dict[str, Any] = {
        name: [*old[name], *values] if isinstance(values, list) else np.concatenate([old[name], values])
        for name, values in vars(new).items()
    }
    return Listings(**merged)


def picture_facts(images: UInt8) -> PictureFacts:
    """Content, perceptual hash as in the official files, and blankness of (n, side, side, 3) RGB images."""
    contents, hashes, blank = [], [], []
    for image in images:
        contents.append(hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest())
        hashes.append(int(str(imagehash.phash(Image.fromarray(image))), 16))
        blank.append(float(image.reshape(-1, 3).std(axis=0).max()) < MIN_CONTRAST)
    return PictureFacts(contents, np.array(hashes, dtype=np.uint64), np.array(blank, dtype=bool))


def _joined_facts(older: Path | None, new: PictureFacts) -> PictureFacts:
    if older is None:
        return new
    old = pq.read_table(older / PICTURES)
    return PictureFacts(
        [*old["content"].to_pylist(), *new.content],
        np.concatenate([old["phash"].to_numpy(), new.phash]),
        np.concatenate([old["blank"].to_numpy(zero_copy_only=False), new.blank]),
    )


def _write_facts(path: Path, facts: PictureFacts) -> None:
    content = pa.array(facts.content, type=pa.string())
    write_table(path, pa.table({"content": content, "phash": facts.phash, "blank": facts.blank}))


# ---- vectors of one retriever


def gallery_of(update: IndexUpdate, retriever: Retriever, listings: Listings, distinct: Distinct) -> Gallery:
    """What a retriever searches: the distinct `listings`, with their embeddings if it makes any.

    New listings are embedded, older ones read; both are kept in the new index.
    """
    gallery = Gallery(listings, update.folder, SPLIT)
    reads = retriever.settings.reads
    new = _new_listings(update)
    # Each title is embedded once; what depends on how often it occurs is decided below.
    keys = new.title if reads == "titles" else np.arange(len(new))
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    images = _images_file(update.temp_dir, retriever.settings.image.size).parent
    found = retriever.embed(Gallery(taken(new, first), images, SPLIT))
    if found is None:
        return gallery
    models = [model[place] for model in found.models]
    classes = None if found.classes is None else found.classes[place]
    file, classes_file = f"{retriever.name}_embeddings.npy", f"{retriever.name}_classes.npy"
    if update.older is not None:
        old = read_embeddings(update.older / file)
        models = [np.concatenate([one, other]) for one, other in zip(old, models, strict=True)]
        if classes is not None:
            classes = np.concatenate([np.load(update.older / classes_file), classes])
    write_embeddings(update.folder / file, models)
    if classes is not None:
        _write_array(update.folder / classes_file, classes)
        classes = classes[distinct.rows]
    models = [model[distinct.rows] for model in read_embeddings(update.folder / file)]
    unknown = ~titles_available(listings.title) if reads == "titles" else listings.image_row < 0
    if reads == "phash":
        unknown = np.zeros(len(listings), dtype=bool)
    for model in models:
        model[unknown] = 0
    if classes is not None:
        classes = np.where(unknown, -1, classes)
    return replace(gallery, embeddings=Embeddings(models, found.calibration, classes))


def _new_listings(update: IndexUpdate) -> Listings:
    """The new listings alone, with the rows of the new images."""
    return replace(taken(update.listings, update.new), image_row=update.image_row)


def _write_array(path: Path, array: AnyArray) -> None:
    with atomic_array(path, array.shape, array.dtype) as stored:
        stored[:] = array


def _images_file(temp_dir: Path, size: int) -> Path:
    return temp_dir / f"{size}px" / f"{SPLIT}_pictures.npy"
