"""Test listings -> candidate pairs within the test pool.

    python competitions/shopee_matching/3_infer.py [--experiment NAME] [--work DIR]

Every test listing is looked for among all test listings. Titles take their word frequencies from the labelled
listings, too. The networks of all folds compare the pictures together; their scores are brought to the scale
of one network's, on which the threshold was tuned.

Reads
    <work>/processed/test.parquet, <work>/processed/train.parquet  listings
    <work>/processed/pictures<size>px/test_pictures.npy  test pictures
    <work>/<experiment>/fold<k>/checkpoint.safetensors  picture networks
    <work>/<parent>/test.parquet  candidates of the branches that a union joins

Writes
    <work>/<experiment>/test.parquet  candidates of all test listings: query, match, score
"""

from typing import TYPE_CHECKING, cast

from common.stage import Job, Outcome, Stage
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.experiment import ShopeeExperiment

if TYPE_CHECKING:
    from competitions.shopee_matching.candidate_pairs import CandidatePairs
    from competitions.shopee_matching.listings import Listings


def infer(job: Job) -> Outcome:
    """Candidates by the experiment's branch, or by all branches that it joins."""
    import numpy as np

    from common.console import say
    from competitions.shopee_matching.candidate_pairs import joined, no_pairs, read_pairs, write_pairs
    from competitions.shopee_matching.hash_distance import hash_pairs
    from competitions.shopee_matching.listings import load_listings
    from competitions.shopee_matching.title_similarity import title_pairs

    settings = cast(ShopeeExperiment, job.settings)
    listings = load_listings(job.processed / "test.parquet")
    queries = np.arange(len(listings))
    found = job.upstream["processed"].decision
    if settings.branch == "union":
        pairs = joined([read_pairs(job.paths.test(parent, ".parquet")) for parent in settings.parents])
    elif settings.branch in found["without"]:
        say(f"  skipped: {found['without'][settings.branch]}")
        pairs = no_pairs(settings.name)
    elif settings.branch == "phash":
        pairs = hash_pairs(listings.phash, queries, settings.phash.largest_distance, settings.name)
    elif settings.branch == "titles":
        further = load_listings(job.processed / "train.parquet").title if found["labelled"] else []
        pairs = title_pairs(listings.title, queries, settings.titles, settings.name, further)
    elif found["labelled"]:
        pairs = compare_pictures(job, settings, listings)
    else:
        say("  skipped: no labelled listings to train a picture network on")
        pairs = no_pairs(settings.name)
    out = job.paths.test(settings.name, ".parquet")
    write_pairs(out, pairs)
    return Outcome([out], {"test_pool": float(len(listings)), "candidates": float(len(pairs))})


def compare_pictures(job: Job, settings: ShopeeExperiment, listings: "Listings") -> "CandidatePairs":
    """Neighbours by the picture networks of all folds together."""
    import numpy as np

    from common.device import torch_device
    from common.seeding import seed_everything
    from competitions.shopee_matching.embedding_network import embed, load_network
    from competitions.shopee_matching.picture_neighbours import picture_pairs

    seed_everything(job.seed)
    pictures = np.load(job.processed / "test_pictures.npy", mmap_mode="r")
    device = torch_device(job.device)
    models = [
        embed(load_network(settings.pictures, folder / "checkpoint.safetensors"), pictures, device)
        for folder in job.fold_folders
    ]
    return picture_pairs(models, listings.picture, np.arange(len(listings)), settings.name)


if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__).run(infer)
