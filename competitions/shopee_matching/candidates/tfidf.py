"""Retriever `tfidf`: titles with a high cosine of TF-IDF vectors over words or character n-grams."""

from collections.abc import Sequence

import numpy as np

from common.learn.arrays import Int64
from competitions.shopee_matching.candidates.base import Gallery, Retriever
from competitions.shopee_matching.candidates.pairs import CandidatePairs, no_pairs, sorted_pairs
from competitions.shopee_matching.candidates.registry import RETRIEVERS
from competitions.shopee_matching.candidates.sparse_knn import most_similar_rows
from competitions.shopee_matching.data.availability import MAX_MATCHES, titles_available
from competitions.shopee_matching.data.vectors import tfidf_vectors
from competitions.shopee_matching.experiment import TfidfSettings


@RETRIEVERS.register("tfidf")
class TfidfRetriever(Retriever):
    """Word frequencies come from the gallery and from `Gallery.corpus`."""

    READS = ("titles",)

    def candidates(self, gallery: Gallery, queries: Int64) -> CandidatePairs:
        """Pairs from `tfidf.min_similarity` on, the 50 best of each query."""
        titles = gallery.listings.title
        return title_pairs(titles, queries, self.settings.tfidf, self.name, gallery.corpus)


def title_pairs(
    titles: Sequence[str],
    queries: Int64,
    settings: TfidfSettings,
    experiment: str,
    corpus: Sequence[str] = (),
) -> CandidatePairs:
    """Candidates from `settings.min_similarity` on, at most 50 per query.

    A title that more than 51 listings share identifies no product and gets no candidates.

    Parameters
    ----------
    titles : of the gallery, decoded.
    queries : rows of the gallery.
    corpus : titles outside the gallery that also count for word frequencies.
    """
    vectors = tfidf_vectors([*titles, *corpus], settings)
    if vectors is None or not len(queries):
        return no_pairs(experiment)
    known = vectors[: len(titles)].multiply(titles_available(titles)[:, None]).tocsr()
    # The similarity itself is included, so the bound is the next smaller number.
    smallest = np.nextafter(np.float32(settings.min_similarity), np.float32(0))
    query, match, score = most_similar_rows(known, queries, min(MAX_MATCHES, len(titles)), float(smallest))
    other = query != match
    return sorted_pairs(query[other], match[other], np.minimum(score[other], np.float32(1)), experiment)
