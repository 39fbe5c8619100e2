"""The registry of this room: retrievers, each one similarity that proposes candidate pairs.

A new one is one module in this folder and one TOML entry (`retriever = "my_retriever"`, `reads = "titles"`):

    @RETRIEVERS.register("my_retriever")
    class MyRetriever(Retriever): ...

`candidates/base.py` has the base class. Its class attribute `OPTIONS` types the entry's table `options`.
"""

from typing import Any

from common.run.registry import Registry

RETRIEVERS: Registry[type[Any]] = Registry(
    "competitions.shopee_matching.candidates", "RETRIEVERS", "retriever"
)
