"""The registries of this room: segmentation networks and kinds of flood models.

A new network is one module in this folder and one TOML entry (`network.architecture = "my_network"`):

    @NETWORKS.register("my_network")
    def build(settings: NetworkSettings, in_channels: int) -> nn.Module: ...

The module maps (n, in_channels, height, width) to logits (n, 1, height, width). A new kind of model
(`model = "my_kind"`) registers a subclass of `models.base.ModelKind` with `@MODEL_KINDS.register("my_kind")`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from common.run.registry import Registry

if TYPE_CHECKING:
    from torch import nn

ROOM = "competitions.etci_flood.models"
NETWORKS: Registry[Callable[..., "nn.Module"]] = Registry(ROOM, "NETWORKS", "segmentation network")
MODEL_KINDS: Registry[type[Any]] = Registry(ROOM, "MODEL_KINDS", "kind of model")
