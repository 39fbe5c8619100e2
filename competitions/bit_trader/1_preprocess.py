"""Read the official bars, check every row, lay the folds.

    python competitions/bit_trader/1_preprocess.py [--data DIR] [--work DIR]

Reads
    <data>/{train_x_df,train_y_df,test_x_df}.{parquet,csv}   minute bars; the parquet where both are there
    <data>/sample_submission.csv                             the test samples in their order
Writes
    <work>/processed/train_x.npy  (samples, 1380, 9) float32, the bars before the purchase
    <work>/processed/train_y.npy  (samples, 120, 9) float32, the bars after it
    <work>/processed/train_samples.parquet  sample_id, coin_index, fold (by sample), coin_fold (by coin)
    <work>/processed/test_x.npy  as train_x
    <work>/processed/test_samples.parquet  as train_samples, folds -1

The files are streamed into memory-mapped arrays, a few samples at a time. Folds hold whole samples; a second
set of folds holds whole coins. Time is unknown, and samples are never put in order of time or joined.
"""

from common.stage import Job, Outcome, Stage
from competitions.bit_trader.competition import COMPETITION


def preprocess(job: Job) -> Outcome:
    """Bars of both splits into arrays, samples into folds."""
    import numpy as np

    from common.errors import InputError
    from common.paths import shown
    from competitions.bit_trader.bar_files import FUTURE_MINUTES, PAST_MINUTES, find_bar_file
    from competitions.bit_trader.market_windows import lay_folds, processed_files, store_bars, write_samples
    from competitions.bit_trader.trade_orders import official_test_ids

    train_list, train_x, train_y = processed_files(job.processed, "train")
    test_list, test_x = processed_files(job.processed, "test")
    train = store_bars(find_bar_file(job.data, "train_x_df"), PAST_MINUTES, train_x)
    future = store_bars(find_bar_file(job.data, "train_y_df"), FUTURE_MINUTES, train_y)
    test = store_bars(find_bar_file(job.data, "test_x_df"), PAST_MINUTES, test_x)
    for what, here, there in (("sample_id", train[0], future[0]), ("coin_index", train[1], future[1])):
        if not np.array_equal(here, there):
            raise InputError(
                f"{shown(job.data)}: {what} of train_y_df is not that of train_x_df, sample by sample; "
                "expected the same samples in the same order; get both files again"
            )
    both = np.intersect1d(train[0], test[0])
    if len(both):
        raise InputError(
            f"{shown(job.data)}: sample {both[0]} is in train_x_df and in test_x_df; expected one"
        )
    if official_test_ids(job.data) != [str(sample) for sample in test[0]]:
        raise InputError(
            f"{shown(job.data)}: sample_submission.csv does not list the samples of test_x_df in order; "
            "get both files again"
        )
    write_samples(train_list, *train, *lay_folds(train[0], train[1], job.settings.folds, job.seed))
    none = np.full(len(test[0]), -1)
    write_samples(test_list, *test, none, none)
    figures = {
        "train_samples": float(len(train[0])),
        "test_samples": float(len(test[0])),
        "coins": float(len(np.unique(np.concatenate([train[1], test[1]])))),
    }
    return Outcome([train_x, train_y, train_list, test_x, test_list], metrics=figures)


if __name__ == "__main__":
    Stage(COMPETITION, "preprocess", __doc__).run(preprocess)
