"""Vectors that several rooms need: unit rows, and TF-IDF vectors of titles."""

from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from common.learn.arrays import Float32
from competitions.shopee_matching.experiment import TfidfSettings


def unit_rows(vectors: Float32) -> Float32:
    """(n, d) rows scaled to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def tfidf_vectors(titles: list[str], settings: TfidfSettings) -> Any:
    """(titles, features) CSR matrix of unit rows; None when no title has a term."""
    terms: dict[str, dict[str, Any]] = {
        "word": {"token_pattern": settings.token_pattern, "binary": True},
        "char_wb": {"analyzer": "char_wb", "ngram_range": (3, 4), "sublinear_tf": True},
    }
    vectorizer = TfidfVectorizer(
        max_features=settings.max_features,
        strip_accents="unicode",
        dtype=np.float32,
        **terms[settings.analyzer],
    )
    try:
        return vectorizer.fit_transform(titles)
    except ValueError as fault:
        if "empty vocabulary" in str(fault):
            return None
        raise
