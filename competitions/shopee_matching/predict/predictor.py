"""A catalogue of one's own, matched: pairs with scores, groups, and an index for later."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from common.base.atomic import atomic_folder, atomic_write
from common.base.errors import InputError
from common.base.paths import readable_folder
from common.run.job import Job, Result
from competitions.shopee_matching.candidates.pairs import CandidatePairs
from competitions.shopee_matching.data.pictures import picture_paths
from competitions.shopee_matching.decision.match_rule import MatchRule, select_matches
from competitions.shopee_matching.experiment import ShopeeExperiment
from competitions.shopee_matching.predict.catalogue import (
    named_paths,
    no_common_ids,
    parse_columns,
    read_catalogue,
)
from competitions.shopee_matching.predict.index import Growth, grow, judged, merged_listings

Int32 = npt.NDArray[np.int32]


def match_catalogue(job: Job, settings: ShopeeExperiment) -> Result:
    """Match the catalogue of --catalogue among itself and, with --index, against listings of an earlier call.

    Writes pairs.csv, groups.csv and index/ below `<work>/<experiment>/<name of the catalogue>/`.
    """
    table = Path(job.stage_args.catalogue)
    if not job.upstream["processed"].decision["labelled"] and settings.branch == "booster":
        raise InputError(f"--catalogue: {settings.name} was not trained, its data had no labelled listings")
    new = read_catalogue(table, parse_columns(job.stage_args.columns))
    folder = readable_folder(job.stage_args.pictures or table.absolute().parent, "the folder of the pictures")
    paths = picture_paths(named_paths(new.image), folder, table)
    older = readable_folder(job.stage_args.index, "the index") if job.stage_args.index else None
    listings = merged_listings(older, new)
    if older is not None:
        no_common_ids(table, new.posting_id, listings.posting_id[: -len(new)])
    rows = np.arange(len(listings) - len(new), len(listings))
    parents = parents_of(job, settings)
    out = job.paths.experiment(settings.name) / catalogue_name(table)
    with atomic_folder(out) as unfinished:
        growth = Growth(job, listings, rows, unfinished / "index", older, new.picture)
        growth.folder.mkdir()
        growth, pairs = grow(growth, parents, paths)
        if settings.branch == "booster":
            pairs = judged(growth, settings, pairs, job.upstream["processed"].decision["without"])
        rule = MatchRule.model_validate(job.upstream["oof"].decision)
        query, match = select_matches(pairs, rule, len(listings))
        write_matches(unfinished / "pairs.csv", listings.posting_id, pairs, rule, (query, match), rows)
        groups = mutual_groups(len(listings), query, match)
        write_groups(unfinished / "groups.csv", listings.posting_id, groups)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    metrics = {
        "listings": float(len(new)),
        "pool": float(len(listings)),
        "with_picture": float((growth.fresh >= 0).mean()),
        "pairs": float(np.isin(query, rows).sum()),
        "groups": float(len(np.unique(groups))),
    }
    return Result(files, metrics)


def catalogue_name(table: Path) -> str:
    """Name of the folder of a catalogue's matches."""
    return f"catalogue_{table.stem}"


def parents_of(job: Job, settings: ShopeeExperiment) -> list[ShopeeExperiment]:
    """Settings of the single branches that the experiment joins, as they were trained."""
    if not settings.parents:
        return [settings]
    return [
        ShopeeExperiment.model_validate(job.upstream[f"{parent}/oof"].experiment)
        for parent in settings.parents
    ]


def mutual_groups(listings: int, query: Int32, match: Int32) -> npt.NDArray[np.int32]:
    """(n,) group of each listing: those that match each other both ways, and what hangs together by that."""
    directed = coo_array((np.ones(len(query)), (query, match)), shape=(listings, listings)).tocsr()
    _, group = connected_components(directed.multiply(directed.T), directed=False)
    return np.asarray(group, dtype=np.int32)


def write_matches(
    path: Path,
    posting_id: Sequence[str],
    pairs: CandidatePairs,
    rule: MatchRule,
    matches: tuple[Int32, Int32],
    rows: npt.NDArray[np.int64],
) -> None:
    """Write id,match,score of the new listings' matches, strongest first; the score is the best branch's."""
    query, match = matches
    key = (pairs.query.astype(np.int64) << 32) | pairs.match
    place = np.searchsorted(key, (query.astype(np.int64) << 32) | match)
    used = [pairs.scores[name] for name in rule.thresholds]
    score = np.nanmax(np.stack(used), axis=0)[place] if len(place) else np.empty(0, np.float32)
    shown = np.isin(query, rows)
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "match", "score"))
        for one, other, value in zip(query[shown], match[shown], score[shown], strict=True):
            table.writerow((posting_id[one], posting_id[other], f"{value:.4f}"))


def write_groups(path: Path, posting_id: Sequence[str], groups: npt.NDArray[np.int32]) -> None:
    """Write id,group of all listings of the pool, each group named by its first listing."""
    _, first = np.unique(groups, return_index=True)
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "group"))
        table.writerows(
            (name, posting_id[first[group]]) for name, group in zip(posting_id, groups, strict=True)
        )
