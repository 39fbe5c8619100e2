"""The interface of every forecaster."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from common.learn.arrays import Float32, Int64
from competitions.bit_trader.data.windows import Windows

History = list[dict[str, float]]


@dataclass(frozen=True)
class PricePaths:
    """Output of a forecaster."""

    paths: Float32
    """(n, 120) open prices, relative to the open of x minute 1379."""
    warnings: list[str] = field(default_factory=list)
    """Samples forecast by a fallback, one line each."""


class Forecaster(Protocol):
    """Learns from training samples, saves what it learned, forecasts 120 minutes of open prices.

    An implementation registers itself in `models.registry.FORECASTERS` and takes (settings, device). Where
    it reads some of bar_files.FIELDS only, it can say so by an attribute `fields`; klines may then lack the
    other columns.
    """

    learns: bool
    """False when it is fitted to each series separately and keeps nothing from the training samples."""

    def fit(self, windows: Windows, rows: Int64, resume_dir: Path, seed: int) -> History:
        """Learn from the samples `rows`; continues what an interrupted call left in `resume_dir`."""
        ...

    def save(self, folder: Path) -> list[Path]:
        """Write what was learned; returns the files."""
        ...

    def load(self, folder: Path) -> None:
        """Read what `save` wrote; InputError when it is missing or damaged."""
        ...

    def forecast(self, windows: Windows, rows: Int64, resume_dir: Path) -> PricePaths:
        """Forecast the samples `rows`, each from its own past only."""
        ...
