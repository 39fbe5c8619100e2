"""3_infer --catalogue: pairs with scores, groups and an index of one's own catalogue, as files."""

import csv
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from common.base.atomic import atomic_folder, atomic_write
from common.base.paths import readable_folder
from common.learn.arrays import Int32
from common.run.job import Result
from common.run.own_data import OwnDataJob
from competitions.shopee_matching import load
from competitions.shopee_matching.experiment import ShopeeExperiment
from competitions.shopee_matching.predict.catalogue import parse_columns, read_catalogue
from competitions.shopee_matching.predict.predictor import CatalogueMatches, catalogue_pictures


def match_catalogue(job: OwnDataJob[ShopeeExperiment]) -> Result:
    """Match the table of --catalogue among itself and, with --index, against the listings of an earlier call.

    Writes pairs.csv, groups.csv and index/ below `<work>/<experiment>/catalogue_<name>/`.
    """
    flags = job.stage_args
    table = Path(flags.catalogue)
    new = read_catalogue(table, parse_columns(flags.columns))
    paths = catalogue_pictures(new, table, flags.pictures)
    older = readable_folder(flags.index, "the index") if flags.index else None
    matcher = load(job.experiment, job.paths.work, job.device)
    out = job.output("")
    with atomic_folder(out) as unfinished:
        found = matcher.match(new, paths, unfinished / "index", job.resume_dir, older, job.warn)
        write_pairs_table(unfinished / "pairs.csv", found)
        groups = mutual_groups(len(found.listings), found.query, found.match)
        write_groups_table(unfinished / "groups.csv", found, groups)
    metrics = {
        "listings": float(len(new)),
        "gallery_size": float(len(found.listings)),
        "with_image": found.with_image,
        "pairs": float(np.isin(found.query, found.new).sum()),
        "groups": float(len(np.unique(groups))),
    }
    return Result(sorted(path for path in out.rglob("*") if path.is_file()), metrics)


def mutual_groups(listings: int, query: Int32, match: Int32) -> Int32:
    """(n,) group of each listing: connected components of the matches that go both ways."""
    directed = coo_array((np.ones(len(query)), (query, match)), shape=(listings, listings)).tocsr()
    _, group = connected_components(directed.multiply(directed.T), directed=False)
    return np.asarray(group, dtype=np.int32)


def write_pairs_table(path: Path, found: CatalogueMatches) -> None:
    """Write id,match,score of the new listings' matches, best first."""
    ids, shown = found.listings.posting_id, np.isin(found.query, found.new)
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "match", "score"))
        for query, match, score in zip(
            found.query[shown], found.match[shown], found.score[shown], strict=True
        ):
            table.writerow((ids[query], ids[match], f"{score:.4f}"))


def write_groups_table(path: Path, found: CatalogueMatches, groups: Int32) -> None:
    """Write id,group of all listings of the gallery; a group is named by its first listing."""
    ids = found.listings.posting_id
    _, first = np.unique(groups, return_index=True)
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "group"))
        table.writerows((name, ids[first[group]]) for name, group in zip(ids, groups, strict=True))
