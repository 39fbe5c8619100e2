"""Raw listings -> decoded titles, hashes as numbers, folds by product, pictures of one size.

    python competitions/shopee_matching/1_preprocess.py [--experiment NAME] [--data DIR] [--work DIR]

Products never cross folds, nor do products that share a picture. Experiments on titles and hashes read no
picture; those with a network keep the distinct pictures, shrunk to the network's size, those with hand-made
descriptors keep these. A branch that the given data cannot feed (too few pictures, test titles that name no
product) is found here and left out later.

Reads
    <data>/train.csv      posting_id,image,image_phash,title,label_group; without it nothing is trained
    <data>/test.csv       the same without label_group
    <data>/train_images/  pictures
    <data>/test_images/   pictures

Writes
    <work>/processed/train.parquet  labelled listings: title, phash, label_group, fold, row of the picture
    <work>/processed/test.parquet  test listings: title, phash, row of the picture
    <work>/processed/<pictures>/train.parquet  the same, with the rows of the pictures
    <work>/processed/<pictures>/test.parquet  the same, with the rows of the pictures
    <work>/processed/<pictures>/train_pictures.npy  distinct training pictures, uint8 (n, size, size, 3)
    <work>/processed/<pictures>/test_pictures.npy  distinct test pictures, uint8 (n, size, size, 3)
    <work>/processed/<pictures>/train_<kind>.npy  descriptors of distinct pictures, float16 (n, length)
    <work>/processed/<pictures>/test_<kind>.npy  descriptors of distinct pictures, float16 (n, length)
    <work>/processed/<pictures>/<split>_aligned.parquet  pairs of pictures laid over each other
    <work>/processed/<pictures>/visual_words.npz  what keypoints are summed up by
"""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from common.run.stage import Job, Result, Stage
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.experiment import DESCRIBED, ShopeeExperiment

if TYPE_CHECKING:
    from competitions.shopee_matching.data.listings import Listings


def preprocess(job: Job) -> Result:
    """Read both splits, cut the labelled one into folds, store the pictures or describe them."""
    from dataclasses import replace

    from common.base.console import log
    from common.learn.seeding import derived_seed
    from competitions.shopee_matching.data.availability import (
        pictures_without_information,
        titles_without_information,
    )
    from competitions.shopee_matching.data.folds import product_folds
    from competitions.shopee_matching.data.listings import read_listings, write_listings
    from competitions.shopee_matching.data.pictures import picture_paths

    settings = cast(ShopeeExperiment, job.settings)
    splits = {"test": read_listings(job.data / "test.csv", labelled=False)}
    if (job.data / "train.csv").exists():
        train = read_listings(job.data / "train.csv", labelled=True)
        seed = derived_seed(job.seed, "folds")
        folds = product_folds(train.label_group, train.image, job.settings.folds, seed)
        splits["train"] = replace(train, fold=folds)
    else:
        log("  train.csv is missing: nothing is trained or tuned, the default thresholds are used")

    # All names are checked before anything is written: a catalogue that plays tricks is refused as a whole.
    paths = {
        split: picture_paths(listings.image, job.data / f"{split}_images", job.data / f"{split}.csv")
        for split, listings in splits.items()
    }

    outputs: list[Path] = []
    without = {"titles": titles_without_information(splits["test"].title)}
    metrics = {}
    for split in sorted(splits, reverse=True):  # visual words are learned from the labelled listings, if any
        listings = splits[split]
        if settings.preprocessing()["picture_size"]:
            listings, written = with_pictures(job, listings, split, paths[split])
            outputs += written
            without["pictures"] = without.get("pictures") or pictures_without_information(
                listings.picture, split
            )
            metrics[f"{split}_with_picture"] = float((listings.picture >= 0).mean())
        table = job.processed / f"{split}.parquet"
        write_listings(table, listings)
        outputs.append(table)
        metrics[f"{split}_listings"] = float(len(listings))
    reasons = {branch: reason for branch, reason in without.items() if reason}
    for reason in reasons.values():
        log(f"  {reason}")
    return Result(sorted(outputs), metrics, decision={"labelled": "train" in splits, "without": reasons})


def with_pictures(
    job: Job, listings: "Listings", split: str, paths: dict[str, Path]
) -> tuple["Listings", list[Path]]:
    """Store the split's distinct pictures or their descriptors; note the row of each listing's picture."""
    from dataclasses import replace

    import numpy as np

    from common.learn.seeding import derived_seed
    from competitions.shopee_matching.candidates.descriptor_store import describe_split
    from competitions.shopee_matching.data.pictures import store_pictures

    settings = cast(ShopeeExperiment, job.settings)
    described = settings.branch in DESCRIBED
    out = (job.resume_dir if described else job.processed) / f"{split}_pictures.npy"
    stored = store_pictures(paths, listings.image, settings.preprocessing()["picture_size"], out)
    for fault in stored.corrupt:
        job.warn(fault)
    if stored.missing:
        names = ", ".join(stored.missing[:3])
        job.warn(f"{len(stored.missing)} pictures of {split}.csv are not in {split}_images/: {names}, ...")
    listings = replace(listings, picture=stored.picture)
    if not described:
        return listings, [out]
    seed = derived_seed(job.seed, "words")
    pictures = np.load(out, mmap_mode="r")
    return listings, describe_split(
        pictures, listings.picture, job.processed, split, settings.descriptors, seed
    )


if __name__ == "__main__":
    Stage(COMPETITION, "preprocess", __doc__).run(preprocess)
