"""Cut the test maps at the tuned threshold and write the official submission, validated.

    python competitions/etci_flood/4_make_submission.py [--experiment NAME]

A pixel is flood where its probability reaches the threshold that had the highest out-of-fold IoU: its scene's
own, where many tiles of the scene are labelled. Tiles stand
in the organisers' order where test_sentinel.csv is given, else sorted by the full path of their VV picture;
the manifest says which row is which tile.

Reads
    <work>/<experiment>/test.npy  the test maps
    <work>/<experiment>/oof.run.json  the threshold
    <work>/processed/tiles.parquet  the tiles' names

Writes
    <work>/<experiment>/submission.zip  the official file: submission.npy, uint8 (tiles, 256, 256), 1 = flood
    <work>/<experiment>/submission.csv  the same masks as run lengths: tile, rle (from 1, down the columns)
    <work>/<experiment>/submission_tiles.csv  the order of the tiles: row, tile, scene
"""

from common.run.stage import Job, Result, Stage
from competitions.etci_flood.competition import COMPETITION


def make_submission(job: Job) -> Result:
    """Threshold, write, validate, move."""
    import numpy as np
    import pandas as pd

    from common.base.atomic import atomic_array, atomic_write
    from competitions.etci_flood.data.tiles import TABLE
    from competitions.etci_flood.decision.thresholds import threshold_of
    from competitions.etci_flood.rules.submission import (
        submission_faults,
        write_archive,
        write_run_length_table,
    )

    tiles = pd.read_parquet(job.processed / TABLE)
    tiles = tiles.loc[~tiles["labelled"], ["tile", "scene"]].reset_index(drop=True)
    maps = np.load(job.paths.test(job.settings.name, ".npy"), mmap_mode="r")
    decision = job.upstream["oof"].decision
    with atomic_array(job.resume_dir / "masks.npy", maps.shape, np.uint8) as masks:
        for row, (levels, scene) in enumerate(zip(maps, tiles["scene"], strict=True)):
            masks[row] = levels >= threshold_of(decision, scene)

    unchecked = job.resume_dir / "submission.zip"
    masks = np.load(job.resume_dir / "masks.npy", mmap_mode="r")
    write_archive(unchecked, masks)
    faults = submission_faults(unchecked, job.data)
    if faults:
        raise AssertionError(f"an invalid submission was made: {'; '.join(faults)}")

    archive, table, manifest = (
        job.paths.submission(job.settings.name, suffix) for suffix in (".zip", ".csv", "_tiles.csv")
    )
    write_run_length_table(table, tiles["tile"].tolist(), masks)
    with atomic_write(manifest) as partial:
        tiles.to_csv(partial, index_label="row", lineterminator="\n")
    unchecked.replace(archive)
    flood = sum(int(mask.sum()) for mask in masks)
    return Result([archive, table, manifest], metrics={"flood_share": flood / max(masks.size, 1)})


if __name__ == "__main__":
    Stage(COMPETITION, "make_submission", __doc__).run(make_submission)
