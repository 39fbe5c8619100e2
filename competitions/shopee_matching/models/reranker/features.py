"""Features of candidate pairs: scores, ranks in both lists, shared neighbours, titles, hashes, attributes."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer

from common.learn.arrays import AnyArray, Float32, Int32, Int64
from competitions.shopee_matching.candidates.pairs import CandidatePairs
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.models.attributes.titles import DIMENSIONS, AttributeTable

Column = tuple[str, np.ndarray]
BLOCK_PAIRS = 200_000
WORD = r"(?u)\b\w+\b"
VARIANT_OF = ("colour", "variant", "letter size", "number size", "pack", "accessory")
NUMBERS = r"(?u)\b\w*\d\w*\b"


class PairFeatures:
    """Features of candidate pairs, computed block by block; the whole table is never in memory.

    Parameters
    ----------
    pairs : candidates of all listings of the gallery, so that a pair can be seen from both sides.
    listings : the gallery.
    with_titles : whether titles are available.
    corpus : titles outside the gallery that also count for word frequencies.
    attributes : of the gallery's titles, where they have been read before.
    """

    def __init__(
        self,
        pairs: CandidatePairs,
        listings: Listings,
        with_titles: bool,
        corpus: Sequence[str] = (),
        attributes: AttributeTable | None = None,
    ) -> None:
        self.pairs, self.listings, self.corpus = pairs, listings, corpus
        rows = len(listings)
        self.details = [name for name in pairs.scores if "/" in name]
        self.lists = {
            name: CandidateLists(pairs.query, pairs.match, score, rows)
            for name, score in pairs.scores.items()
            if name not in self.details
        }
        scores = {name: pairs.scores[name] for name in self.lists}
        self.neighbours = {"all": _neighbours(pairs, list(scores.values()), rows)}
        self.neighbours |= {name: _neighbours(pairs, [score], rows) for name, score in scores.items()}
        self.titles = _TitleOverlap(*map(self._spelled, (listings.title, corpus))) if with_titles else None
        _, same, counts = np.unique(listings.phash, return_inverse=True, return_counts=True)
        self.hash_count = counts[same]
        self.attributes = (attributes or AttributeTable(listings.title)) if with_titles else None

    def _spelled(self, titles: Sequence[str]) -> list[str]:
        """The titles whose words are compared."""
        return list(titles)

    def names(self) -> list[str]:
        """Names of the features, in the columns' order."""
        return [name for name, _ in self._columns(slice(0, 0))]

    def blocks(self, places: Int64 | None = None) -> Iterator[tuple[Int64, Float32]]:
        """Places in `pairs` and their (block, features), for all pairs or those at `places`."""
        places = np.arange(len(self.pairs)) if places is None else places
        for start in range(0, len(places), BLOCK_PAIRS):
            block = places[start : start + BLOCK_PAIRS]
            yield block, self.at(block)

    def at(self, places: Int64) -> Float32:
        """(len(places), features) features of the pairs at `places`."""
        columns = [values for _, values in self._columns(places)]
        return np.stack(columns, axis=1).astype(np.float32)

    def _columns(self, places: Int64 | slice) -> Iterator[Column]:
        query, match = self.pairs.query[places], self.pairs.match[places]
        for name, lists in self.lists.items():
            for feature, values in lists.features(places, query, match):
                yield f"{name}: {feature}", values
        for name in self.details:
            yield name, self.pairs.scores[name][places]
        for name, neighbours in self.neighbours.items():
            shared = neighbours[query].multiply(neighbours[match]).sum(axis=1)
            yield f"{name}: neighbours shared", np.asarray(shared).ravel()
        hashes = self.listings.phash
        yield "hash distance", np.bitwise_count(hashes[query] ^ hashes[match])
        yield "hash count of query", self.hash_count[query]
        yield "hash count of match", self.hash_count[match]
        if self.titles is not None and self.attributes is not None:
            yield from _compared(self.attributes.table(query, match))
            yield from self.titles.features(query, match)


def _compared(table: dict[str, AnyArray]) -> Iterator[Column]:
    """Agreement (1, 0 or -1) of amounts, variants, model numbers; how many attributes agree, contradict."""
    agreement = np.stack(list(table.values()))
    yield "amounts", _overall(np.stack([table[name] for name in DIMENSIONS]))
    yield "variant", _overall(np.stack([table[name] for name in VARIANT_OF]))
    yield "model number", table["model"]
    yield "numbered words", table["numbered"]
    yield "attributes that agree", (agreement > 0).sum(axis=0)
    yield "attributes that contradict", (agreement < 0).sum(axis=0)


def _overall(agreement: AnyArray) -> AnyArray:
    """-1 where any attribute contradicts, else 1 where any agrees."""
    return np.where((agreement < 0).any(axis=0), -1, agreement.max(axis=0))


