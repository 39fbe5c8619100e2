"""A trained experiment that matches any catalogue: `load(...)` of the package returns one."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.base.atomic import atomic_folder
from common.base.console import log
from common.base.errors import InputError
from common.base.paths import readable_folder
from common.learn.arrays import Float32, Int32, Int64
from common.run.trained import TrainedExperiment
from competitions.shopee_matching.candidates.base import Retriever, build_retriever
from competitions.shopee_matching.candidates.embeddings import concatenated_embeddings
from competitions.shopee_matching.candidates.knn import embedding_pairs
from competitions.shopee_matching.candidates.pairs import CandidatePairs, no_pairs, read_pairs, write_pairs
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.data.pictures import picture_paths
from competitions.shopee_matching.decision.fusion import Member, fused_candidates
from competitions.shopee_matching.decision.match_rule import rule_of, select_matches
from competitions.shopee_matching.experiment import ShopeeExperiment
from competitions.shopee_matching.models.reranker.features import PairFeatures
from competitions.shopee_matching.models.reranker.two_stage import load_reranker
from competitions.shopee_matching.predict.catalogue import checked_columns, read_catalogue
from competitions.shopee_matching.predict.index import IndexUpdate, Warn, add_member, begin_update, keep_pairs

OFFICIAL_COLUMNS = {"id": "posting_id", "title": "title", "image": "image"}


@dataclass(frozen=True)
class CatalogueMatches:
    """Matches within a gallery."""

    listings: Listings
    """The gallery: listings of the index first, then the new ones."""
    new: Int64
    """Rows of the new listings."""
    query: Int32
    """(matches,) rows; sorted by query, best match first."""
    match: Int32
    score: Float32
    with_image: float
    """Share of new listings with a readable image."""

    def table(self) -> pd.DataFrame:
        """One row per new listing: posting_id, matches (list of ids, best first), scores (list)."""
        ids = self.listings.posting_id
        starts = np.searchsorted(self.query, self.new, side="left")
        ends = np.searchsorted(self.query, self.new, side="right")
        return pd.DataFrame(
            {
                "posting_id": [ids[row] for row in self.new],
                "matches": [
                    [ids[row] for row in self.match[start:end]]
                    for start, end in zip(starts, ends, strict=True)
                ],
                "scores": [self.score[start:end].tolist() for start, end in zip(starts, ends, strict=True)],
            }
        )


class ListingMatcher:
    """Retrievers, reranker and rule of one trained experiment.

    Parameters
    ----------
    trained : the experiment below a work folder; the folders of its parents lie next to it.
    device : auto, cpu or cuda.
    """

    def __init__(self, trained: TrainedExperiment[ShopeeExperiment], device: str = "auto") -> None:
        self.settings = trained.settings
        self.decision = trained.decision
        """Thresholds as tuned out of fold, and which modalities the training data lacked."""
        self.rule = rule_of(trained.decision)
        members = trained.parents() or [trained]
        self.retrievers: list[Retriever] = [
            build_retriever(member.settings, member.fold_folders, device) for member in members
        ]
        self._reranker = None
        if self.settings.fusion == "reranker" and self.decision["labelled"]:
            self._reranker = load_reranker(self.settings, trained.folder)

    def predict(
        self,
        listings: pd.DataFrame | Path | str,
        images: Path | str | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        index: Path | str | None = None,
        save_index: Path | str | None = None,
    ) -> pd.DataFrame:
        """Match listings with each other and, with `index`, with those of an earlier call.

        Parameters
        ----------
        listings : a DataFrame, or the path of a CSV file.
        images : folder of the pictures (default: the CSV file's folder); missing pictures are logged.
        columns : role -> column: `{"id": "sku", "title": "name", "image": "photo"}`; title or image may be
            left out, and `phash` may name perceptual hashes. Default: posting_id, title, image.
        index : an index that `save_index` or --catalogue wrote; its listings are candidates as well.
        save_index : a folder to write the index of all listings to.

        Returns
        -------
        DataFrame with a row per listing, in their order: posting_id, matches (list of other ids, best first;
        empty for none) and scores (list of as many numbers up to 1).

        Raises
        ------
        InputError : a column, picture folder or index is missing, an id occurs twice, a picture's name leads
            out of the folder.
        """
        table = listings if isinstance(listings, pd.DataFrame) else Path(listings)
        chosen = checked_columns(columns or OFFICIAL_COLUMNS, "columns")
        new = read_catalogue(table, chosen)
        if images is None and "image" in chosen and isinstance(table, pd.DataFrame):
            raise InputError("images: the folder of the pictures is needed (or columns without image)")
        paths = catalogue_pictures(new, table if isinstance(table, Path) else None, images)
        older = readable_folder(Path(index), "the index") if index is not None else None
        with tempfile.TemporaryDirectory() as temp_dir:
            folder = Path(temp_dir) / "index"
            matches = self.match(
                new, paths, folder, Path(temp_dir) / "new", older, lambda text: log(f"warning: {text}")
            )
            if save_index is not None:
                with atomic_folder(Path(save_index).expanduser().absolute()) as unfinished:
                    shutil.copytree(folder, unfinished, dirs_exist_ok=True)
        return matches.table()

    def match(
        self,
        new: Listings,
        paths: dict[str, Path],
        folder: Path,
        temp_dir: Path,
        older: Path | None = None,
        warn: Warn = log,
    ) -> CatalogueMatches:
        """Match new listings and write the index `folder`; `predict` is the short way.

        Parameters
        ----------
        paths : name -> path of each picture that the listings name.
        temp_dir : a folder for images of the new listings.
        warn : called with one line per fault of the input that does not stop the work.
        """
        update = begin_update(new, paths, folder, older, temp_dir, warn, self.retrievers)
        pairs = self._candidates(update)
        query, match = select_matches(pairs, self.rule, len(update.listings))
        return CatalogueMatches(
            update.listings,
            update.new,
            query,
            match,
            _scores(pairs, list(self.rule.thresholds), query, match),
            float((update.image_row >= 0).mean()),
        )

    def _candidates(self, update: IndexUpdate) -> CandidatePairs:
        members = [add_member(update, retriever) for retriever in self.retrievers]
        if self.settings.retriever is not None:
            return members[0].pairs
        if self.settings.fusion == "concat":
            return self._concatenated(update, members)
        titles = None if "titles" in self.decision["unavailable"] else update.listings.title
        pairs = fused_candidates(self.settings, members, titles)
        if self._reranker is None:
            return pairs
        features = PairFeatures(pairs, update.listings, titles is not None)
        file = f"{self.settings.name}.parquet"
        earlier = read_pairs(update.older / file) if update.older else None
        reranked = self._reranker.rerank(features, np.isin(pairs.query, update.new), earlier)
        write_pairs(update.folder / file, reranked)
        return reranked

    def _concatenated(self, update: IndexUpdate, members: list[Member]) -> CandidatePairs:
        parts = [member.gallery.embeddings.models for member in members if member.gallery.embeddings]
        if not parts:
            return no_pairs(self.settings.name)
        models = concatenated_embeddings(parts, self.settings.blending)
        return keep_pairs(update, self.settings.name, embedding_pairs(models, update.new, self.settings.name))


def catalogue_pictures(new: Listings, table: Path | None, folder: Path | str | None) -> dict[str, Path]:
    """Name -> path of the pictures that listings name, in `folder` or next to the table.

    Raises
    ------
    InputError : the folder does not exist, or a name leads out of it.
    """
    names = [name for name in new.image if name]
    if not names:
        return {}
    place = Path(folder) if folder is not None else (table or Path()).absolute().parent
    place = readable_folder(place, "the folder of the pictures")
    return picture_paths(names, place, table.name if table else "the DataFrame")


def _scores(pairs: CandidatePairs, used: list[str], query: Int32, match: Int32) -> Float32:
    """(matches,) best score of each match among the experiments `used`."""
    if not len(query):
        return np.empty(0, dtype=np.float32)
    key = (pairs.query.astype(np.int64) << 32) | pairs.match
    place = np.searchsorted(key, (query.astype(np.int64) << 32) | match)
    return np.nanmax(np.stack([pairs.scores[name][place] for name in used]), axis=0)
