"""A trained experiment that matches any catalogue: `load(...)` of the package returns one."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from common.base.atomic import atomic_folder
from common.base.console import counted, log
from common.base.paths import readable_folder
from common.learn.arrays import Float32, Int32, Int64
from common.run.run_record import record_hash, short_hash
from common.run.trained import TrainedExperiment
from competitions.shopee_matching.candidates.base import Gallery, Retriever, build_retriever
from competitions.shopee_matching.candidates.embeddings import concatenated_embeddings
from competitions.shopee_matching.candidates.knn import embedding_pairs
from competitions.shopee_matching.candidates.pairs import CandidatePairs, concatenated, no_pairs
from competitions.shopee_matching.data.availability import MAX_MATCHES
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.data.training_titles import training_titles
from competitions.shopee_matching.decision.catalogue_rule import catalogue_rule, decide
from competitions.shopee_matching.decision.fusion import Member, fused_candidates
from competitions.shopee_matching.experiment import ShopeeExperiment
from competitions.shopee_matching.models.attributes.titles import AttributeTable
from competitions.shopee_matching.models.reranker.catalogue import (
    CatalogueFeatures,
    CatalogueReranker,
    load_catalogue_reranker,
)
from competitions.shopee_matching.predict.catalogue import Catalogue, checked_columns, read_catalogue
from competitions.shopee_matching.predict.evidence import (
    MAX_LISTED,
    Distinct,
    distinct_listings,
    frequent_titles,
    usable_pictures,
)
from competitions.shopee_matching.predict.index import (
    SPLIT,
    IndexUpdate,
    Warn,
    begin_update,
    check_index,
    gallery_of,
    seal_index,
    writable_index,
)


@dataclass(frozen=True)
class CatalogueMatches:
    """Matches within a gallery."""

    listings: Listings
    """The gallery: listings of the index first, then the new ones."""
    new: Int64
    """Rows of the new listings."""
    query: Int32
    """(matches,) rows of the whole gallery; sorted by query, best match first."""
    match: Int32
    score: Float32
    group: Int32
    """(gallery,) product of each listing."""
    with_image: float
    """Share of new listings with an image that is compared."""

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
        self.rule = catalogue_rule(trained.decision)
        members = trained.parents() or [trained]
        self.retrievers: list[Retriever] = [
            build_retriever(member.settings, member.fold_folders, device) for member in members
        ]
        self._left_out = {
            member.settings.name
            for member in members
            if member.settings.modality in member.decision.get("unavailable", {})
        }
        """Retrievers that had nothing to compare in training; the reranker knows none of their scores."""
        self.model = model_hash(trained)
        """Identifies the trained experiment; an index belongs to one."""
        self._corpus = training_titles(trained.folder)
        """Labelled titles: word frequencies rest on them."""
        self._reranker: CatalogueReranker | None = None
        if self.settings.fusion == "reranker" and self.decision["labelled"]:
            self._reranker = load_catalogue_reranker(self.settings, trained.folder)

    def predict(
        self,
        listings: pd.DataFrame | Path | str,
        images: Path | str | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        index: Path | str | None = None,
        save_index: Path | str | None = None,
        tell: Callable[[str], None] = log,
    ) -> pd.DataFrame:
        """Match listings with each other and, with `index`, with those of earlier calls.

        Parameters
        ----------
        listings : a DataFrame, or the path of a table (CSV, also .gz or .zip; .xlsx; .parquet).
        images : folder of the pictures (default: the table's folder).
        columns : role -> column: `{"id": "sku", "title": "name", "image": "photo"}`; title or image may be
            left out, and `phash` may name perceptual hashes. Default: posting_id, title, image, as far as the
            table has them.
        index : an index that `save_index` or --catalogue wrote; its listings are matched as well.
        save_index : a folder to write the index of all listings to.
        tell : called with lines on how the table was read, and on cells that could not be used.

        Returns
        -------
        DataFrame with a row per listing, in their order: posting_id, matches (list of other ids, best first;
        empty for none) and scores (list of as many numbers up to 1).

        Raises
        ------
        InputError : a column, picture folder or index is missing, an id is empty or occurs twice, the index
            is damaged or belongs to another model, `save_index` holds something else than an index.
        """
        table = listings if isinstance(listings, pd.DataFrame) else Path(listings).expanduser()
        chosen = checked_columns(columns, "columns") if columns is not None else None
        catalogue = read_catalogue(table, chosen, images)
        older = readable_folder(Path(index), "the index") if index is not None else None
        kept = writable_index(Path(save_index)) if save_index is not None else None
        with tempfile.TemporaryDirectory() as temp_dir:
            folder = Path(temp_dir) / "index"
            matches = self.match(
                catalogue, folder, Path(temp_dir) / "new", older, lambda text: tell(f"warning: {text}"), tell
            )
            if kept is not None:
                with atomic_folder(kept) as unfinished:
                    shutil.copytree(folder, unfinished, dirs_exist_ok=True)
        return matches.table()

    def match(
        self,
        catalogue: Catalogue,
        folder: Path,
        temp_dir: Path,
        older: Path | None = None,
        warn: Warn = log,
        tell: Warn = log,
    ) -> CatalogueMatches:
        """Match new listings and write the index `folder`; `predict` is the short way.

        Parameters
        ----------
        temp_dir : a folder for images of the new listings.
        older : an index that is extended.
        warn : called with one line per fault of the input that does not stop the work.
        tell : called with one line per thing that was understood.
        """
        if older is not None:
            check_index(older, self.model)
        for line in catalogue.understood:
            tell(line)
        for line in catalogue.faults:
            warn(line)
        update = begin_update(
            catalogue.listings, catalogue.pictures.files, folder, older, temp_dir, warn, self.retrievers
        )
        usable, left_out = usable_pictures(update.listings, update.pictures)
        for line in left_out:
            tell(line)
        given = update.listings.phash
        distinct = distinct_listings(usable, (given != 0) & (usable.phash == given))
        _tell_of_gallery(update, usable, distinct, warn, tell)
        listings = distinct.taken(usable)
        attributes = None if "titles" in self.decision["unavailable"] else AttributeTable(listings.title)
        pairs = self._candidates(update, listings, distinct, attributes, tell)
        seal_index(folder, self.model)
        pictures = float((listings.image_row >= 0).mean()) >= 0.5
        found = decide(pairs, self.rule, len(listings), attributes, pictures)
        query, match, score = found.query, found.match, found.score
        groups = distinct.groups(found.group)
        if found.apart:
            tell(
                f"{counted(found.apart, 'pair')} of like titles name another amount, number, size, colour or "
                f"pack, so they are no matches"
            )
        full = int((np.bincount(query, minlength=1) >= MAX_MATCHES - 1).sum())
        query, match, score, cut = distinct.expanded(query, match, score)
        if full or cut.any():
            many = counted(max(full, int(cut.sum())), "listing")
            tell(
                f"{many} with {MAX_MATCHES - 1} matches or more: pairs may lack some of theirs (at most "
                f"{MAX_LISTED} are listed), groups do not"
            )
        with_image = float((usable.image_row[update.new] >= 0).mean())
        return CatalogueMatches(update.listings, update.new, query, match, score, groups, with_image)

    def _candidates(
        self,
        update: IndexUpdate,
        listings: Listings,
        distinct: Distinct,
        attributes: AttributeTable | None,
        tell: Warn,
    ) -> CandidatePairs:
        frequent, line = frequent_titles(listings)
        if line is not None:
            tell(line)
        members = [self._member(update, each, listings, distinct, frequent) for each in self.retrievers]
        if self.settings.retriever is not None:
            return members[0].pairs
        if self.settings.fusion == "concat":
            return self._concatenated(listings, members)
        pairs = fused_candidates(self.settings, members, None if attributes is None else listings.title)
        if self._reranker is None:
            return pairs
        # As in training: of many listings the frequencies of their own words count alone.
        corpus = self._corpus if len(self._corpus) > len(listings) else []
        return self._reranker.rerank(
            CatalogueFeatures(pairs, listings, attributes is not None, corpus, attributes)
        )

    def _member(
        self,
        update: IndexUpdate,
        retriever: Retriever,
        listings: Listings,
        distinct: Distinct,
        frequent: CandidatePairs,
    ) -> Member:
        """The candidates of all listings by one retriever."""
        if retriever.name in self._left_out or not retriever.fitted:
            gallery = Gallery(listings, update.folder, SPLIT)
            return Member(retriever, gallery, no_pairs(retriever.name))
        gallery = replace(gallery_of(update, retriever, listings, distinct), corpus=self._corpus)
        pairs = retriever.candidates(gallery, np.arange(len(listings)))
        if retriever.settings.reads == "titles" and len(frequent):
            score = {retriever.name: frequent.scores["title"]}
            pairs = concatenated([pairs, CandidatePairs(frequent.query, frequent.match, score)])
        return Member(retriever, gallery, pairs)

    def _concatenated(self, listings: Listings, members: list[Member]) -> CandidatePairs:
        parts = [member.gallery.embeddings.models for member in members if member.gallery.embeddings]
        if not parts:
            return no_pairs(self.settings.name)
        models = concatenated_embeddings(parts, self.settings.blending)
        return embedding_pairs(models, np.arange(len(listings)), self.settings.name)


def model_hash(trained: TrainedExperiment[ShopeeExperiment]) -> str:
    """Hash of the records of a trained experiment and its parents: settings, models and decision."""
    records = {each.settings.name: record_hash(each.record) for each in (trained, *trained.parents())}
    return short_hash(records)


def _tell_of_gallery(
    update: IndexUpdate, usable: Listings, distinct: Distinct, warn: Warn, tell: Warn
) -> None:
    known = len(usable) - len(update.new)
    if known:
        tell(f"gallery: {counted(len(update.new), 'new listing')} and {known:,} of the index")
    if distinct.repeated():
        tell(
            f"repetitions: {distinct.repeated():,} of {len(usable):,} listings have the title and picture of "
            f"another one (or its title, both without a picture), and match it"
        )
    nothing = sum(not usable.title[row] and usable.image_row[row] < 0 for row in update.new.tolist())
    if nothing:
        warn(f"{counted(nothing, 'listing')} with neither a title nor a usable picture: nothing to match by")
