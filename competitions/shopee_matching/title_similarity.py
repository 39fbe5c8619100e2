"""Pairs of listings with similar titles: cosine of TF-IDF vectors over words, or over runs of signs."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sparse_dot_topn import sp_matmul_topn

from competitions.shopee_matching.candidate_pairs import CandidatePairs, no_pairs, sorted_pairs
from competitions.shopee_matching.experiment import Titles
from competitions.shopee_matching.information import MOST_NAMES, informative_titles


def title_pairs(
    titles: Sequence[str],
    queries: npt.NDArray[np.int64],
    settings: Titles,
    experiment: str,
    further: Sequence[str] = (),
) -> CandidatePairs:
    """Candidates from `settings.smallest_similarity` on, at most 50 a listing.

    A title that more than 51 listings share names no product and gets no candidates.

    Parameters
    ----------
    titles : of the whole pool, decoded.
    queries : rows of the pool to look for.
    further : titles outside the pool, from which word frequencies are learned too.
    """
    vectors = title_vectors([*titles, *further], settings)
    if vectors is None or not len(queries):
        return no_pairs(experiment)
    pool = vectors[: len(titles)].multiply(informative_titles(titles)[:, None]).tocsr()
    # The product of sparse matrices that keeps the best of a row as it goes: the square is never there.
    smallest = np.nextafter(np.float32(settings.smallest_similarity), np.float32(0))
    best = sp_matmul_topn(
        pool[queries],
        pool.T.tocsr(),
        top_n=min(MOST_NAMES, len(titles)),
        threshold=float(smallest),
        sort=True,
        n_threads=os.cpu_count(),
    )
    query = np.repeat(queries, np.diff(best.indptr))
    other = query != best.indices
    score = np.minimum(best.data[other], np.float32(1))
    return sorted_pairs(query[other], best.indices[other], score, experiment)


def title_vectors(titles: list[str], settings: Titles) -> Any:
    """(titles, units) sparse rows of unit length; None when no title has a unit."""
    kinds: dict[str, dict[str, Any]] = {
        "words": {"token_pattern": settings.word_pattern, "binary": True},
        "signs": {"analyzer": "char_wb", "ngram_range": (3, 4), "sublinear_tf": True},
    }
    vectorizer = TfidfVectorizer(
        max_features=settings.most_units, strip_accents="unicode", dtype=np.float32, **kinds[settings.units]
    )
    try:
        return vectorizer.fit_transform(titles)
    except ValueError as fault:
        if "empty vocabulary" in str(fault):
            return None
        raise
