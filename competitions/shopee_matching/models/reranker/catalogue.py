"""The reranker of one's own catalogues: trained on drawn catalogues instead of the whole labelled gallery.

The competition's reranker knows galleries of one size in which every listing has a twin. A shop has any
number of listings, many without a twin, variants that differ in one amount or number, and perhaps no
pictures. So catalogues are drawn from the labelled listings: pools from 50 listings on, products with a
single listing, titles changed to those of another product (`attributes/perturbed.py`), without pictures.
Similarity can only raise the probability and a contradiction only lower it (monotone constraints), which
holds for titles of a kind that was never seen.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Bools, Float32, Int64
from common.learn.boosting import load_booster, train_lightgbm
from competitions.shopee_matching.candidates.base import Embeddings, Gallery, Retriever
from competitions.shopee_matching.candidates.pairs import CandidatePairs, no_pairs, restricted
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.decision.catalogue_rule import Pool, drawn_rows, draws_of, pool_sizes
from competitions.shopee_matching.decision.fusion import Member, fused_candidates
from competitions.shopee_matching.experiment import RerankerSettings, ShopeeExperiment
from competitions.shopee_matching.models.attributes.perturbed import (
    other_product,
    random_code,
    rewritten,
    sibling_code,
    with_code,
)
from competitions.shopee_matching.models.attributes.titles import canonical_title, code_rarity
from competitions.shopee_matching.models.reranker.features import Column, PairFeatures
from competitions.shopee_matching.models.reranker.gbdt import probabilities, symmetrised

if TYPE_CHECKING:
    import lightgbm

CODED, FAMILIES = 0.35, 0.6
"""Share of the products whose titles get a model number, as in shops of other goods, and of those that become
two models of one family."""
CHANGED, REWRITTEN = 0.2, 0.2
"""Shares of the titles that become those of another product, and that are rewritten from a twin's title."""
RARE_SHARE, MOST_TITLES = 0.02, 3
"""A word of more than 2 % of the titles, or of more than three, names no product by itself."""
WITHOUT_PICTURES, WITHOUT_TITLES = 0.5, 0.1
ROUNDS_OF_SMALL, SMALL = 4, 1_000
"""Folds of fewer listings than this are drawn from several times, with other titles changed."""
MAX_TRAINING_PAIRS = 400_000
MAX_CORPUS = 3_000
"""Titles of other folds that count for the word frequencies of a drawn catalogue."""
LEFT_OUT = ("hash count", "characters in", "words: number in", "words: weight shared",
    "attributes that", "amounts", "variant", "model number", "numbered words")  # fmt: skip
"""Beginnings of features of the competition's reranker that depend on the gallery, or are there in detail."""
RISES = (
    "score",
    "neighbours shared",
    "lead on third",
    "words: share",
    "words: rarest shared",
    "numbers: shared",
    "attribute:",
)
FALLS = ("rank for", "gap to best", "hash distance", "words: rarest only", "numbers: only")


class CatalogueFeatures(PairFeatures):
    """Features of pairs that mean the same in catalogues of any size: each attribute by itself."""

    @cached_property
    def rarity(self) -> dict[str, float]:
        """Model number -> how rare it is among the titles."""
        return code_rarity([*self.listings.title, *self.corpus])

    def _spelled(self, titles: Sequence[str]) -> list[str]:
        return [canonical_title(title) for title in titles]

    def _columns(self, places: Int64 | slice) -> Iterator[Column]:
        for name, values in super()._columns(places):
            if not name.startswith(LEFT_OUT):
                yield name, values
        if self.attributes is not None:
            query, match = self.pairs.query[places], self.pairs.match[places]
            for name, agreement in self.attributes.table(query, match).items():
                yield f"attribute: {name}", agreement
            yield "attribute: rarest model", self.attributes.rarest_shared_code(query, match, self.rarity)


def directions(names: Sequence[str]) -> list[int]:
    """1 for features that can only raise the probability, -1 for those that can only lower it, else 0."""
    return [
        1 if any(part in name for part in RISES) else -1 if any(part in name for part in FALLS) else 0
        for name in names
    ]


@dataclass(frozen=True)
class Parent:
    """One retriever of the reranker, as trained for a fold, and what it found among the labelled listings."""

    retriever: Retriever
    folder: Path
    """Processed data of its modality."""
    listings: Listings
    """The labelled listings with the rows of its images."""
    found: CandidatePairs
    """Candidates of all labelled listings."""
    available: bool
    """Whether the training data had what it compares."""


@dataclass(frozen=True)
class Drawn:
    """A drawn catalogue with the candidates of all parents."""

    size: int
    """Its listings."""
    features: CatalogueFeatures
    same: Bools
    clash: Bools
    """(pairs,) titles that contradict each other."""
    group: Int64
    with_titles: bool
    with_pictures: bool


