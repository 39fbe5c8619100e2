"""What of a catalogue identifies products: placeholder pictures, blank ones, exact repetitions."""

import hashlib

import numpy as np

from common.learn.arrays import UInt8
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.predict.evidence import (
    MAX_LISTED,
    MAX_OF_TITLE,
    PictureFacts,
    distinct_listings,
    frequent_titles,
    usable_pictures,
)
from competitions.shopee_matching.predict.index import picture_facts

TITLES = [
    "Nescafe Eclair Latte 220ml", "Dettol Antiseptic Liquid 750ml", "Logitech M170 Wireless Mouse",
    "Pampers Baby Dry L 62 pcs", "Casio F-91W digital watch", "Gulaku Gula Pasir Kuning 1 kg",
]  # fmt: skip
PRODUCT = [
    "Logitech M170 wireless mouse ori",
    "Mouse wireless Logitech M170 garansi",
    "LOGITECH M170 mouse promo",
]


def gallery(
    titles: list[str], images: list[str], rows: list[int], phash: list[int] | None = None
) -> Listings:
    count = len(titles)
    return Listings(
        posting_id=[f"p{number:03d}" for number in range(count)],
        image=images,
        title=titles,
        phash=np.array(phash or [0] * count, dtype=np.uint64),
        label_group=np.full(count, -1, dtype=np.int64),
        fold=np.full(count, -1, dtype=np.int16),
        image_row=np.array(rows, dtype=np.int32),
    )


def noise(seed: int) -> UInt8:
    return np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8)


def facts(*pictures: UInt8) -> PictureFacts:
    return picture_facts(np.stack(pictures))


def test_facts_of_pictures() -> None:
    white = np.full((64, 64, 3), 255, dtype=np.uint8)
    found = facts(noise(1), white, noise(1), noise(2))
    assert found.blank.tolist() == [False, True, False, False]
    assert found.content[0] == found.content[2] == hashlib.sha256(noise(1).tobytes()).hexdigest()
    assert found.phash[0] == found.phash[2] != found.phash[3]


def test_a_picture_on_unlike_titles_is_no_evidence() -> None:
    """One picture on six products; another on three offers of one product, which keeps it."""
    listings = gallery([*TITLES, *PRODUCT], ["x.jpg"] * 6 + ["mouse.jpg"] * 3, [0] * 6 + [1] * 3)
    usable, lines = usable_pictures(listings, facts(noise(1), noise(2)))
    assert usable.image_row.tolist() == [-1] * 6 + [1] * 3
    distance = np.bitwise_count(usable.phash[:6, None] ^ usable.phash[None])
    assert distance[~np.eye(6, 9, dtype=bool)].min() > 8, "their hashes are far from all others"
    assert len(set(usable.phash[6:].tolist())) == 1
    (line,) = lines
    assert "1 picture on listings with unlike titles ('x.jpg')" in line
    assert "6 listings matched by title" in line


def test_the_same_picture_in_several_files_is_one() -> None:
    listings = gallery(TITLES[:3], ["a.jpg", "b.jpg", "c.jpg"], [0, 1, 2])
    usable, _ = usable_pictures(listings, facts(noise(1), noise(1), noise(1)))
    assert usable.image_row.tolist() == [-1] * 3
    usable, _ = usable_pictures(gallery(PRODUCT, ["a", "b", "c"], [0, 1, 2]), facts(*[noise(1)] * 3))
    assert usable.image_row.tolist() == [0] * 3


def test_two_offers_of_one_picture_keep_it_unless_its_name_says_otherwise() -> None:
    for name, kept in (("a.jpg", True), ("img/No-Image.png", False), ("placeholder.webp", False)):
        listings = gallery(TITLES[:2], [name] * 2, [0, 0])
        usable, lines = usable_pictures(listings, facts(noise(1)))
        assert (usable.image_row[0] == 0) == kept
        assert bool(lines) != kept


def test_blank_pictures_and_missing_hashes_match_nothing() -> None:
    blank = np.zeros((64, 64, 3), dtype=np.uint8)
    usable, lines = usable_pictures(gallery(TITLES[:2], ["a.jpg", "b.jpg"], [0, 1]), facts(blank, blank))
    assert usable.image_row.tolist() == [-1, -1]
    assert np.bitwise_count(usable.phash[0] ^ usable.phash[1]) > 10
    assert "of one colour" in lines[0]
    count = 40
    none = gallery(["kopi"] * count, [""] * count, [-1] * count)
    usable, lines = usable_pictures(none, facts(blank))
    distance = np.bitwise_count(usable.phash[:, None] ^ usable.phash[None])
    assert distance[~np.eye(count, dtype=bool)].min() > 8
    assert lines == []


