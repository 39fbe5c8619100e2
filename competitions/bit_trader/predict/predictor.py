"""A trained experiment as an object: forecasts and positions for windows of bars and for your own klines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from common.base.console import counted, log
from common.base.errors import InputError
from common.files.tables import write_table
from common.run.job import Result
from common.run.own_data import OwnDataJob
from common.run.trained import trained_experiment
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.decision.account import AccountTrades, trades_of_account
from competitions.bit_trader.decision.backtest import backtest
from competitions.bit_trader.decision.out_of_fold import decided_strategy
from competitions.bit_trader.decision.strategies import expected_growth
from competitions.bit_trader.experiment import BitTraderExperiment
from competitions.bit_trader.models.factory import mean_forecast, needed_fields
from competitions.bit_trader.models.forecasts import Forecasts, write_forecasts
from competitions.bit_trader.predict.kline_cells import MINUTE
from competitions.bit_trader.predict.kline_windows import KlineWindows, cut_windows
from competitions.bit_trader.predict.klines import Source, clock, now_milliseconds, read_klines
from competitions.bit_trader.rules.metric import growth
from competitions.bit_trader.rules.submission import Positions


@dataclass(frozen=True)
class KlinePrediction:
    """Forecasts and positions for the windows of some klines."""

    cut: KlineWindows
    forecasts: Forecasts
    positions: Positions
    """As the strategy decides each window by itself."""
    warnings: list[str]
    understood: list[str] = field(default_factory=list)
    """How the klines were read, and what one account made of the positions."""

    @cached_property
    def account(self) -> AccountTrades:
        """What one account can do of the positions."""
        return trades_of_account(self.cut.purchase_time, self.positions)

    def table(self) -> pd.DataFrame:
        """One row per window, oldest first; the columns are those of `BitTraderPredictor.predict`."""
        cut, positions, account = self.cut, self.positions, self.account
        rows = np.arange(len(cut.price))
        bought = positions.buy_quantity > 0
        expected = expected_growth(self.forecasts.paths)
        best = np.where(bought, positions.sell_time, expected.argmax(axis=1))
        realised = np.full(len(rows), np.nan)
        realised[cut.known] = growth(cut.future_open[cut.known], self.known_trades())
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
                "skipped": account.skipped,
                "growth": realised,
            }
        )

    def known_trades(self) -> Positions:
        """What one account does in the windows whose future is known."""
        known, trades = self.cut.known, self.account.positions
        return Positions(trades.buy_quantity[known], trades.sell_time[known])

    @cached_property
    def figures(self) -> dict[str, float]:
        """Windows, purchases skipped and, where the future of a window is known, the account's backtest."""
        found = {"windows": float(len(self.positions)), "skipped": float(self.account.skipped.sum())}
        if self.cut.known.any():
            found |= backtest(self.cut.future_open[self.cut.known], [self.known_trades()]).figures
        return found

    def account_sentence(self) -> str:
        """What one account over all windows ends with, and the purchases that it has no money for."""
        known, count, equity = int(self.cut.known.sum()), self.figures["skipped"], self.figures.get("equity")
        skipped = (
            f"; {counted(count, 'purchase')} of all windows skipped while its money is invested"
            if count
            else ""
        )
        if equity is None:
            return f"no window is followed by 120 minutes, so no outcome is known{skipped}"
        return (
            f"one account over the {counted(known, 'window')} with a known outcome: 10,000 become "
            f"{equity:,.2f} by {counted(self.figures['trades'], 'purchase')}{skipped}"
        )


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

    def predict(
        self,
        klines: Source | Sequence[Path | str],
        every: int = 120,
        tell: Callable[[str], None] = log,
    ) -> pd.DataFrame:
        """Forecast and decide every window of 1-minute klines.

        Parameters
        ----------
        klines : the klines of one coin: file, folder of files, or a list of them (CSV, also in .gz or .zip,
            .xlsx, parquet), or a DataFrame. Columns are found by name: open_time (dates, or numbers since
            1970), open, high, low, close, volume, quote_av, trades, tb_base_av, tb_quote_av, or as exchanges
            name them; without names, the 12 of an exchange or the 6 of ccxt. The champion needs trades and
            taker buy volume; networks and ARIMA need open and close alone. At least 23 hours without a gap.
        every : minutes from one window to the next; in each stretch without a gap, one ends at its end.
        tell : is given the lines that say how the klines were read.

        Returns
        -------
        One row per window, oldest first:

        purchase_time, last_open : UTC, and the last open price before it. buy_quantity, sell_time, sale_time
            : share of the equity to invest, minute 0 to 119 of the sale, and its UTC time (NaT without a
            trade).
        best_expected_minute, expected_net_gain : of the sale, or of the best minute where nothing is bought;
            the expected gain is net of both fees.
        skipped : the money of an earlier purchase is still invested, so that one account cannot buy.
        growth : factor on the equity of one account, 1 where it does not buy or skips; NaN where the klines
            end too early. The product of the column is the account's growth.

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
            tell(f"  warning: {warning}")
        for line in prediction.understood:
            tell(f"  understood: {line}")
        return prediction.table()

    def predict_windows(
        self,
        klines: Source | Sequence[Path | str],
        every: int,
        resume_dir: Path,
        now: Callable[[], int] = now_milliseconds,
    ) -> KlinePrediction:
        """As `predict`, with all forecast paths, the warnings, and what was understood; `now` is the "
        "clock."""
        if every < 1:
            raise InputError(f"every = {every}: expected a number of minutes, at least 1")
        read = read_klines(klines, needed_fields(self.settings), now)
        cut = cut_windows(read, every, now())
        forecasts, warnings = self.forecast(cut.windows, resume_dir)
        positions = self.strategy.positions(forecasts)
        prediction = KlinePrediction(cut, forecasts, positions, [*read.repairs, *warnings])
        prediction.understood.extend([*read.understood, cut.understood, prediction.account_sentence()])
        return prediction

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
    for line in prediction.understood:
        job.understood(line)
    table, paths = job.output(".csv"), job.output(".parquet")
    write_table(table, prediction.table(), date_format="%Y-%m-%dT%H:%MZ")
    write_forecasts(paths, [(0, prediction.forecasts)])
    cut, positions = prediction.cut, prediction.positions
    last = f"buy {positions.buy_quantity[-1]:g}, sell at minute {positions.sell_time[-1]}"
    log(f"  {len(positions)} windows; the last one, decided at {clock(cut.purchase_time[-1])}: {last}")
    return Result([table, paths], metrics=prediction.figures)
