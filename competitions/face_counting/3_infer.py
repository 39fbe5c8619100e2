"""Find the faces of the test pictures with every fold's network.

    python competitions/face_counting/3_infer.py [--experiment NAME]

Reads
    <work>/processed/, <work>/<experiment>/fold<k>/checkpoint.safetensors

Writes
    <work>/<experiment>/test.parquet  boxes: fold, Name, corners in px of the picture, score
"""

from typing import cast

from common.stage import Job, Outcome, Stage
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.experiment import FaceCountingExperiment


def infer(job: Job) -> Outcome:
    """The boxes of all folds, one under the other."""
    import pandas as pd

    from common import atomic
    from common.device import torch_device
    from competitions.face_counting.detector import build_detector, restore
    from competitions.face_counting.face_boxes import find_faces
    from competitions.face_counting.stored_pictures import load_pictures

    settings = cast(FaceCountingExperiment, job.settings)
    stored = load_pictures(job.processed, "test")
    stored = stored.where(stored.readable)
    device = torch_device(job.device)
    tables = []
    for fold, folder in enumerate(job.fold_folders):
        network = build_detector(settings.detector)
        restore(network, folder / "checkpoint.safetensors")
        what = f"test pictures, fold {fold}"
        boxes = find_faces(network, stored, settings.pictures, settings.counting, device, what)
        boxes.insert(0, "fold", fold)
        tables.append(boxes)
    path = job.paths.test(settings.name, ".parquet")
    with atomic.whole_file(path) as partial:
        pd.concat(tables, ignore_index=True).to_parquet(partial, index=False)
    return Outcome([path], metrics={"pictures": len(stored), "boxes": sum(map(len, tables))})


if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__).run(infer)
