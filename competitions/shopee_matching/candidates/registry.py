"""Retrievers by name: a new one is a module of this room and one entry of experiments.toml."""

from typing import TYPE_CHECKING

from common.run.registry import Registry

if TYPE_CHECKING:
    from competitions.shopee_matching.candidates.base import Retriever

RETRIEVERS: "Registry[type[Retriever]]" = Registry(
    "competitions.shopee_matching.candidates", "RETRIEVERS", "retriever"
)
