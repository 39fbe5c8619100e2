"""Pairs of listings with similar titles: cosine of TF-IDF vectors over words, or over runs of signs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer

from competitions.shopee_matching.candidates.pairs import CandidatePairs, no_pairs, sorted_pairs
from competitions.shopee_matching.candidates.sparse_knn import most_similar_rows
from competitions.shopee_matching.data.availability import MOST_NAMES, informative_titles
from competitions.shopee_matching.experiment import Titles


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
    smallest = np.nextafter(np.float32(settings.smallest_similarity), np.float32(0))
    query, match, score = most_similar_rows(pool, queries, min(MOST_NAMES, len(titles)), float(smallest))
    other = query != match
    return sorted_pairs(query[other], match[other], np.minimum(score[other], np.float32(1)), experiment)


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
