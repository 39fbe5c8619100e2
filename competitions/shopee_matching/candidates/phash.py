"""Pairs of listings whose perceptual hashes differ in few bits."""

import faiss
import numpy as np
import numpy.typing as npt

from competitions.shopee_matching.candidates.pairs import (
    CandidatePairs,
    Float32,
    Int,
    merged,
    sorted_pairs,
    strongest,
)
from competitions.shopee_matching.data.availability import MOST_NAMES

BITS = 64
BLOCK_CELLS = 16_000_000


def hash_score(distance: int) -> float:
    """Similarity of hashes that differ in `distance` bits: the share of equal bits."""
    return (BITS - distance) / BITS


def hash_pairs(
    phash: npt.NDArray[np.uint64], queries: npt.NDArray[np.int64], largest_distance: int, experiment: str
) -> CandidatePairs:
    """Candidates within `largest_distance` bits (Hamming), at most 50 a listing.

    Parameters
    ----------
    phash : (n,) hashes of the whole pool.
    queries : rows of the pool to look for.
    """
    codes = np.ascontiguousarray(phash).view(np.uint8).reshape(-1, BITS // 8)
    index = faiss.IndexBinaryFlat(BITS)
    index.add(codes)
    found: list[tuple[Int, Int, Float32]] = []
    block = max(1, BLOCK_CELLS // max(1, len(phash)))
    for start in range(0, len(queries), block):
        rows = queries[start : start + block]
        ends, distance, match = index.range_search(codes[rows], largest_distance + 1)
        ends = np.asarray(ends, dtype=np.int64)
        query = np.repeat(rows, ends[1:] - ends[:-1])
        other = query != match
        score = ((BITS - distance.astype(np.float32)) / BITS)[other]
        found.append(strongest(query[other], match[other], score, MOST_NAMES - 1))
    return sorted_pairs(*merged(found), experiment)