def drawn_catalogues(
    settings: ShopeeExperiment,
    listings: Listings,
    fold: int,
    parents: Sequence[Parent],
    with_titles: bool,
    seed: int,
) -> Iterator[Drawn]:
    """Catalogues of one fold's products, as its networks never saw them.

    Parameters
    ----------
    listings : all labelled listings; the titles of other folds count for word frequencies.
    parents : the retrievers as trained without this fold.
    """
    rows = np.flatnonzero(listings.fold == fold)
    named = names_a_product(listings.title)
    random = np.random.default_rng(seed)
    others = random.permutation(np.flatnonzero(listings.fold != fold))[:MAX_CORPUS]
    corpus = [listings.title[row] for row in others] if with_titles else []
    pictured = any(parent.available and parent.retriever.settings.reads != "titles" for parent in parents)
    for _ in range(ROUNDS_OF_SMALL if len(rows) < SMALL else 1):
        titles, groups = list(listings.title), listings.label_group.copy()
        if with_titles:
            _change_titles(titles, groups, rows, random)
        whole = replace(listings, title=titles, label_group=groups)
        embedded = [_embedded(parent, whole, rows) for parent in parents]
        for size in pool_sizes(len(rows)):
            for _ in range(draws_of(size)):
                kept = drawn_rows(groups, rows, size, random)
                pictures = pictured and (not with_titles or random.random() >= WITHOUT_PICTURES)
                if not pictures:
                    kept = kept[named[kept]]
                words = with_titles and not (pictures and random.random() < WITHOUT_TITLES)
                members = [
                    _member(parent, vectors, whole, rows, kept, corpus, pictures, words)
                    for parent, vectors in zip(parents, embedded, strict=True)
                ]
                own = _subset(whole, kept)
                if not words:
                    # A title that nobody sees makes no other product.
                    own = replace(own, title=[""] * len(kept), label_group=listings.label_group[kept])
                if not pictures:
                    own = replace(own, phash=random.integers(0, 2**64, len(kept), dtype=np.uint64))
                pairs = fused_candidates(settings, members, None)
                if not len(pairs):
                    continue
                features = CatalogueFeatures(
                    pairs, own, with_titles, corpus if len(corpus) > len(kept) else []
                )
                clash = (
                    features.attributes.contradict(pairs.query, pairs.match)
                    if features.attributes is not None
                    else np.zeros(len(pairs), dtype=bool)
                )
                same = own.label_group[pairs.query] == own.label_group[pairs.match]
                yield Drawn(len(kept), features, same, clash, own.label_group, words, pictures)


def names_a_product(titles: Sequence[str]) -> Bools:
    """(n,) titles with a word that few others have; the others tell no product without a picture."""
    words = [set(re.findall(r"\w+", title.lower())) for title in titles]
    counts = Counter(word for each in words for word in each)
    most = max(MOST_TITLES, RARE_SHARE * len(titles))
    return np.array([any(counts[word] <= most for word in each) for each in words], dtype=bool)


def _change_titles(titles: list[str], groups: Int64, rows: Int64, random: np.random.Generator) -> None:
    """Make some listings another product by one attribute of their title, and rewrite others, in place."""
    _, group = np.unique(groups[rows], return_inverse=True)
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group))
    starts = ends - np.bincount(group)
    new = -1
    for product in np.flatnonzero(random.random(len(ends)) < CODED).tolist():
        code = random_code(random)
        codes = [code]
        if random.random() < FAMILIES:
            codes.append(sibling_code(code, random))
        for place in order[starts[product] : ends[product]].tolist():
            row, number = int(rows[place]), int(random.integers(len(codes)))
            titles[row] = with_code(titles[row], codes[number], random)
            if number:
                groups[row] = new
        new -= 1
    originals = list(titles)
    _, group = np.unique(groups[rows], return_inverse=True)
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group))
    starts = ends - np.bincount(group)
    for place in random.permutation(len(rows))[: round((CHANGED + REWRITTEN) * len(rows))].tolist():
        mates = order[starts[group[place]] : ends[group[place]]]
        source = originals[rows[int(mates[int(random.integers(len(mates)))])]]
        row = int(rows[place])
        if random.random() < CHANGED / (CHANGED + REWRITTEN):
            changed = other_product(source, random)
            if changed is not None:
                titles[row], groups[row], new = changed, new, new - 1
        else:
            titles[row] = rewritten(source, random)


def _subset(listings: Listings, rows: Int64) -> Listings:
    values: dict[str, Any] = {
        name: [each[row] for row in rows] if isinstance(each, list) else each[rows]
        for name, each in vars(listings).items()
    }
    return Listings(**values)


