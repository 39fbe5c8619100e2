"""Read the official bars, check every row, lay the partitions that folds are cut from.

    python competitions/bit_trader/1_preprocess.py [--data DIR] [--work DIR]

Reads
    <data>/{train_x_df,train_y_df,test_x_df}.{parquet,csv}   minute bars; the parquet where both are there
    <data>/sample_submission.csv                             the test samples in their order
Writes
    <work>/processed/train_x.npy  (samples, 1380, 9) float32, the bars before the purchase
    <work>/processed/train_y.npy  (samples, 120, 9) float32, the bars after it
    <work>/processed/train_samples.parquet  sample_id, coin_index, partition_0 ... partition_4
    <work>/processed/test_x.npy  as train_x
    <work>/processed/test_samples.parquet  as train_samples, partitions -1

The files are streamed into memory-mapped arrays, a few samples at a time. Columns in another order and rows
that repeat the row before them are put right and told; all else that is wrong ends the run in one line. A
partition is a random order of whole samples: place % folds is a sample's fold, for any number of folds, and
repeated K-fold takes several partitions. Time is unknown: samples are never put in order of time or joined.
"""

from common.base.paths import display_path
from common.run.stage import Job, Result, Stage
from competitions.bit_trader.competition import COMPETITION


def preprocess(job: Job) -> Result:
    """Bars of both splits into arrays, samples into folds."""
    import numpy as np

    from common.base.errors import InputError
    from competitions.bit_trader.data.bar_files import FUTURE_MINUTES, PAST_MINUTES, find_bar_file
    from competitions.bit_trader.data.windows import (
        lay_partitions,
        processed_files,
        store_bars,
        write_samples,
    )
    from competitions.bit_trader.experiment import PARTITIONS
    from competitions.bit_trader.rules.submission import official_test_ids

    train_list, train_x, train_y = processed_files(job.processed, "train")
    test_list, test_x = processed_files(job.processed, "test")
    train = store_bars(find_bar_file(job.data, "train_x_df"), PAST_MINUTES, train_x)
    future = store_bars(find_bar_file(job.data, "train_y_df"), FUTURE_MINUTES, train_y)
    test = store_bars(find_bar_file(job.data, "test_x_df"), PAST_MINUTES, test_x)
    for file in (train, future, test):
        for repair in file.repairs:
            job.warn(repair)
    for what in ("sample_id", "coin_index"):
        if not np.array_equal(getattr(train, what), getattr(future, what)):
            raise InputError(
                f"{display_path(job.data)}: {what} of train_y_df is not that of train_x_df, sample by sample; "
                "expected the same samples in the same order; get both files again"
            )
    both = np.intersect1d(train.sample_id, test.sample_id)
    if len(both):
        raise InputError(
            f"{display_path(job.data)}: sample {both[0]} is in train_x_df and in test_x_df; expected one"
        )
    if official_test_ids(job.data) != [str(sample) for sample in test.sample_id]:
        raise InputError(
            f"{display_path(job.data)}: sample_submission.csv does not list the samples of test_x_df in order; "
            "get both files again"
        )
    partitions = lay_partitions(len(train.sample_id), job.seed)
    write_samples(train_list, train.sample_id, train.coin_index, partitions)
    none = np.full((len(test.sample_id), PARTITIONS), -1)
    write_samples(test_list, test.sample_id, test.coin_index, none)
    figures = {
        "train_samples": float(len(train.sample_id)),
        "test_samples": float(len(test.sample_id)),
        "coins": float(len(np.unique(np.concatenate([train.coin_index, test.coin_index])))),
    }
    return Result([train_x, train_y, train_list, test_x, test_list], metrics=figures)


if __name__ == "__main__":
    Stage(COMPETITION, "preprocess", __doc__).run(preprocess)