class CandidateLists:
    """The candidate lists of one retriever, seen from the query and from the match."""

    def __init__(self, query: Int32, match: Int32, score: Float32, rows: int) -> None:
        self.score = score
        known = np.flatnonzero(np.isfinite(score))
        # The list of listing i is ordered[starts[i] : starts[i + 1]], best first.
        order = known[np.lexsort((match[known], -score[known], query[known]))]
        self.starts = np.searchsorted(query[order], np.arange(rows + 1))
        self.ordered = score[order]
        # Keys 4 * listing - score ascend over all lists (scores are within 2 of each other), so a rank in any
        # list is one binary search.
        self.keys = query[order].astype(np.float64) * 4 - self.ordered
        lengths = np.diff(self.starts)
        nonempty = lengths > 0
        self.best = np.full(rows, np.nan, dtype=np.float32)
        self.best[nonempty] = self.ordered[self.starts[:-1][nonempty]]
        self.third = np.full(rows, np.nan, dtype=np.float32)
        long = lengths > 2
        self.third[long] = self.ordered[self.starts[:-1][long] + 2]

    def rank(self, listing: Int32, score: Float32) -> Float32:
        """How many candidates of `listing` score higher than `score`."""
        found = np.searchsorted(self.keys, listing.astype(np.float64) * 4 - score, side="left")
        return (found - self.starts[listing]).astype(np.float32)

    def features(self, places: Int64 | slice, query: Int32, match: Int32) -> Iterator[Column]:
        """Score, ranks and gaps of the pairs at `places` in the query's and the match's list."""
        score = self.score[places]
        absent = np.isnan(score)
        known = np.where(absent, np.float32(0), score)
        yield "score", score
        yield "rank for query", np.where(absent, np.nan, self.rank(query, known))
        yield "rank for match", np.where(absent, np.nan, self.rank(match, known))
        yield "gap to best of query", self.best[query] - score
        yield "gap to best of match", self.best[match] - score
        yield "lead on third of query", score - self.third[query]
        yield "lead on third of match", score - self.third[match]


def _neighbours(pairs: CandidatePairs, scores: Sequence[Float32], rows: int) -> csr_array:
    """(rows, rows) sparse unit rows: each listing and its candidates, weighted by summed squared scores."""
    weight = np.zeros(len(pairs), dtype=np.float32)
    for score in scores:
        weight += np.nan_to_num(score) ** 2
    known = np.flatnonzero(weight)
    query = np.concatenate([pairs.query[known], np.arange(rows, dtype=np.int32)])
    match = np.concatenate([pairs.match[known], np.arange(rows, dtype=np.int32)])
    weights = np.concatenate([weight[known], np.full(rows, max(1, len(scores)), dtype=np.float32)])
    table = csr_array((weights, (query, match)), shape=(rows, rows))
    lengths = np.sqrt(np.asarray(table.multiply(table).sum(axis=1)).ravel())
    table.data /= np.repeat(lengths, np.diff(table.indptr))
    return table


class _TitleOverlap:
    """Words that two titles share, and words that only one of them has, weighted by IDF."""

    def __init__(self, titles: list[str], corpus: Sequence[str]) -> None:
        self.words = _idf_rows([*titles, *corpus], len(titles), WORD)
        self.numbers = _idf_rows([*titles, *corpus], len(titles), NUMBERS)
        self.count = np.diff(self.words.indptr).astype(np.float32)
        self.length = np.array([len(title) for title in titles], dtype=np.float32)

    def features(self, query: Int32, match: Int32) -> Iterator[Column]:
        one, other = self.words[query], self.words[match]
        shared = one.minimum(other)
        total = _sum(shared)
        of_one, of_other = _sum(one), _sum(other)
        with np.errstate(invalid="ignore", divide="ignore"):
            yield "words: share of query", total / of_one
            yield "words: share of match", total / of_other
            yield "words: share of both", total / (of_one + of_other - total)
        yield "words: weight shared", total
        yield "words: rarest shared", _max(shared)
        yield "words: rarest only in query", _max(one - shared)
        yield "words: rarest only in match", _max(other - shared)
        yield "words: number in query", self.count[query]
        yield "words: number in match", self.count[match]
        yield "characters in query", self.length[query]
        yield "characters in match", self.length[match]
        one, other = self.numbers[query], self.numbers[match]
        shared = one.minimum(other)
        total = _sum(shared)
        yield "numbers: shared", total
        yield "numbers: only in query", _sum(one) - total
        yield "numbers: only in match", _sum(other) - total


def _idf_rows(titles: list[str], gallery: int, pattern: str) -> csr_array:
    """(gallery, words) IDF 1 + log(n / document frequency) of each title's words; empty without any word."""
    counter = CountVectorizer(binary=True, token_pattern=pattern, strip_accents="unicode", dtype=np.float32)
    try:
        table = csr_array(counter.fit_transform(titles))
    except ValueError as fault:
        if "empty vocabulary" not in str(fault):
            raise
        return csr_array((gallery, 1), dtype=np.float32)
    frequency = np.bincount(table.indices, minlength=table.shape[1])
    idf = (1 + np.log(len(titles) / frequency)).astype(np.float32)
    table = table[:gallery]
    table.data = idf[table.indices]
    return table


def _sum(table: csr_array) -> Float32:
    return np.asarray(table.sum(axis=1), dtype=np.float32).ravel()


def _max(table: csr_array) -> Float32:
    return np.asarray(table.max(axis=1).todense(), dtype=np.float32).ravel()