def _embedded(parent: Parent, whole: Listings, rows: Int64) -> Embeddings | None:
    """Vectors of the fold's listings with their changed titles; None for parents that have none."""
    if not parent.available or not parent.retriever.fitted:
        return None
    listings = replace(_subset(parent.listings, rows), title=[whole.title[row] for row in rows])
    return parent.retriever.embed(Gallery(listings, parent.folder, "train"))


def _member(
    parent: Parent,
    embedded: Embeddings | None,
    whole: Listings,
    rows: Int64,
    kept: Int64,
    corpus: Sequence[str],
    pictures: bool,
    words: bool,
) -> Member:
    """One parent's candidates in a drawn catalogue."""
    reads = parent.retriever.settings.reads
    listings = replace(_subset(parent.listings, kept), title=[whole.title[row] for row in kept])
    gallery = Gallery(listings, parent.folder, "train", corpus)
    details = [name.partition("/")[2] for name in parent.found.scores if "/" in name]
    if not parent.available or not (words if reads == "titles" else pictures):
        return Member(None, gallery, no_pairs(parent.retriever.name, details))
    if reads != "titles" and embedded is None:  # a picture does not depend on the gallery: found already
        return Member(parent.retriever, gallery, restricted(parent.found, kept, len(whole)))
    if embedded is not None:
        places = np.searchsorted(rows, kept)
        gallery = replace(gallery, embeddings=Embeddings([model[places] for model in embedded.models]))
    return Member(parent.retriever, gallery, parent.retriever.candidates(gallery, np.arange(len(kept))))


def train_catalogue_booster(
    drawn: Sequence[Drawn], settings: RerankerSettings, products: int, seed: int
) -> "lightgbm.Booster | None":
    """Learn from drawn catalogues; None where there are no pairs of both kinds.

    Pairs of one label whose titles contradict each other are left out: official labels join some variants.
    """
    random = np.random.default_rng(seed)
    usable = [np.flatnonzero(~(each.same & each.clash)) for each in drawn]
    share = min(1.0, MAX_TRAINING_PAIRS / max(1, sum(map(len, usable))))
    tables, labels = [], []
    for each, places in zip(drawn, usable, strict=True):
        chosen = places[random.random(len(places)) < share] if share < 1 else places
        if len(chosen):
            tables.append(each.features.at(chosen))
            labels.append(each.same[chosen])
    same = np.concatenate(labels) if labels else np.empty(0, dtype=bool)
    if not len(same) or same.all() or not same.any():
        return None
    names = drawn[0].features.names()
    return train_lightgbm(
        np.concatenate(tables),
        same.astype(np.float32),
        objective="binary",
        num_boost_round=settings.num_boost_round,
        num_leaves=min(settings.num_leaves, 31, products + 4),
        learning_rate=settings.learning_rate,
        min_data_in_leaf=max(20, min(settings.min_data_in_leaf, len(same) // 200)),
        seed=seed,
        feature_names=names,
        feature_fraction=0.5,
        bagging_fraction=0.7,
        bagging_freq=1,
        lambda_l2=5.0,
        max_bin=127,
        monotone_constraints=directions(names),
    )


@dataclass(frozen=True)
class CatalogueReranker:
    """The boosters of all folds; their mean probability counts."""

    name: str
    boosters: list["lightgbm.Booster"]

    def rerank(self, features: CatalogueFeatures) -> CandidatePairs:
        """Probabilities of all pairs, the same in both directions."""
        pairs = features.pairs
        return CandidatePairs(
            pairs.query, pairs.match, {self.name: symmetrised(pairs, probabilities(self.boosters, features))}
        )


def pool_of(drawn: Drawn, name: str, booster: "lightgbm.Booster") -> Pool:
    """A drawn catalogue with the probabilities of a booster that did not see its products."""
    pairs = drawn.features.pairs
    probability: Float32 = symmetrised(pairs, probabilities([booster], drawn.features))
    return Pool(
        CandidatePairs(pairs.query, pairs.match, {name: probability}), drawn.same, ~drawn.clash, drawn.group
    )


def catalogue_file(experiment: Path, fold: int) -> Path:
    """Booster for catalogues that did not see the products of one fold."""
    return experiment / f"catalogue{fold}.txt"


def load_catalogue_reranker(settings: ShopeeExperiment, experiment: Path) -> CatalogueReranker:
    """The boosters below `<work>/<experiment>`; InputError where there are none."""
    files = [catalogue_file(experiment, fold) for fold in range(settings.folds)]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise InputError(
            f"{display_path(missing[0])} is missing: another version trained {settings.name}, or its "
            f"labelled listings were too few; run 2_train_folds.py --experiment {settings.name} --again"
        )
    return CatalogueReranker(settings.name, [load_booster(file) for file in files])
