"""Pairs of listings that a branch takes for the same product, with its scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from common.base.atomic import atomic_write
from common.base.errors import InputError
from common.base.paths import display_path

Int32 = npt.NDArray[np.int32]
Int = npt.NDArray[np.integer]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CandidatePairs:
    """Directed pairs, sorted by query, then match; a listing is never its own match."""

    query: Int32
    """(pairs,) row of the listing that is looked for."""
    match: Int32
    """(pairs,) row of the listing found."""
    scores: dict[str, Float32]
    """Experiment -> (pairs,) similarity up to 1; NaN where that experiment does not propose the pair.
    `<experiment>/<detail>` holds what else the experiment measured of the pair, for the booster alone."""

    def __len__(self) -> int:
        return len(self.query)


def sorted_pairs(query: Int, match: Int, score: Float32, experiment: str) -> CandidatePairs:
    """Pairs of one branch in their order."""
    order = np.lexsort((match, query))
    return CandidatePairs(
        query[order].astype(np.int32),
        match[order].astype(np.int32),
        {experiment: score[order].astype(np.float32)},
    )


def no_pairs(experiment: str, details: Sequence[str] = ()) -> CandidatePairs:
    """What a branch without information proposes; `details` it would have measured."""
    empty = np.empty(0, dtype=np.int32)
    names = [experiment, *(f"{experiment}/{name}" for name in details)]
    return CandidatePairs(empty, empty, {name: np.empty(0, dtype=np.float32) for name in names})


def restricted(pairs: CandidatePairs, kept: npt.NDArray[np.bool_]) -> CandidatePairs:
    """The `kept` (pairs,) ones."""
    scores = {name: score[kept] for name, score in pairs.scores.items()}
    return CandidatePairs(pairs.query[kept], pairs.match[kept], scores)


def strongest(query: Int, match: Int, score: Float32, most: int) -> tuple[Int, Int, Float32]:
    """The `most` best pairs of each query; equal scores go by the lower match."""
    order = np.lexsort((match, -score, query))
    query, match, score = query[order], match[order], score[order]
    kept = rank_in_query(query) < most
    return query[kept], match[kept], score[kept]


def merged(blocks: Sequence[tuple[Int, Int, Float32]]) -> tuple[Int, Int, Float32]:
    """Query, match and score of several blocks, one after the other."""
    query, match, score = zip(*blocks, strict=True)
    return np.concatenate(query), np.concatenate(match), np.concatenate(score)


def rank_in_query(query: Int) -> npt.NDArray[np.int64]:
    """Position of each pair among the pairs of its query; `query` is sorted."""
    starts = (
        np.flatnonzero(np.r_[True, query[1:] != query[:-1]]) if len(query) else np.empty(0, dtype=np.int64)
    )
    lengths = np.diff(np.r_[starts, len(query)])
    return np.arange(len(query)) - np.repeat(starts, lengths)


def concatenated(parts: Sequence[CandidatePairs]) -> CandidatePairs:
    """Pairs of the same branches from several folds, whose queries are different listings."""
    query = np.concatenate([part.query for part in parts])
    match = np.concatenate([part.match for part in parts])
    order = np.lexsort((match, query))
    scores = {name: np.concatenate([part.scores[name] for part in parts])[order] for name in parts[0].scores}
    return CandidatePairs(query[order], match[order], scores)


def joined(branches: Sequence[CandidatePairs]) -> CandidatePairs:
    """All pairs that any branch proposes, with the scores of each."""
    keys = [(branch.query.astype(np.int64) << 32) | branch.match for branch in branches]
    union = np.unique(np.concatenate(keys))
    scores: dict[str, Float32] = {}
    for branch, key in zip(branches, keys, strict=True):
        places = np.searchsorted(union, key)
        for experiment, score in branch.scores.items():
            scores[experiment] = np.full(len(union), np.nan, dtype=np.float32)
            scores[experiment][places] = score
    return CandidatePairs((union >> 32).astype(np.int32), (union & 0xFFFFFFFF).astype(np.int32), scores)


def write_pairs(path: Path, pairs: CandidatePairs) -> None:
    """Write pairs as parquet (query, match, one column per experiment), whole or not at all."""
    with atomic_write(path) as partial:
        pq.write_table(pa.table({"query": pairs.query, "match": pairs.match, **pairs.scores}), partial)


def read_pairs(path: Path) -> CandidatePairs:
    """Read pairs that `write_pairs` wrote; InputError when they are missing."""
    if not path.is_file():
        raise InputError(f"{display_path(path)} is missing: run the stage that writes it again")
    table = pq.read_table(path)
    names = [name for name in table.column_names if name not in ("query", "match")]
    return CandidatePairs(
        table["query"].to_numpy(), table["match"].to_numpy(), {name: table[name].to_numpy() for name in names}
    )
