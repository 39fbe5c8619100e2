"""A trained experiment as an object: forecasts and positions for windows of bars and for your own klines."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from common.base.console import log
from common.base.errors import InputError
from common.files.tables import write_table
from common.run.job import Result
from common.run.own_data import OwnDataJob
from common.run.trained import trained_experiment
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.decision.backtest import backtest
from competitions.bit_trader.decision.out_of_fold import decided_strategy
from competitions.bit_trader.decision.strategies import expected_growth
from competitions.bit_trader.experiment import BitTraderExperiment
from competitions.bit_trader.models.factory import mean_forecast
from competitions.bit_trader.models.forecasts import Forecasts, write_forecasts
from competitions.bit_trader.predict.klines import MINUTE, KlineWindows, clock, cut_windows, read_klines
from competitions.bit_trader.rules.metric import growth
from competitions.bit_trader.rules.submission import Positions


@dataclass(frozen=True)
class KlinePrediction:
    """Forecasts and positions for the windows of some klines."""

    cut: KlineWindows
    forecasts: Forecasts
    positions: Positions
    warnings: list[str]

    def table(self) -> pd.DataFrame:
        """One row per window, oldest first; the columns are those of `BitTraderPredictor.predict`."""
        cut, positions = self.cut, self.positions
        rows = np.arange(len(cut.price))
        bought = positions.buy_quantity > 0
        expected = expected_growth(self.forecasts.paths)
        best = np.where(bought, positions.sell_time, expected.argmax(axis=1))
        realised = np.full(len(rows), np.nan)
        realised[cut.known] = growth(cut.future_open[cut.known], self.known_positions())
        sale = pd.to_datetime(cut.purchase_time + positions.sell_time * MINUTE, unit="ms", utc=True)
        return pd.DataFrame(
            {
                "purchase_time": pd.to_datetime(cut.purchase_time, unit="ms", utc=True),
                "last_open": cut.price,
                "buy_quantity": positions.buy_quantity,
                "sell_time": positions.sell_time,
                "sale_time": sale.where(bought),
                "best_expected_minute": best,
                "expected_net_gain": np.expm1(expected[rows, best]),
                "growth": realised,
            }
        )

    def known_positions(self) -> Positions:
        """The positions of the windows whose future is known."""
        known = self.cut.known
        return Positions(self.positions.buy_quantity[known], self.positions.sell_time[known])


class BitTraderPredictor:
    """The forecasters of all folds and the trading strategy of one trained experiment.

    Needs the experiment's own folder below `work`, neither raw nor processed data.

    Attributes
    ----------
    settings : the experiment's settings.
    decision : the strategy tuned on OOF forecasts: rule, sell, threshold (None: no trades).
    """

    settings: BitTraderExperiment
    decision: dict[str, Any]

    def __init__(
        self, experiment: str = "champion", work: Path | str | None = None, device: str = "auto"
    ) -> None:
        self.trained = trained = trained_experiment(COMPETITION, experiment, work)
        self.settings, self.decision = trained.settings, trained.decision
        self.strategy = decided_strategy(self.decision)
        self._fold_folders, self._device = trained.fold_folders, device

    def predict(self, klines: Path | str | pd.DataFrame, every: int = 120) -> pd.DataFrame:
        """Forecast and decide every window of 1-minute klines.

        Parameters
        ----------
        klines : kline CSV of an exchange (12 columns, no header), or a DataFrame with the columns open_time
            (milliseconds since 1970, or timestamps), open, high, low, close, volume, quote_av, trades,
            tb_base_av, tb_quote_av. At least 23 hours without a gap.
        every : minutes from one window to the next; the last window ends with the klines.

        Returns
        -------
        One row per window, oldest first:

        purchase_time, last_open : UTC, and the last open price before it. buy_quantity, sell_time, sale_time
            : share of the equity to invest, minute 0 to 119 of the sale, and its UTC time (NaT without a
            trade).
        best_expected_minute, expected_net_gain : of the sale, or of the best minute where nothing is bought;
            the expected gain is net of both fees.
        growth : factor on the equity that the position realised; NaN where the klines end too early.

        Raises
        ------
        InputError : the klines are malformed or too short.

        Notes
        -----
        ARIMA fits many windows in several processes; a script must then call this below
        `if __name__ == "__main__":`.
        """
        with TemporaryDirectory() as folder:
            prediction = self.predict_windows(klines, every, Path(folder))
        for warning in prediction.warnings:
            log(f"  warning: {warning}")
        return prediction.table()

    def predict_windows(
        self, klines: Path | str | pd.DataFrame, every: int, resume_dir: Path
    ) -> KlinePrediction:
        """As `predict`, with all forecast paths and the warnings."""
        if every < 1:
            raise InputError(f"every = {every}: expected a number of minutes, at least 1")
        read = read_klines(klines)
        cut = cut_windows(read, every)
        forecasts, warnings = self.forecast(cut.windows, resume_dir)
        return KlinePrediction(cut, forecasts, self.strategy.positions(forecasts), [*read.repairs, *warnings])

    def forecast(self, windows: Windows, resume_dir: Path) -> tuple[Forecasts, list[str]]:
        """Mean forecast of all folds for `windows`, and warnings; continues what `resume_dir` holds."""
        rows = np.arange(len(windows))
        return mean_forecast(self.settings, self._device, self._fold_folders, windows, rows, resume_dir)


def predict_klines(job: OwnDataJob[BitTraderExperiment]) -> Result:
    """3_infer --klines: write the table of windows and the forecasts."""
    predictor = BitTraderPredictor(job.experiment, job.paths.work, job.device)
    predictor.trained.log_sample_data()
    prediction = predictor.predict_windows(job.stage_args.klines, job.stage_args.every, job.resume_dir)
    for warning in prediction.warnings:
        job.warn(warning)
    table, paths = job.output(".csv"), job.output(".parquet")
    write_table(table, prediction.table(), date_format="%Y-%m-%dT%H:%MZ")
    write_forecasts(paths, [(0, prediction.forecasts)])
    cut, positions = prediction.cut, prediction.positions
    last = f"buy {positions.buy_quantity[-1]:g}, sell at minute {positions.sell_time[-1]}"
    log(f"  {len(positions)} windows; the last one, bought at {clock(cut.purchase_time[-1])}: {last}")
    figures = {"windows": float(len(positions))}
    if cut.known.any():
        figures |= backtest(cut.future_open[cut.known], [prediction.known_positions()]).figures
    return Result([table, paths], metrics=figures)
