"""Which forecasters there are, by the name that `forecaster` has in experiments.toml."""

from collections.abc import Callable
from typing import Any

from common.run.registry import Registry

FORECASTERS: Registry[Callable[..., Any]] = Registry(
    "competitions.bit_trader.models", "FORECASTERS", "forecaster"
)
"""Name -> callable (settings, device) that returns an untrained `models.base.Forecaster`."""
