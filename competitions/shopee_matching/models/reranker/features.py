"""What a booster is told of a pair of listings: scores by every branch, and how they stand in both lists."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer

from competitions.shopee_matching.candidates.pairs import CandidatePairs
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.models.reranker.units import pair_agreement

Float32 = npt.NDArray[np.float32]
BLOCK_PAIRS = 200_000
WORD = r"(?u)\b\w+\b"
NUMBERS = r"(?u)\b\w*\d\w*\b"


class PairFeatures:
    """Features of candidate pairs, made block by block, so that no table of all pairs and features is needed.

    Parameters
    ----------
    pairs : candidates by all branches; the lists of all listings of the pool stand here, so that a pair can
        be seen from both sides.
    listings : the pool.
    with_titles : whether the titles say something.
    with_hashes : whether the picture hashes do.
    further : titles outside the pool, from which word frequencies are learned too.
    """

    def __init__(
        self,
        pairs: CandidatePairs,
        listings: Listings,
        with_titles: bool,
        with_hashes: bool,
        further: Sequence[str] = (),
    ) -> None:
        self.pairs, self.listings = pairs, listings
        rows = len(listings)
        self.details = [name for name in pairs.scores if "/" in name]
        self.lists = {
            name: CandidateLists(pairs.query, pairs.match, score, rows)
            for name, score in pairs.scores.items()
            if name not in self.details
        }
        branches = {name: pairs.scores[name] for name in self.lists}
        self.neighbours = {"all": _neighbours(pairs, list(branches.values()), rows)}
        self.neighbours |= {name: _neighbours(pairs, [score], rows) for name, score in branches.items()}
        self.titles = _TitleOverlap(listings.title, further) if with_titles else None
        self.with_hashes = with_hashes
        _, same, counts = np.unique(listings.phash, return_inverse=True, return_counts=True)
        self.hash_sharers = counts[same]
        self.agreement = pair_agreement(listings.title, pairs.query, pairs.match) if with_titles else None

    def names(self) -> list[str]:
        """Names of the features, in the columns' order."""
        return [name for name, _ in self._columns(slice(0, 0))]

    def blocks(
        self, rows: npt.NDArray[np.int64] | None = None
    ) -> Iterator[tuple[npt.NDArray[np.int64], Float32]]:
        """Places of pairs and their (block, features), for all pairs or those at `rows`."""
        places = np.arange(len(self.pairs)) if rows is None else rows
        for start in range(0, len(places), BLOCK_PAIRS):
            block = places[start : start + BLOCK_PAIRS]
            yield block, self.at(block)

    def at(self, places: npt.NDArray[np.int64]) -> Float32:
        """(len(places), features) features of the pairs at `places`."""
        columns = [values for _, values in self._columns(places)]
        return np.stack(columns, axis=1).astype(np.float32)

    def _columns(
        self, places: npt.NDArray[np.int64] | slice
    ) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
        query, match = self.pairs.query[places], self.pairs.match[places]
        for name, lists in self.lists.items():
            for feature, values in lists.features(places, query, match):
                yield f"{name}: {feature}", values
        for name in self.details:
            yield name, self.pairs.scores[name][places]
        for name, neighbours in self.neighbours.items():
            shared = neighbours[query].multiply(neighbours[match]).sum(axis=1)
            yield f"{name}: neighbours shared", np.asarray(shared).ravel()
        if self.with_hashes:
            hashes = self.listings.phash
            yield "hash distance", np.bitwise_count(hashes[query] ^ hashes[match])
            yield "hash sharers of query", self.hash_sharers[query]
            yield "hash sharers of match", self.hash_sharers[match]
        if self.titles is not None and self.agreement is not None:
            yield "amounts agree", self.agreement[places]
            yield from self.titles.features(query, match)


