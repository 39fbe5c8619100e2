"""Pairs of listings whose perceptual hashes differ in few bits."""

import numpy as np
import numpy.typing as npt

from competitions.shopee_matching.candidate_pairs import (
    CandidatePairs,
    Float32,
    Int,
    merged,
    sorted_pairs,
    strongest,
)
from competitions.shopee_matching.information import MOST_NAMES

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
    found: list[tuple[Int, Int, Float32]] = []
    block = max(1, BLOCK_CELLS // max(1, len(phash)))
    for start in range(0, len(queries), block):
        rows = queries[start : start + block]
        distance = np.bitwise_count(phash[rows][:, None] ^ phash[None, :])
        place, match = np.nonzero(distance <= largest_distance)
        query = rows[place]
        other = query != match
        score = ((BITS - distance[place, match].astype(np.float32)) / BITS)[other]
        found.append(strongest(query[other], match[other], score, MOST_NAMES - 1))
    return sorted_pairs(*merged(found), experiment)
