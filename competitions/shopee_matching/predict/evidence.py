"""What of a gallery identifies products: pictures that do not are left out, repetitions are matched once.

Both look at the whole gallery, so an index that grew in rounds is treated as one table is.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from common.base.console import counted
from common.learn.arrays import AnyArray, Bools, Float32, Int32, Int64, UInt64
from competitions.shopee_matching.candidates.pairs import CandidatePairs, sorted_pairs
from competitions.shopee_matching.data.availability import MAX_MATCHES
from competitions.shopee_matching.data.listings import Listings

PLACEHOLDER = re.compile(
    r"(no|without|tanpa|tidak[-_ ]?ada|belum[-_ ]?ada)[-_ ]?(image|img|photo|picture|pic|foto|gambar)"
    r"|place[-_ ]?holder|(image|photo|picture)[-_ ]?not[-_ ]?(found|available)|coming[-_ ]?soon"
    r"|default[-_ ]?(image|product|photo|picture)",
    re.IGNORECASE,
)
"""File names that shops give to the picture of products without one."""
MIN_TITLES = 3
MIN_ALIKE, ALIKE = 0.35, 0.05
"""A picture on three or more titles identifies a product when at least this share of the pairs of titles has
a cosine (TF-IDF of character 3- and 4-grams) above 0.05. On 17,112 labelled listings this holds for all but
two of the 545 pictures with three titles or more."""
MAX_TITLES = 80
"""Of one picture that are compared; more are thinned out evenly."""
MAX_OF_TITLE = 300
MAX_LISTED = 500
"""Matches of one listing that are listed; exact repetitions alone can be thousands."""


@dataclass(frozen=True)
class PictureFacts:
    """What is known of the stored pictures of a gallery, one entry each."""

    content: list[str]
    """SHA-256 of the pixels."""
    phash: UInt64
    blank: Bools
    """Whether the picture has one colour."""


def usable_pictures(gallery: Listings, pictures: PictureFacts) -> tuple[Listings, list[str]]:
    """The gallery without pictures that identify no product, equal pictures in one row; and lines on what is
    left out.

    A picture of one colour, one that is named as a placeholder, and one on unlike titles are no evidence for
    the same product. Their listings are matched by title, as those without a picture.
    """
    first: dict[str, int] = {}
    canonical = np.array(
        [first.setdefault(content, row) for row, content in enumerate(pictures.content)], dtype=np.int32
    )
    image_row = gallery.image_row.copy()
    image_row[image_row >= 0] = canonical[image_row[image_row >= 0]]
    phash = gallery.phash.copy()
    known = image_row >= 0
    # A hash of the user's own is kept; without one it is the picture's.
    phash[known & (phash == 0)] = pictures.phash[image_row[known & (phash == 0)]]
    blank = np.zeros(len(gallery), dtype=bool)
    blank[known] = pictures.blank[image_row[known]]
    placeholder, unlike = _shared_by_unlike(gallery, phash, blank)
    lines = []
    for left_out, words in (
        (blank, "of one colour"),
        (placeholder, "named as a placeholder"),
        (unlike, "on listings with unlike titles"),
    ):
        if left_out.any():
            rows = np.flatnonzero(left_out)
            names = list(dict.fromkeys(gallery.image[row] for row in rows if gallery.image[row]))
            example = f" ({', '.join(repr(name[:40]) for name in names[:3])})" if names else ""
            pictures_left_out = counted(len(np.unique(phash[rows])), "picture")
            lines.append(
                f"{pictures_left_out} {words}{example} identify no product: "
                f"{counted(len(rows), 'listing')} matched by title"
            )
    silent = blank | placeholder | unlike
    image_row[silent] = -1
    nothing = np.flatnonzero(silent | (phash == 0))
    phash[nothing] = [_random_hash(gallery.posting_id[row]) for row in nothing]
    return replace(gallery, image_row=image_row, phash=phash), lines


def _shared_by_unlike(gallery: Listings, phash: UInt64, blank: Bools) -> tuple[Bools, Bools]:
    """(n,) which listings have a placeholder by its name, or a picture that unlike titles share."""
    placeholder, unlike = np.zeros((2, len(gallery)), dtype=bool)
    hashes, group, counts = np.unique(phash, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    starts = np.cumsum(counts) - counts
    vectors = None
    number = {title: place for place, title in enumerate(dict.fromkeys(map(plain_title, gallery.title)))}
    for value, start, count in zip(hashes.tolist(), starts.tolist(), counts.tolist(), strict=True):
        rows = order[start : start + count]
        if count < 2 or value == 0 or blank[rows[0]]:
            continue
        if any(PLACEHOLDER.search(gallery.image[row]) for row in rows):
            placeholder[rows] = True
            continue
        titles = sorted({number[plain_title(gallery.title[row])] for row in rows if gallery.title[row]})
        if len(titles) < MIN_TITLES:
            continue
        if vectors is None:
            vectors = _title_vectors(list(number))
            if vectors is None:
                break
        places = np.linspace(0, len(titles) - 1, min(len(titles), MAX_TITLES)).round().astype(int)
        some = vectors[np.array(titles)[places]]
        cosine = (some @ some.T).toarray()
        if (cosine[np.triu_indices(len(places), 1)] > ALIKE).mean() < MIN_ALIKE:
            unlike[rows] = True
    return placeholder, unlike


def _title_vectors(titles: list[str]) -> AnyArray | None:
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True, dtype=np.float32)
    try:
        vectors: AnyArray = vectorizer.fit_transform(titles)
    except ValueError as fault:
        if "empty vocabulary" in str(fault):
            return None
        raise
    return vectors


def _random_hash(name: str) -> int:
    """A hash as far from all others as random hashes are, the same for the same id."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def plain_title(title: str) -> str:
    """A title without regard to case, spaces and the width of its letters."""
    return " ".join(unicodedata.normalize("NFKC", title).casefold().split())


