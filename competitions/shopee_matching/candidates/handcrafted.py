"""Retrievers `lab_histogram`, `sift_vlad` and `sift_ransac`: hand-crafted image descriptors."""

import shutil
from pathlib import Path

import numpy as np

from common.base.atomic import atomic_write
from common.learn.arrays import Float32, Int64
from common.run.job import Job
from competitions.shopee_matching.candidates.base import Gallery, Retriever
from competitions.shopee_matching.candidates.descriptor_store import VERIFIED, WORDS_FILE, load_descriptors
from competitions.shopee_matching.candidates.embeddings import by_image
from competitions.shopee_matching.candidates.knn import embedding_pairs
from competitions.shopee_matching.candidates.pairs import CandidatePairs, no_pairs, read_pairs, subset
from competitions.shopee_matching.candidates.registry import RETRIEVERS
from competitions.shopee_matching.candidates.sift_matching import DETAILS, verified_pairs
from competitions.shopee_matching.experiment import ShopeeExperiment

BLOCK_CELLS = 8_000_000
VERIFIED_IMAGES = "verified_images.parquet"
"""Table of the image pairs of a user's catalogue that were verified."""


class _DescriptorRetriever(Retriever):
    READS = ("descriptors",)

    def keep(self, job: Job[ShopeeExperiment]) -> list[Path]:
        """The visual words: a catalogue of one's own is described with them."""
        kept = job.fold_folder / WORDS_FILE
        with atomic_write(kept) as partial:
            shutil.copyfile(job.processed / WORDS_FILE, partial)
        return [kept]


@RETRIEVERS.register("lab_histogram", "sift_vlad")
class GlobalDescriptorRetriever(_DescriptorRetriever):
    """Cosine of one vector per image; the array that 1_preprocess wrote is called like the retriever."""

    def _rows(self, gallery: Gallery) -> Float32:
        vectors = np.load(gallery.file(f"{self.settings.retriever}.npy"), mmap_mode="r")
        return by_image(vectors, gallery.listings.image_row)

    def candidates(self, gallery: Gallery, queries: Int64) -> CandidatePairs:
        """The 50 nearest listings of each query that has an image."""
        return embedding_pairs([self._rows(gallery)], queries, self.name)

    def fill(self, pairs: CandidatePairs, score: Float32, gallery: Gallery) -> Float32:
        """The cosine of every pair whose listings both have an image."""
        return fill_cosines(pairs, score, self._rows(gallery)) if np.isfinite(score).any() else score


@RETRIEVERS.register("sift_ransac")
class GeometricVerification(_DescriptorRetriever):
    """RANSAC inliers of each image's `top_k` nearest images, weighted by the agreement of their colours."""

    def candidates(self, gallery: Gallery, queries: Int64) -> CandidatePairs:
        """Verified pairs: of a split from 1_preprocess, of a catalogue computed, and kept by image."""
        file = gallery.file(f"{VERIFIED}.parquet")
        pairs = read_pairs(file) if file.is_file() else self._verified(gallery)
        pairs = subset(pairs, np.isin(pairs.query, queries))
        scores = {name.replace(VERIFIED, self.name, 1): score for name, score in pairs.scores.items()}
        return CandidatePairs(pairs.query, pairs.match, scores)

    def _verified(self, gallery: Gallery) -> CandidatePairs:
        settings, image_row = self.settings.descriptors, gallery.listings.image_row
        if len(np.unique(image_row)) > settings.max_images:
            return no_pairs(VERIFIED, DETAILS)
        descriptors = load_descriptors(gallery.folder, gallery.split, settings.size)
        known = gallery.file(VERIFIED_IMAGES)
        return verified_pairs(descriptors, image_row, settings.top_k, VERIFIED, known)


def fill_cosines(pairs: CandidatePairs, score: Float32, rows: Float32) -> Float32:
    """(pairs,) scores with the cosine of (n, d) unit rows where they are NaN and neither row is zeros."""
    known = np.asarray(rows.any(axis=1))
    missing = np.flatnonzero(np.isnan(score) & known[pairs.query] & known[pairs.match])
    full = score.copy()
    length = max(1, BLOCK_CELLS // rows.shape[1])
    for start in range(0, len(missing), length):
        block = missing[start : start + length]
        full[block] = np.einsum("ij,ij->i", rows[pairs.query[block]], rows[pairs.match[block]])
    return full
