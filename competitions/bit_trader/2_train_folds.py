"""Train the forecaster by folds, forecast the held-out samples, tune the trading rule on these forecasts.

    python competitions/bit_trader/2_train_folds.py [--experiment NAME] [--fold K]

Reads
    <work>/processed/   output of 1_preprocess
Writes
    <work>/<experiment>/fold<k>/oof.parquet  forecast paths of the held-out samples, by repeat
    <work>/<experiment>/fold<k>/checkpoint.safetensors  the fold's network (cnn, recurrence, rnn)
    <work>/<experiment>/fold<k>/search.json  all trials of the fold's random search, and the best network
    <work>/<experiment>/fold<k>/boosters.json  the fold's boosters by horizon (gbdt)
    <work>/<experiment>/fold<k>/<part>/boosters.json  the same where a fold has several parts: repeats, coins
    <work>/<experiment>/fold<k>/<part>/checkpoint.safetensors
    <work>/<experiment>/fold<k>/<part>/search.json
    <work>/<experiment>/oof_trades.parquet  OOF position of every training sample, and its result
    <work>/<experiment>/oof_coins.parquet  OOF result per coin
    <work>/<experiment>/oof_strategies.parquet  OOF result of every strategy on the same forecasts
    <work>/<experiment>/threshold_curve.parquet  OOF equity against threshold (tuned rules)

OOF (out-of-fold) forecasts of a sample come from models that did not see it in training. Validation is
repeated K-fold or leave-one-coin-out. Thresholds are tuned on OOF forecasts only. A tuned rule trades only if
the lower 5 % bound of its cross-fitted OOF equity exceeds 10,000 and White's reality check gives p <= 0.05.
ARIMA learns nothing from other samples and saves no model.
"""

from common.run import Stage, lazy
from competitions.bit_trader.competition import COMPETITION

if __name__ == "__main__":
    Stage(COMPETITION, "train_folds", __doc__).run(
        lazy("competitions.bit_trader.pipeline:train_fold"),
        pool=lazy("competitions.bit_trader.pipeline:pool_folds"),
    )
