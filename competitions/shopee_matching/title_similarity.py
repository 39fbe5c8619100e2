"""Pairs of listings with similar titles: cosine of TF-IDF vectors over words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer

from competitions.shopee_matching.candidate_pairs import (
    CandidatePairs,
    Float32,
    Int,
    merged,
    no_pairs,
    sorted_pairs,
    strongest,
)
from competitions.shopee_matching.experiment import Titles
from competitions.shopee_matching.information import MOST_NAMES, informative_titles

BLOCK_ROWS = 512


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
    usable = informative_titles(titles)
    vectors = _vectors([*titles, *further], settings)
    if vectors is None:
        return no_pairs(experiment)
    pool = vectors[: len(titles)]
    columns = pool.T.tocsr()
    found: list[tuple[Int, Int, Float32]] = []
    for start in range(0, len(queries), BLOCK_ROWS):
        rows = queries[start : start + BLOCK_ROWS]
        similarity = (pool[rows] @ columns).tocoo()
        query, match, score = rows[similarity.row], similarity.col, similarity.data
        kept = (score >= settings.smallest_similarity) & (query != match) & usable[query] & usable[match]
        found.append(strongest(query[kept], match[kept], score[kept], MOST_NAMES - 1))
    query, match, score = merged(found)
    return sorted_pairs(query, match, np.minimum(score, 1), experiment)


def _vectors(titles: list[str], settings: Titles) -> Any:
    """(titles, words) sparse rows of unit length; None when no title has a word."""
    vectorizer = TfidfVectorizer(
        binary=True,
        max_features=settings.most_words,
        token_pattern=settings.word_pattern,
        strip_accents="unicode",
        dtype=np.float32,
    )
    try:
        return vectorizer.fit_transform(titles)
    except ValueError as fault:
        if "empty vocabulary" in str(fault):
            return None
        raise
