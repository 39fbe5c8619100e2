"""Check the official files, decode every picture once, and find pictures that occur twice.

    python competitions/face_counting/1_preprocess.py [--data DIR]

Pictures are stored in their own size: the three picture sets are made while a detector reads them. Labelled
pictures whose difference hashes are close form a group, which no fold may part.

Reads
    <data>/train.csv, <data>/bbox_train.csv, <data>/test.csv, <data>/image_data/

Writes
    <work>/processed/pixels.npy  all pictures as RGB values end to end, memory-mapped by the later stages
    <work>/processed/pictures.parquet  split, size, place in pixels.npy, head count, near duplicates
    <work>/processed/boxes.parquet  a row a labelled face: Name and corners in px
"""

from common.run.stage import Job, Result, Stage
from competitions.face_counting.competition import COMPETITION


def preprocess(job: Job) -> Result:
    """Tables and pictures of both splits."""
    import pandas as pd

    from common.base import atomic
    from competitions.face_counting.data import official_tables, stored_pictures
    from competitions.face_counting.data.decoding import decode_pictures
    from competitions.face_counting.data.labels import checked_boxes

    counts = official_tables.training_counts(job.data)
    boxes = official_tables.training_boxes(job.data)
    pictures = pd.concat(
        [
            pd.DataFrame({"Name": counts["Name"], "split": "train", "head_count": counts["HeadCount"]}),
            pd.DataFrame({"Name": official_tables.test_names(job.data), "split": "test", "head_count": -1}),
        ],
        ignore_index=True,
    )
    pixels = stored_pictures.pixels_file(job.processed)
    pictures, unreadable = decode_pictures(official_tables.picture_folder(job.data), pictures, pixels)
    labelled = pictures[(pictures["split"] == "train") & (pictures["width"] > 0)]
    boxes, faults = checked_boxes(boxes, labelled)
    for message in unreadable + faults:
        job.warn(message)
    outputs = [pixels]
    for path, table in (
        (stored_pictures.pictures_file(job.processed), pictures),
        (stored_pictures.boxes_file(job.processed), boxes),
    ):
        with atomic.atomic_write(path) as partial:
            table.to_parquet(partial, index=False)
        outputs.append(path)
    alone = labelled["near_duplicates"].nunique()
    return Result(
        outputs,
        metrics={
            "train_pictures": len(labelled),
            "test_pictures": int((pictures["split"] == "test").sum()),
            "faces": len(boxes),
            "near_duplicates": len(labelled) - alone,
        },
    )


if __name__ == "__main__":
    Stage(COMPETITION, "preprocess", __doc__).run(preprocess)
