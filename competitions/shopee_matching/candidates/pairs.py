"""Candidate pairs: listings that a retriever proposes as the same product, with its scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.tables import write_table
from common.learn.arrays import Bools, Float32, Int32, Int64, Integers


@dataclass(frozen=True)
class CandidatePairs:
    """Directed pairs, sorted by query, then match; a listing is never its own match."""

    query: Int32
    """(pairs,) row of the listing whose matches are wanted."""
    match: Int32
    """(pairs,) row of the candidate."""
    scores: dict[str, Float32]
    """Experiment -> (pairs,) similarity up to 1; NaN where that experiment does not propose the pair.
    `<experiment>/<detail>` holds further measurements of the pair, features of the reranker."""

    def __len__(self) -> int:
        return len(self.query)


def sorted_pairs(query: Integers, match: Integers, score: Float32, experiment: str) -> CandidatePairs:
    """Pairs of one retriever, sorted by query and match."""
    order = np.lexsort((match, query))
    return CandidatePairs(
        query[order].astype(np.int32),
        match[order].astype(np.int32),
        {experiment: score[order].astype(np.float32)},
    )


def no_pairs(experiment: str, details: Sequence[str] = ()) -> CandidatePairs:
    """The empty table of a retriever that proposes nothing; `details` are its further measurements."""
    empty = np.empty(0, dtype=np.int32)
    names = [experiment, *(f"{experiment}/{name}" for name in details)]
    return CandidatePairs(empty, empty, {name: np.empty(0, dtype=np.float32) for name in names})


def subset(pairs: CandidatePairs, kept: Bools) -> CandidatePairs:
    """The pairs where `kept` (pairs,) is true."""
    scores = {name: score[kept] for name, score in pairs.scores.items()}
    return CandidatePairs(pairs.query[kept], pairs.match[kept], scores)


def restricted(pairs: CandidatePairs, rows: Int64, listings: int) -> CandidatePairs:
    """Pairs among the ascending `rows` of `listings`, renumbered from 0."""
    number = np.full(listings, -1, dtype=np.int32)
    number[rows] = np.arange(len(rows), dtype=np.int32)
    query, match = number[pairs.query], number[pairs.match]
    kept = (query >= 0) & (match >= 0)
    return CandidatePairs(
        query[kept], match[kept], {name: score[kept] for name, score in pairs.scores.items()}
    )


def top_k(query: Integers, match: Integers, score: Float32, k: int) -> tuple[Integers, Integers, Float32]:
    """The `k` best pairs of each query; of equal scores the lower match comes first."""
    order = np.lexsort((match, -score, query))
    query, match, score = query[order], match[order], score[order]
    kept = rank_in_query(query) < k
    return query[kept], match[kept], score[kept]


def rank_in_query(query: Integers) -> Int64:
    """Position of each pair among the pairs of its query; `query` is sorted."""
    starts = (
        np.flatnonzero(np.r_[True, query[1:] != query[:-1]]) if len(query) else np.empty(0, dtype=np.int64)
    )
    lengths = np.diff(np.r_[starts, len(query)])
    return np.arange(len(query)) - np.repeat(starts, lengths)


def concatenated(parts: Sequence[CandidatePairs]) -> CandidatePairs:
    """Pairs of the same retrievers from several folds, whose queries are different listings."""
    query = np.concatenate([part.query for part in parts])
    match = np.concatenate([part.match for part in parts])
    order = np.lexsort((match, query))
    scores = {name: np.concatenate([part.scores[name] for part in parts])[order] for name in parts[0].scores}
    return CandidatePairs(query[order], match[order], scores)


def joined(tables: Sequence[CandidatePairs]) -> CandidatePairs:
    """All pairs that any retriever proposes, with the scores of each (an outer join)."""
    # A pair as one 64-bit key: query above, match below.
    keys = [(table.query.astype(np.int64) << 32) | table.match for table in tables]
    union = np.unique(np.concatenate(keys))
    scores: dict[str, Float32] = {}
    for table, key in zip(tables, keys, strict=True):
        places = np.searchsorted(union, key)
        for experiment, score in table.scores.items():
            scores[experiment] = np.full(len(union), np.nan, dtype=np.float32)
            scores[experiment][places] = score
    return CandidatePairs((union >> 32).astype(np.int32), (union & 0xFFFFFFFF).astype(np.int32), scores)


def write_pairs(path: Path, pairs: CandidatePairs) -> None:
    """Write pairs as parquet (query, match, one column per experiment), whole or not at all."""
    write_table(path, pa.table({"query": pairs.query, "match": pairs.match, **pairs.scores}))


def read_pairs(path: Path) -> CandidatePairs:
    """Read pairs that `write_pairs` wrote; InputError when they are missing."""
    if not path.is_file():
        raise InputError(f"{display_path(path)} is missing: run the stage that writes it again")
    table = pq.read_table(path)
    names = [name for name in table.column_names if name not in ("query", "match")]
    return CandidatePairs(
        table["query"].to_numpy(), table["match"].to_numpy(), {name: table[name].to_numpy() for name in names}
    )