@dataclass(frozen=True)
class Distinct:
    """A gallery in which listings of equal title and equal picture count once."""

    rows: Int64
    """(distinct,) one listing of each kind."""
    kind: Int64
    """(n,) place in `rows` of each listing's kind."""

    def repeated(self) -> int:
        """Listings that repeat an earlier one."""
        return len(self.kind) - len(self.rows)

    def taken(self, listings: Listings) -> Listings:
        """The distinct listings alone."""
        return taken(listings, self.rows)

    def groups(self, of_kinds: Int32) -> Int32:
        """(n,) groups of all listings from the (distinct,) groups of the kinds."""
        return np.asarray(of_kinds[self.kind], dtype=np.int32)

    def expanded(self, query: Int32, match: Int32, score: Float32) -> tuple[Int32, Int32, Float32, Bools]:
        """Matches of kinds -> matches of all listings, best first; repetitions match each other with score 1.

        Returns
        -------
        query, match, score : (matches,) sorted by query, best first, at most 500 per query.
        cut : (n,) which listings have more.
        """
        order = np.argsort(self.kind, kind="stable")
        sizes = np.bincount(self.kind, minlength=len(self.rows))
        starts = np.cumsum(sizes) - sizes
        first = np.searchsorted(query, np.arange(len(self.rows) + 1))
        found: list[tuple[Int64, Int64, Float32]] = []
        cut = np.zeros(len(self.kind), dtype=bool)
        for kind in range(len(self.rows)):
            members = order[starts[kind] : starts[kind] + sizes[kind]]
            matched = match[first[kind] : first[kind + 1]]
            others = [order[starts[other] : starts[other] + sizes[other]] for other in matched]
            scores = np.repeat(score[first[kind] : first[kind + 1]], sizes[matched])
            listed = np.concatenate([members, *others])
            scores = np.concatenate([np.ones(len(members), dtype=np.float32), scores])
            if len(listed) == 1:
                continue
            for member in members:
                kept = np.flatnonzero(listed != member)
                cut[member] = len(kept) > MAX_LISTED
                kept = kept[:MAX_LISTED]
                found.append((np.full(len(kept), member), listed[kept], scores[kept]))
        found.sort(key=lambda part: int(part[0][0]))
        if not found:
            return query[:0], match[:0], score[:0], cut
        one, other, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return one.astype(np.int32), other.astype(np.int32), scores.astype(np.float32), cut


def distinct_listings(listings: Listings, known_hash: Bools | None = None) -> Distinct:
    """Listings of equal title and equal picture (or both without one) as one; without both each by itself.

    Kinds are in the order of ids, so that ties later on do not depend on the order of rows.

    Parameters
    ----------
    known_hash : (n,) whether `phash` is of a picture; it identifies one that is not stored.
    """
    known = np.zeros(len(listings), dtype=bool) if known_hash is None else known_hash
    kinds: dict[tuple[str, int, int], int] = {}
    rows: list[int] = []
    kind = np.empty(len(listings), dtype=np.int64)
    for row in sorted(range(len(listings)), key=listings.posting_id.__getitem__):
        image = int(listings.image_row[row])
        picture = int(listings.phash[row]) if image < 0 and known[row] else 0
        key = (plain_title(listings.title[row]), image, picture)
        place = len(rows) if key == ("", -1, 0) else kinds.setdefault(key, len(rows))
        if place == len(rows):
            rows.append(row)
        kind[row] = place
    return Distinct(np.array(rows, dtype=np.int64), kind)


def frequent_titles(listings: Listings) -> tuple[CandidatePairs, str | None]:
    """Candidates among distinct listings of one title that is too frequent for the title retrievers.

    In the official data a title on more than 51 listings identifies no product. In a catalogue it may: many
    sellers of one product with photos of their own. All pairs become candidates, with score 1, up to 300
    listings of one title; a more frequent one is left to the pictures.

    Returns
    -------
    The pairs, with one score called `title`, and a line on titles that are left out.
    """
    counts = Counter(listings.title)
    frequent = {title for title, count in counts.items() if count > MAX_MATCHES and title}
    rows: dict[str, list[int]] = {title: [] for title in frequent}
    for row, title in enumerate(listings.title):
        if title in frequent:
            rows[title].append(row)
    left_out = [title for title in rows if len(rows[title]) > MAX_OF_TITLE]
    query, match = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for members in rows.values():
        if len(members) <= MAX_OF_TITLE:
            one, other = np.nonzero(~np.eye(len(members), dtype=bool))
            query.append(np.array(members)[one])
            match.append(np.array(members)[other])
    number = sum(len(part) for part in query)
    pairs = sorted_pairs(
        np.concatenate(query), np.concatenate(match), np.ones(number, dtype=np.float32), "title"
    )
    if not left_out:
        return pairs, None
    with_them = sum(len(rows[title]) for title in left_out)
    return pairs, (
        f"{counted(len(left_out), 'title')} on more than {MAX_OF_TITLE} pictures ({left_out[0][:40]!r}) "
        f"identify no product: {counted(with_them, 'listing')} matched by picture"
    )


def taken(listings: Listings, rows: Int64) -> Listings:
    """The listings at `rows`."""
    columns: dict[str, Any] = {
        name: [values[row] for row in rows] if isinstance(values, list) else values[rows]
        for name, values in vars(listings).items()
    }
    return Listings(**columns)
