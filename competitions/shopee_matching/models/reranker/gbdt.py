"""Gradient-boosted trees that judge candidate pairs, and a second look that knows the first one's mind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from common.base.atomic import write_text
from common.base.errors import InputError
from common.base.paths import display_path
from competitions.shopee_matching.candidates.pairs import CandidatePairs
from competitions.shopee_matching.experiment import Booster
from competitions.shopee_matching.models.reranker.features import CandidateLists, PairFeatures

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
MOST_PAIRS = 1_500_000
"""So many pairs are learned from at most, drawn at random."""
SPARE_LEAVES, SHARE_OF_PRODUCT = 4, 25
"""A tree has at most so many leaves more than there are products; a leaf at least 1/25 of one's pairs."""
HOPELESS = 0.003
"""Pairs of a smaller chance get no second look."""


def train_booster(
    features: "PairFeatures | SecondLook",
    places: Int64,
    same: npt.NDArray[np.bool_],
    settings: Booster,
    seed: int,
    products: int,
) -> Any:
    """Learn whether pairs are of one product.

    The pairs of a product resemble each other: few products call for small trees, however many pairs.

    Parameters
    ----------
    places : pairs to learn from.
    same : (len(places),) whether they are of one product.
    products : how many products their queries are of.

    Raises
    ------
    InputError : all pairs are of one kind.
    """
    if not len(same) or same.all() or not same.any():
        raise InputError(
            f"the booster's {len(same)} pairs hold {int(same.sum())} of one product; expected both kinds: "
            f"give more labelled listings, or another experiment (union) with --experiment"
        )
    if len(places) > MOST_PAIRS:
        drawn = np.sort(np.random.default_rng(seed).choice(len(places), MOST_PAIRS, replace=False))
        places, same = places[drawn], same[drawn]
    least = min(settings.least_in_leaf, max(1, len(places) // 50))
    table = np.concatenate([block for _, block in features.blocks(places)])
    parameters = {
        "objective": "binary",
        "num_leaves": min(settings.leaves, products + SPARE_LEAVES),
        "learning_rate": settings.learning_rate,
        "min_data_in_leaf": max(least, len(places) // (SHARE_OF_PRODUCT * products)),
        "feature_fraction": 0.6,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 3.0,
        "max_bin": 127,
        "seed": seed % 2**31,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    names = [name.replace(":", "") for name in features.names()]
    data = lightgbm.Dataset(table, same.astype(np.float32), feature_name=names)
    return lightgbm.train(parameters, data, num_boost_round=settings.trees)


def save_booster(path: Path, booster: Any) -> None:
    """Write the trees as text, whole or not at all."""
    write_text(path, booster.model_to_string())


def load_booster(path: Path) -> Any:
    """Read trees that `save_booster` wrote; InputError when they are missing or damaged."""
    if not path.is_file():
        raise InputError(f"{display_path(path)} is missing: run 2_train_folds.py first")
    try:
        return lightgbm.Booster(model_str=path.read_text(encoding="utf-8"))
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError):
        raise InputError(
            f"{display_path(path)}: not a booster; delete it and run 2_train_folds.py again"
        ) from None


def chances(
    boosters: list[Any], features: "PairFeatures | SecondLook", places: Int64 | None = None
) -> Float32:
    """Mean chance by several boosters of each pair, or of those at `places`, to be of one product."""
    found = [
        np.mean([booster.predict(block) for booster in boosters], axis=0)
        for _, block in features.blocks(places)
    ]
    return np.concatenate(found).astype(np.float32) if found else np.empty(0, dtype=np.float32)


class SecondLook:
    """Features of pairs after a first look: the same ones, and what the first look says of their neighbours.

    Two listings that the same third ones match are likely one product, even where their own pair is unclear.

    Parameters
    ----------
    first : the features that the first look was given.
    chance : (pairs,) what it made of them.
    """

    def __init__(self, first: PairFeatures, chance: Float32) -> None:
        self.first, self.chance = first, chance
        pairs, rows = first.pairs, len(first.listings)
        self.pairs = pairs
        self.lists = CandidateLists(pairs.query, pairs.match, chance, rows)
        self.returned = returned_chance(pairs, chance)
        self.expected = np.bincount(pairs.query, weights=chance, minlength=rows).astype(np.float32)
        mutual = ((chance + self.returned) / 2).astype(np.float32)
        likely = mutual >= HOPELESS
        shape = (rows, rows)
        self.graph = csr_array((mutual[likely], (pairs.query[likely], pairs.match[likely])), shape=shape)
        with_itself = self.graph + csr_array(
            (np.ones(rows, dtype=np.float32), (np.arange(rows),) * 2), shape=shape
        )
        lengths = np.sqrt(np.asarray(with_itself.multiply(with_itself).sum(axis=1)).ravel())
        with_itself = csr_array(with_itself)
        with_itself.data /= np.repeat(lengths, np.diff(with_itself.indptr))
        self.with_itself = with_itself

    def worth_it(self) -> npt.NDArray[np.bool_]:
        """(pairs,) which pairs the second look is for."""
        return self.chance >= HOPELESS

    def names(self) -> list[str]:
        """Names of the features, in the columns' order."""
        return self.first.names() + [name for name, _ in self._columns(np.empty(0, dtype=np.int64))]

    def blocks(self, places: Int64 | None = None) -> Iterator[tuple[Int64, Float32]]:
        """As `PairFeatures.blocks`."""
        for block, features in self.first.blocks(places):
            own = np.stack([values for _, values in self._columns(block)], axis=1).astype(np.float32)
            yield block, np.concatenate([features, own], axis=1)

    def _columns(self, places: Int64) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
        query, match = self.pairs.query[places], self.pairs.match[places]
        chance, returned = self.chance[places], self.returned[places]
        yield "chance", chance
        yield "chance returned", returned
        for name, values in self.lists.features(places, query, match):
            if name != "score":
                yield f"chance: {name}", values
        one, other = self.graph[query], self.graph[match]
        both = one.multiply(other)
        yield "chance by a third", np.asarray(both.sum(axis=1)).ravel()
        yield "chance by the best third", np.asarray(both.max(axis=1).todense()).ravel()
        alike = self.with_itself[query].multiply(self.with_itself[match]).sum(axis=1)
        yield "likely neighbours alike", np.asarray(alike).ravel()
        yield "others of query", self.expected[query]
        yield "others of match", self.expected[match]


def returned_chance(pairs: CandidatePairs, chance: Float32) -> Float32:
    """(pairs,) chance of the pair seen from its match; 0 where the match does not propose the query."""
    key = (pairs.query.astype(np.int64) << 32) | pairs.match
    back = (pairs.match.astype(np.int64) << 32) | pairs.query
    place = np.searchsorted(key, back)
    found = np.zeros(len(pairs), dtype=np.float32)
    inside = place < len(key)
    there = np.flatnonzero(inside)[key[place[inside]] == back[inside]]
    found[there] = chance[place[there]]
    return found


def both_ways(pairs: CandidatePairs, chance: Float32) -> Float32:
    """(pairs,) chances on which both sides agree: the mean of both directions, where both propose it."""
    returned = returned_chance(pairs, chance)
    return np.where(returned > 0, (chance + returned) / 2, chance).astype(np.float32)
