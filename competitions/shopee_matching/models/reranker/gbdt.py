"""LightGBM on candidate pairs, and the features of the second stage."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from common.base.errors import InputError
from common.learn.arrays import Bools, Float32, Int64
from common.learn.boosting import train_lightgbm
from competitions.shopee_matching.candidates.pairs import CandidatePairs
from competitions.shopee_matching.experiment import RerankerSettings
from competitions.shopee_matching.models.reranker.features import CandidateLists, Column, PairFeatures

if TYPE_CHECKING:
    import lightgbm

MAX_TRAINING_PAIRS = 1_500_000
"""More pairs are sampled down to this number."""
SPARE_LEAVES, LEAVES_PER_PRODUCT = 4, 25
"""A tree has at most (products + 4) leaves; a leaf holds at least 1/25 of the pairs of a product."""
MIN_STAGE1_PROBA = 0.003
"""Pairs below this first-stage probability are not rescored."""


def train_reranker(
    features: "PairFeatures | SecondStageFeatures",
    places: Int64,
    same: Bools,
    settings: RerankerSettings,
    seed: int,
    products: int,
) -> "lightgbm.Booster":
    """Learn whether the two listings of a pair are the same product.

    The pairs of one product resemble each other, so few products need small trees, however many pairs there
    are.

    Parameters
    ----------
    places : pairs to learn from.
    same : (len(places),) whether they are of one product.
    products : number of products of their queries.

    Raises
    ------
    InputError : only positive or only negative pairs.
    """
    if not len(same) or same.all() or not same.any():
        missing = "positive" if not same.any() else "negative"
        raise InputError(
            f"no {missing} pairs to train the reranker (of {len(same)}): "
            f"give more labelled listings, or another experiment (union) with --experiment"
        )
    if len(places) > MAX_TRAINING_PAIRS:
        drawn = np.sort(np.random.default_rng(seed).choice(len(places), MAX_TRAINING_PAIRS, replace=False))
        places, same = places[drawn], same[drawn]
    least = min(settings.min_data_in_leaf, max(1, len(places) // 50))
    return train_lightgbm(
        np.concatenate([block for _, block in features.blocks(places)]),
        same.astype(np.float32),
        objective="binary",
        num_boost_round=settings.num_boost_round,
        num_leaves=min(settings.num_leaves, products + SPARE_LEAVES),
        learning_rate=settings.learning_rate,
        min_data_in_leaf=max(least, len(places) // (LEAVES_PER_PRODUCT * products)),
        seed=seed,
        feature_names=features.names(),
        feature_fraction=0.6,
        bagging_fraction=0.7,
        bagging_freq=1,
        lambda_l2=3.0,
        max_bin=127,
    )


def probabilities(
    boosters: Sequence["lightgbm.Booster"],
    features: "PairFeatures | SecondStageFeatures",
    places: Int64 | None = None,
) -> Float32:
    """Mean probability by several boosters that a pair is one product, of all pairs or those at `places`.

    Raises
    ------
    InputError : the boosters were trained with other features.
    """
    for booster in boosters:
        if booster.num_feature() != len(names := features.names()):
            raise InputError(
                f"the reranker was trained with {booster.num_feature()} features, this version has "
                f"{len(names)}: another version trained it; run 2_train_folds.py with --again"
            )
    found = [
        np.mean([booster.predict(block) for booster in boosters], axis=0)
        for _, block in features.blocks(places)
    ]
    return np.concatenate(found).astype(np.float32) if found else np.empty(0, dtype=np.float32)


class SecondStageFeatures:
    """Features of the second stage: those of the first, and its probabilities of neighbouring pairs.

    Two listings that match the same third listings are likely one product, even where their own pair is
    unclear.

    Parameters
    ----------
    first : features of the first stage.
    probability : (pairs,) result of the first stage.
    """

    def __init__(self, first: PairFeatures, probability: Float32) -> None:
        self.first, self.probability = first, probability
        pairs, rows = first.pairs, len(first.listings)
        self.pairs = pairs
        self.lists = CandidateLists(pairs.query, pairs.match, probability, rows)
        self.reverse = reverse_probability(pairs, probability)
        self.expected = np.bincount(pairs.query, weights=probability, minlength=rows).astype(np.float32)
        mutual = ((probability + self.reverse) / 2).astype(np.float32)
        likely = mutual >= MIN_STAGE1_PROBA
        # (rows, rows) graph of likely pairs; products of its rows sum over common neighbours.
        shape = (rows, rows)
        self.graph = csr_array((mutual[likely], (pairs.query[likely], pairs.match[likely])), shape=shape)
        with_itself = self.graph + csr_array(
            (np.ones(rows, dtype=np.float32), (np.arange(rows),) * 2), shape=shape
        )
        lengths = np.sqrt(np.asarray(with_itself.multiply(with_itself).sum(axis=1)).ravel())
        with_itself = csr_array(with_itself)
        with_itself.data /= np.repeat(lengths, np.diff(with_itself.indptr))
        self.unit_graph = with_itself

    def survivors(self) -> Bools:
        """(pairs,) which pairs are rescored."""
        return self.probability >= MIN_STAGE1_PROBA

    def names(self) -> list[str]:
        """Names of the features, in the columns' order."""
        return self.first.names() + [name for name, _ in self._columns(np.empty(0, dtype=np.int64))]

    def blocks(self, places: Int64 | None = None) -> Iterator[tuple[Int64, Float32]]:
        """As `PairFeatures.blocks`."""
        for block, features in self.first.blocks(places):
            own = np.stack([values for _, values in self._columns(block)], axis=1).astype(np.float32)
            yield block, np.concatenate([features, own], axis=1)

    def _columns(self, places: Int64) -> Iterator[Column]:
        query, match = self.pairs.query[places], self.pairs.match[places]
        yield "probability", self.probability[places]
        yield "reverse probability", self.reverse[places]
        for name, values in self.lists.features(places, query, match):
            if name != "score":
                yield f"probability: {name}", values
        one, other = self.graph[query], self.graph[match]
        both = one.multiply(other)
        yield "probability by third listings", np.asarray(both.sum(axis=1)).ravel()
        yield "probability by the best third", np.asarray(both.max(axis=1).todense()).ravel()
        alike = self.unit_graph[query].multiply(self.unit_graph[match]).sum(axis=1)
        yield "cosine of likely neighbours", np.asarray(alike).ravel()
        yield "expected matches of query", self.expected[query]
        yield "expected matches of match", self.expected[match]


def reverse_probability(pairs: CandidatePairs, probability: Float32) -> Float32:
    """(pairs,) probability of the reversed pair; 0 where the match does not propose the query."""
    # Pairs as ascending 64-bit keys, so the reversed pair is found by binary search.
    key = (pairs.query.astype(np.int64) << 32) | pairs.match
    back = (pairs.match.astype(np.int64) << 32) | pairs.query
    place = np.searchsorted(key, back)
    found = np.zeros(len(pairs), dtype=np.float32)
    inside = place < len(key)
    there = np.flatnonzero(inside)[key[place[inside]] == back[inside]]
    found[there] = probability[place[there]]
    return found


def symmetrised(pairs: CandidatePairs, probability: Float32) -> Float32:
    """(pairs,) mean probability of both directions where both are candidates, otherwise unchanged."""
    reverse = reverse_probability(pairs, probability)
    return np.where(reverse > 0, (probability + reverse) / 2, probability).astype(np.float32)
