"""Candidates of several retrievers in one table."""

from collections.abc import Sequence
from dataclasses import dataclass

from competitions.shopee_matching.candidates.base import Gallery, Retriever
from competitions.shopee_matching.candidates.pairs import CandidatePairs, joined, subset
from competitions.shopee_matching.experiment import ShopeeExperiment
from competitions.shopee_matching.models.attributes.titles import amounts_contradict


@dataclass(frozen=True)
class Member:
    """One parent of a fusion, the gallery that it searched, and its candidates."""

    retriever: Retriever | None
    """None where the parent is a fusion itself."""
    gallery: Gallery
    pairs: CandidatePairs


def fused_candidates(
    settings: ShopeeExperiment, members: Sequence[Member], titles: Sequence[str] | None
) -> CandidatePairs:
    """All candidates of the members with the scores of each, filtered and completed as the experiment says.

    Parameters
    ----------
    titles : of the gallery; None where titles are not available, then no quantities are compared.
    """
    pairs = joined([member.pairs for member in members])
    if settings.rule.unit_filter and titles is not None:
        pairs = subset(pairs, ~amounts_contradict(titles, pairs.query, pairs.match))
    if settings.fusion != "reranker":
        return pairs
    # A retriever lists its 50 nearest; the reranker also uses its similarity of pairs beyond them.
    scores = dict(pairs.scores)
    for member in members:
        retriever = member.retriever
        if retriever is not None:
            scores[retriever.name] = retriever.fill(pairs, scores[retriever.name], member.gallery)
    return CandidatePairs(pairs.query, pairs.match, scores)