class CandidateLists:
    """The candidate lists of one branch, seen from the query and from the match."""

    def __init__(
        self, query: npt.NDArray[np.int32], match: npt.NDArray[np.int32], score: Float32, rows: int
    ) -> None:
        self.score = score
        there = np.flatnonzero(np.isfinite(score))
        order = there[np.lexsort((match[there], -score[there], query[there]))]
        self.starts = np.searchsorted(query[order], np.arange(rows + 1))
        self.ordered = score[order]
        # Scores of all lists as one ascending sequence, so that a rank in any list is one binary search.
        self.keys = query[order].astype(np.float64) * 4 - self.ordered
        lengths = np.diff(self.starts)
        filled = lengths > 0
        self.best = np.full(rows, np.nan, dtype=np.float32)
        self.best[filled] = self.ordered[self.starts[:-1][filled]]
        self.third = np.full(rows, np.nan, dtype=np.float32)
        long = lengths > 2
        self.third[long] = self.ordered[self.starts[:-1][long] + 2]

    def rank(self, listing: npt.NDArray[np.int32], score: Float32) -> Float32:
        """How many candidates of `listing` score higher than `score`."""
        found = np.searchsorted(self.keys, listing.astype(np.float64) * 4 - score, side="left")
        return (found - self.starts[listing]).astype(np.float32)

    def features(
        self,
        places: npt.NDArray[np.int64] | slice,
        query: npt.NDArray[np.int32],
        match: npt.NDArray[np.int32],
    ) -> Iterator[tuple[str, Float32]]:
        """What the query's and the match's list tell of pairs; `places` are theirs in the table."""
        score = self.score[places]
        absent = np.isnan(score)
        known = np.where(absent, np.float32(0), score)
        yield "score", score
        yield "rank for query", np.where(absent, np.nan, self.rank(query, known))
        yield "rank for match", np.where(absent, np.nan, self.rank(match, known))
        yield "behind the query's best", self.best[query] - score
        yield "behind the match's best", self.best[match] - score
        yield "ahead of the query's third", score - self.third[query]
        yield "ahead of the match's third", score - self.third[match]


def _neighbours(pairs: CandidatePairs, scores: Sequence[Float32], rows: int) -> csr_array:
    """(rows, rows) sparse unit rows: each listing and its candidates, weighted by summed squared scores."""
    weight = np.zeros(len(pairs), dtype=np.float32)
    for score in scores:
        weight += np.nan_to_num(score) ** 2
    there = np.flatnonzero(weight)
    query = np.concatenate([pairs.query[there], np.arange(rows, dtype=np.int32)])
    match = np.concatenate([pairs.match[there], np.arange(rows, dtype=np.int32)])
    weights = np.concatenate([weight[there], np.full(rows, max(1, len(scores)), dtype=np.float32)])
    table = csr_array((weights, (query, match)), shape=(rows, rows))
    lengths = np.sqrt(np.asarray(table.multiply(table).sum(axis=1)).ravel())
    table.data /= np.repeat(lengths, np.diff(table.indptr))
    return table


class _TitleOverlap:
    """Words that two titles share, and words that only one of them has, weighted by rarity."""

    def __init__(self, titles: list[str], further: Sequence[str]) -> None:
        self.words, self.rarity = _weighted([*titles, *further], len(titles), WORD)
        self.numbers, _ = _weighted([*titles, *further], len(titles), NUMBERS)
        self.count = np.diff(self.words.indptr).astype(np.float32)
        self.length = np.array([len(title) for title in titles], dtype=np.float32)

    def features(
        self, query: npt.NDArray[np.int32], match: npt.NDArray[np.int32]
    ) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
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
        yield "words: rarest of query alone", _max(one - shared)
        yield "words: rarest of match alone", _max(other - shared)
        yield "words: number in query", self.count[query]
        yield "words: number in match", self.count[match]
        yield "signs in query", self.length[query]
        yield "signs in match", self.length[match]
        one, other = self.numbers[query], self.numbers[match]
        shared = one.minimum(other)
        total = _sum(shared)
        yield "numbers: shared", total
        yield "numbers: of query alone", _sum(one) - total
        yield "numbers: of match alone", _sum(other) - total


def _weighted(titles: list[str], pool: int, pattern: str) -> tuple[csr_array, Float32]:
    """(pool, words) rarity log(n / frequency) of each title's words, 1 at least; empty without any word."""
    counter = CountVectorizer(binary=True, token_pattern=pattern, strip_accents="unicode", dtype=np.float32)
    try:
        table = csr_array(counter.fit_transform(titles))
    except ValueError as fault:
        if "empty vocabulary" not in str(fault):
            raise
        return csr_array((pool, 1), dtype=np.float32), np.zeros(1, dtype=np.float32)
    frequency = np.bincount(table.indices, minlength=table.shape[1])
    rarity = (1 + np.log(len(titles) / frequency)).astype(np.float32)
    table = table[:pool]
    table.data = rarity[table.indices]
    return table, rarity


def _sum(table: csr_array) -> Float32:
    return np.asarray(table.sum(axis=1), dtype=np.float32).ravel()


def _max(table: csr_array) -> Float32:
    return np.asarray(table.max(axis=1).todense(), dtype=np.float32).ravel()
