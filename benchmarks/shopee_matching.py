"""Matching 70,000 listings: nearest neighbours, titles, hashes, pictures, and all of it end to end.

    python -m benchmarks.shopee_matching [neighbours titles hashes pictures end_to_end]

Listings, embeddings and pictures are synthetic, so the work is the same everywhere.
"""

import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.side_by_side import Comparison, benchmark_command, compare, compare_processes
from common.base.console import log
from common.learn.arrays import Float32, Int64, UInt64

SLUG = "shopee_matching"
LISTINGS, PICTURE_LENGTH, TEXT_LENGTH, NEIGHBOURS = 70_000, 1_792, 384, 51
LOOPED = 60
"""Hashes that the plain loop compares with all others."""
PHOTOS, PHOTO_SIDE, SIDE = 400, 640, 256


def synthetic_embeddings(rows: int, length: int, seed: int = 0) -> Float32:
    """Unit rows; three listings of a product are near each other."""
    random = np.random.default_rng(seed)
    rows_of_products = random.standard_normal((rows // 3 + 1, length), dtype=np.float32)
    vectors = rows_of_products[np.arange(rows) // 3]
    vectors += 0.7 * random.standard_normal((rows, length), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def synthetic_titles(rows: int, seed: int = 0) -> list[str]:
    """Synthetic titles, three per product."""
    from competitions.shopee_matching.data.listings import decode_title
    from competitions.shopee_matching.sample.listing_titles import write_title
    from competitions.shopee_matching.sample.synthetic_products import draw_product

    random = np.random.default_rng(seed)
    products = [draw_product(random) for _ in range(rows // 3 + 1)]
    return [decode_title(write_title(products[row // 3], random)) for row in range(rows)]


def synthetic_hashes(rows: int, seed: int = 0) -> UInt64:
    """Hashes that differ in few bits within a product."""
    random = np.random.default_rng(seed)
    product = random.integers(0, 2**64, rows // 3 + 1, dtype=np.uint64)
    flips = np.zeros(rows, dtype=np.uint64)
    for _ in range(4):
        flips |= np.uint64(1) << random.integers(0, 64, rows).astype(np.uint64)
    return product[np.arange(rows) // 3] ^ flips


# ---- neighbours


def our_neighbours(file: str) -> Int64:
    """The search that the stages use."""
    from competitions.shopee_matching.candidates.knn import nearest

    vectors = np.load(file, mmap_mode="r")
    return nearest(vectors, np.arange(len(vectors)))[0]


def faiss_neighbours(file: str) -> Int64:
    """IndexFlatIP with everything added."""
    import faiss

    vectors = np.load(file, mmap_mode="r")
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    found: Int64 = index.search(vectors, NEIGHBOURS)[1]
    return found


def sklearn_neighbours(file: str) -> Int64:
    """Brute force with the cosine."""
    from sklearn.neighbors import NearestNeighbors

    vectors = np.load(file)
    search = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute", metric="cosine").fit(vectors)
    found: Int64 = search.kneighbors(vectors, return_distance=False)
    return found


def measure_neighbours(folder: Path) -> list[Comparison]:
    """Against faiss-cpu and scikit-learn."""
    file, few = str(folder / "embeddings.npy"), str(folder / "few.npy")
    vectors = synthetic_embeddings(LISTINGS, PICTURE_LENGTH)
    np.save(file, vectors)
    np.save(few, vectors[:7_000])
    data = f"{vectors.nbytes / 2**20:,.0f} MB of data counted"
    del vectors
    ours, theirs = our_neighbours(few), faiss_neighbours(few)
    same = np.mean([len(set(a) - set(b)) <= 1 for a, b in zip(ours, theirs, strict=True)])
    if same < 0.99:
        raise RuntimeError(f"only {same:.3f} of the lists agree")
    task = f"neighbours of {LISTINGS:,} x {PICTURE_LENGTH:,}, k = {NEIGHBOURS}"
    mine = ("knn.nearest", partial(our_neighbours, file))
    return [
        compare_processes(
            SLUG, task, ours=mine, peer=("faiss-cpu IndexFlatIP", partial(faiss_neighbours, file)),
            target="at most 1.05x its time, 1.5 GB above the data", runs=2, note=data,
        ),
        compare_processes(
            SLUG, task, ours=mine, peer=("scikit-learn brute force", partial(sklearn_neighbours, file)),
            target="at least 3x faster", runs=1, note=data,
        ),
    ]  # fmt: skip


# ---- titles


def measure_titles(folder: Path) -> list[Comparison]:  # noqa: ARG001
    """Against scikit-learn's cosine in chunks."""
    from sklearn.metrics.pairwise import cosine_similarity

    from competitions.shopee_matching.candidates.tfidf import title_pairs
    from competitions.shopee_matching.data.vectors import tfidf_vectors
    from competitions.shopee_matching.experiment import TfidfSettings

    titles, settings = synthetic_titles(LISTINGS), TfidfSettings()
    start = time.perf_counter()
    tfidf_vectors(titles, settings)
    fitting = time.perf_counter() - start

    def ours() -> int:
        return len(title_pairs(titles, np.arange(len(titles)), settings, "t"))

    def plain(rows: int = LISTINGS) -> int:
        vectors, found = tfidf_vectors(titles, settings), 0
        for start in range(0, rows, 1024):
            block = vectors[start : start + 1024]
            similarity = cosine_similarity(block, vectors)
            best = np.argpartition(-similarity, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
            scores = np.take_along_axis(similarity, best, axis=1)
            found += int((scores >= settings.min_similarity).sum()) - len(similarity)
        return found

    part = min(7168, LISTINGS)
    share = part / LISTINGS
    result = compare(
        SLUG, f"similar titles among {LISTINGS:,}", ours=("tfidf.title_pairs", ours),
        peer=("scikit-learn TfidfVectorizer + cosine_similarity in chunks of 1,024", partial(plain, part)),
        target="at least 5x faster", runs=3,
    )  # fmt: skip
    note = f"the peer's chunks for {part:,} listings, their time divided by {share:.3f}"
    return [_extrapolated(result, share, note, fitting)]


def _extrapolated(result: Comparison, share: float, note: str, once: float = 0.0) -> Comparison:
    """The comparison with the peer's times scaled up from a share of the work, `once` s of them unscaled."""
    scaled = {
        name: (getattr(result, name) - once) / share + once
        for name in ("peer_seconds", "peer_fastest", "peer_slowest")
    }
    new = result.model_copy(update=scaled | {"note": f"extrapolated: {note}"})
    log(f"  extrapolated to the whole work: {new.peer_seconds:.4g} s, {new.speed_up:.3g}x")
    return new


# ---- hashes


def measure_hashes(folder: Path) -> list[Comparison]:  # noqa: ARG001
    """Against a loop over imagehash objects."""
    import imagehash

    from competitions.shopee_matching.candidates.phash import hash_pairs

    numbers = synthetic_hashes(LISTINGS)
    objects = [imagehash.hex_to_hash(f"{int(number):016x}") for number in numbers]

    def loop() -> list[tuple[int, int]]:
        return [
            (one, other)
            for one in range(LOOPED)
            for other in range(LISTINGS)
            if one != other and objects[one] - objects[other] <= 8
        ]

    found = hash_pairs(numbers, np.arange(LOOPED), 8, "h")
    if list(zip(found.query.tolist(), found.match.tolist(), strict=True)) != loop():
        raise RuntimeError("the two do not find the same pairs")
    result = compare(
        SLUG, f"hashes within 8 bits among {LISTINGS:,}",
        ours=("phash.hash_pairs", lambda: hash_pairs(numbers, np.arange(LISTINGS), 8, "h")),
        peer=("loop over imagehash objects", loop), target="at least 100x faster", runs=3,
    )  # fmt: skip
    share = LOOPED / LISTINGS
    return [_extrapolated(result, share, f"the loop over {LOOPED} of {LISTINGS:,} listings")]


# ---- pictures


def measure_pictures(folder: Path) -> list[Comparison]:
    """Against a plain loop of Pillow and torchvision."""
    import torch
    from PIL import Image
    from torchvision.transforms import v2

    from competitions.shopee_matching.data.pictures import store_pictures

    random = np.random.default_rng(0)
    names = [f"{row}.jpg" for row in range(PHOTOS)]
    for name in names:
        coarse = Image.fromarray(random.integers(0, 255, (20, 20, 3), dtype=np.uint8))
        coarse.resize((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.BICUBIC).save(folder / name, quality=85)
    paths = {name: folder / name for name in names}
    resize = v2.Resize((SIDE, SIDE), antialias=True)

    def plain() -> torch.Tensor:
        pictures = []
        for name in names:
            with Image.open(paths[name]) as picture:
                array = np.asarray(picture.convert("RGB"))
            pictures.append(resize(torch.from_numpy(array.copy()).permute(2, 0, 1)))
        return torch.stack(pictures)

    def ours() -> object:
        return store_pictures(paths, names, SIDE, folder / "pictures.npy")

    ours()
    difference = np.abs(
        np.load(folder / "pictures.npy").astype(int) - plain().permute(0, 2, 3, 1).numpy()
    ).mean()
    if difference > 2:
        raise RuntimeError(f"the pictures differ by {difference:.2f} grey levels")
    note = f"mean difference {difference:.2f} of 255 grey levels; ours also writes the array"
    return [
        compare(
            SLUG, f"{PHOTOS} JPEG of {PHOTO_SIDE} x {PHOTO_SIDE} to {SIDE} x {SIDE}",
            ours=("pictures.store_pictures", ours),
            peer=("loop of Pillow and torchvision Resize", plain), target="faster", runs=5, note=note,
        )
    ]  # fmt: skip


# ---- all of it


def match_everything(number: int = LISTINGS) -> dict[str, float]:
    """Titles, hashes, 1,792-d pictures and 384-d text of so many listings to match lists."""
    from competitions.shopee_matching.candidates.knn import embedding_pairs
    from competitions.shopee_matching.candidates.pairs import CandidatePairs, joined
    from competitions.shopee_matching.candidates.phash import hash_pairs
    from competitions.shopee_matching.candidates.tfidf import title_pairs
    from competitions.shopee_matching.data.listings import Listings
    from competitions.shopee_matching.decision.match_rule import MatchRule, select_matches
    from competitions.shopee_matching.experiment import RerankerSettings, TfidfSettings
    from competitions.shopee_matching.models.reranker.features import PairFeatures
    from competitions.shopee_matching.models.reranker.gbdt import (
        SecondStageFeatures,
        probabilities,
        train_reranker,
    )
    from competitions.shopee_matching.rules.metric import row_f1

    start = time.perf_counter()

    def report(done: str) -> None:
        log(f"  {done}: {time.perf_counter() - start:.0f} s")

    titles, hashes, rows = synthetic_titles(number), synthetic_hashes(number), np.arange(number)
    report("made")
    tables = [
        title_pairs(titles, rows, TfidfSettings(), "tfidf"),
        title_pairs(
            titles, rows, TfidfSettings(analyzer="char_wb", max_features=200_000), "tfidf_char_ngrams"
        ),
        hash_pairs(hashes, rows, 12, "phash"),
    ]
    report("titles and hashes searched")
    for name, length in (("text", TEXT_LENGTH), ("pictures", PICTURE_LENGTH)):
        tables.append(embedding_pairs([synthetic_embeddings(number, length, length)], rows, name))
        report(f"{name} searched")
    pairs = joined(tables)
    del tables
    group = rows // 3
    none = np.full(number, -1, dtype=np.int32)
    ids = [f"x_{row}" for row in rows]
    listings = Listings(ids, ids, titles, hashes, group, none.astype(np.int16), none)
    features = PairFeatures(pairs, listings, with_titles=True)
    same = group[pairs.query] == group[pairs.match]
    places = np.flatnonzero(pairs.query < 3_000)
    settings = RerankerSettings(num_boost_round=100)
    first = train_reranker(features, places, same[places], settings, 1, 1_000)
    probability = probabilities([first], features)
    report(f"{len(pairs):,} pairs scored")
    stacked = SecondStageFeatures(features, probability)
    second = train_reranker(stacked, places, same[places], settings, 1, 1_000)
    places = np.flatnonzero(stacked.survivors())
    probability = probability.copy()
    probability[places] = probabilities([second], stacked, places)
    rule = MatchRule(thresholds={"c": 0.4}, min2=True, tuned=True, gallery_size=number)
    query, match = select_matches(CandidatePairs(pairs.query, pairs.match, {"c": probability}), rule)
    report("rescored and matched")
    return {"f1": float(row_f1(query, match, group).mean()), "pairs": float(len(pairs))}


def measure_everything(folder: Path) -> list[Comparison]:  # noqa: ARG001
    """Time and memory of the whole, against a tenth of it."""
    return [
        compare_processes(
            SLUG, f"{LISTINGS:,} listings end to end", ours=("all retrievers, reranker", match_everything),
            peer=(f"the same with {LISTINGS // 10:,}", partial(match_everything, LISTINGS // 10)),
            target="under 3 GB", runs=1,
        )
    ]  # fmt: skip


if __name__ == "__main__":
    parts = {
        "neighbours": measure_neighbours,
        "titles": measure_titles,
        "hashes": measure_hashes,
        "pictures": measure_pictures,
        "end_to_end": measure_everything,
    }
    benchmark_command(__doc__, parts)