def test_hashes_of_the_users_own_are_kept_and_judged_alike() -> None:
    value = 0x94974F937D4C2433
    usable, lines = usable_pictures(
        gallery([*TITLES, *PRODUCT], [""] * 9, [-1] * 9, [value] * 6 + [value + 1] * 3), facts(noise(1))
    )
    assert value not in usable.phash.tolist()
    assert usable.phash[6:].tolist() == [value + 1] * 3
    assert "6 listings" in lines[0]


def test_repetitions_are_one_kind_and_match_each_other() -> None:
    listings = gallery(
        ["Kopi", "kopi ", "Teh", "", "", "ＫＯＰＩ", "Kopi"], [""] * 7, [-1, -1, -1, -1, -1, -1, 4]
    )
    distinct = distinct_listings(listings)
    assert distinct.repeated() == 2
    assert len(set(distinct.kind[[0, 1, 5]].tolist())) == 1
    assert len(set(distinct.kind[[0, 2, 3, 4, 6]].tolist())) == 5, "nothing to compare, or another picture"
    # kopi matches the one with a picture
    kind = distinct.kind.tolist()
    query, match = np.array(sorted([(kind[0], kind[6]), (kind[6], kind[0])]), dtype=np.int32).T
    one, other, score, cut = distinct.expanded(query, match, np.array([0.75, 0.75], dtype=np.float32))
    found = dict(zip(zip(one.tolist(), other.tolist(), strict=True), score.tolist(), strict=True))
    assert found == {
        **dict.fromkeys([(0, 1), (0, 5), (1, 0), (1, 5), (5, 0), (5, 1)], 1.0),
        **{pair: 0.75 for row in (0, 1, 5) for pair in [(row, 6), (6, row)]},
    }
    assert (np.diff(one) >= 0).all()
    assert not cut.any()
    groups = distinct.groups(np.arange(len(distinct.rows), dtype=np.int32))
    assert groups[0] == groups[1] == groups[5] != groups[2]


def test_hashes_tell_pictures_apart_that_are_not_stored() -> None:
    listings = gallery(["Kopi"] * 4, [""] * 4, [-1] * 4, [7, 7, 8, 9])
    assert distinct_listings(listings).repeated() == 3
    known = np.array([True, True, True, False])
    assert distinct_listings(listings, known).kind.tolist() == [0, 0, 1, 2]


def test_frequent_titles_get_all_pairs_up_to_a_bound() -> None:
    """60 photos of one title: more than the official 51, so the title retrievers leave it out."""
    titles = ["Masker 3 ply isi 50"] * 60 + ["Kopi"] * 51 + [""] * 80
    pairs, line = frequent_titles(gallery(titles, [""] * len(titles), list(range(len(titles)))))
    assert line is None
    assert np.bincount(pairs.query).tolist() == [59] * 60
    assert pairs.match.max() == 59
    assert (pairs.scores["title"] == 1).all()
    titles = ["Aksesoris"] * (MAX_OF_TITLE + 1)
    pairs, line = frequent_titles(gallery(titles, [""] * len(titles), list(range(len(titles)))))
    assert len(pairs) == 0
    assert line is not None
    assert "'Aksesoris'" in line


def test_kinds_do_not_depend_on_the_order_of_rows() -> None:
    listings = gallery(["b", "a", "b", "c"], [""] * 4, [-1] * 4)
    turned = gallery(["c", "b", "a", "b"], [""] * 4, [-1] * 4)
    turned.posting_id[:] = ["p003", "p002", "p001", "p000"]
    for each in (listings, turned):
        kinds = distinct_listings(each)
        assert [each.posting_id[row] for row in kinds.rows] == ["p000", "p001", "p003"]


def test_thousands_of_repetitions_stay_bounded() -> None:
    count = MAX_LISTED + 200
    distinct = distinct_listings(gallery(["Sabun mandi 110 g"] * count, [""] * count, [-1] * count))
    nothing = np.empty(0, dtype=np.int32)
    query, match, _, cut = distinct.expanded(nothing, nothing, np.empty(0, dtype=np.float32))
    assert np.bincount(query).tolist() == [MAX_LISTED] * count
    assert (query != match).all()
    assert cut.all()
    assert len(set(distinct.groups(np.zeros(1, dtype=np.int32)).tolist())) == 1
