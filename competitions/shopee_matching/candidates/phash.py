"""Retriever `phash`: images whose perceptual hashes differ in few bits."""

import faiss
import numpy as np

from common.learn.arrays import Float32, Int64, Integers, UInt64
from competitions.shopee_matching.candidates.base import Gallery, Retriever
from competitions.shopee_matching.candidates.pairs import CandidatePairs, sorted_pairs, top_k
from competitions.shopee_matching.candidates.registry import RETRIEVERS
from competitions.shopee_matching.data.availability import MAX_MATCHES

BITS = 64
BLOCK_CELLS = 16_000_000


@RETRIEVERS.register("phash")
class PhashRetriever(Retriever):
    """Hamming distance of the 64-bit pHash; the score is the share of equal bits."""

    READS = ("phash",)

    def candidates(self, gallery: Gallery, queries: Int64) -> CandidatePairs:
        """All pairs within `phash.max_distance` bits, the 50 nearest of each query."""
        return hash_pairs(gallery.listings.phash, queries, self.settings.phash.max_distance, self.name)


def hash_score(distance: int) -> float:
    """Share of equal bits of two hashes that differ in `distance` bits."""
    return (BITS - distance) / BITS


def hash_pairs(phash: UInt64, queries: Int64, max_distance: int, experiment: str) -> CandidatePairs:
    """Candidates within `max_distance` bits (Hamming), at most 50 per query.

    Parameters
    ----------
    phash : (n,) hashes of the gallery.
    queries : rows of the gallery.
    """
    codes = np.ascontiguousarray(phash).view(np.uint8).reshape(-1, BITS // 8)
    index = faiss.IndexBinaryFlat(BITS)
    index.add(codes)
    found: list[tuple[Integers, Integers, Float32]] = []
    block = max(1, BLOCK_CELLS // max(1, len(phash)))
    for start in range(0, len(queries), block):
        rows = queries[start : start + block]
        # Results of row i are distance[ends[i] : ends[i + 1]]; faiss leaves out the radius itself.
        ends, distance, match = index.range_search(codes[rows], max_distance + 1)
        ends = np.asarray(ends, dtype=np.int64)
        query = np.repeat(rows, ends[1:] - ends[:-1])
        other = query != match
        score = ((BITS - distance.astype(np.float32)) / BITS)[other]
        found.append(top_k(query[other], match[other], score, MAX_MATCHES - 1))
    query, match, score = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return sorted_pairs(query, match, score, experiment)
