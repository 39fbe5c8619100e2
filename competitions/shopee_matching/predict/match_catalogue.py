"""3_infer --catalogue: pairs with scores, groups and an index of one's own catalogue, as files."""

import csv
from pathlib import Path

import numpy as np

from common.base.atomic import atomic_folder, atomic_write
from common.base.paths import readable_folder
from common.learn.arrays import Bools
from common.run.job import Result
from common.run.own_data import OwnDataJob
from competitions.shopee_matching import load
from competitions.shopee_matching.experiment import ShopeeExperiment
from competitions.shopee_matching.predict.catalogue import catalogue_of
from competitions.shopee_matching.predict.predictor import CatalogueMatches


def match_catalogue(job: OwnDataJob[ShopeeExperiment]) -> Result:
    """Match the table of --catalogue among itself and, with --index, with the listings of earlier calls.

    Writes pairs.csv, groups.csv and index/ below `<work>/<experiment>/catalogue/<name>/`, with --index also
    all_pairs.csv.
    """
    flags = job.stage_args
    catalogue = catalogue_of(flags, Path(flags.catalogue).expanduser().absolute())
    older = readable_folder(flags.index, "the folder of --index") if flags.index else None
    matcher = load(job.experiment, job.paths.work, job.device)
    out = job.output("")
    with atomic_folder(out) as unfinished:
        found = matcher.match(
            catalogue, unfinished / "index", job.resume_dir, older, job.warn, job.understood
        )
        write_pairs_table(unfinished / "pairs.csv", found, np.isin(found.query, found.new))
        if older is not None:
            write_pairs_table(unfinished / "all_pairs.csv", found, np.ones(len(found.query), dtype=bool))
        write_groups_table(unfinished / "groups.csv", found)
    metrics = {
        "listings": float(len(found.new)),
        "gallery_size": float(len(found.listings)),
        "with_image": found.with_image,
        "pairs": float(np.isin(found.query, found.new).sum()),
        "groups": float(len(np.unique(found.group))),
    }
    first = [out / "pairs.csv", out / "groups.csv"]
    rest = sorted(path for path in out.rglob("*") if path.is_file() and path not in first)
    return Result([*first, *rest], metrics)


def write_pairs_table(path: Path, found: CatalogueMatches, shown: Bools) -> None:
    """Write id,match,score of the matches that are `shown`, best first."""
    ids = found.listings.posting_id
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "match", "score"))
        for query, match, score in zip(
            found.query[shown], found.match[shown], found.score[shown], strict=True
        ):
            table.writerow((ids[query], ids[match], f"{score:.4f}"))


def write_groups_table(path: Path, found: CatalogueMatches) -> None:
    """Write id,group of all listings of the gallery; a group is named by its first listing."""
    ids = found.listings.posting_id
    _, first = np.unique(found.group, return_index=True)
    name_of = dict(zip(found.group[first].tolist(), (ids[row] for row in first), strict=True))
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "group"))
        table.writerows((name, name_of[group]) for name, group in zip(ids, found.group.tolist(), strict=True))
