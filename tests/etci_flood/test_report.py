"""The ablation table, the scenes table and the training curves, from run records that are written here."""

from pathlib import Path

import pandas as pd
import pytest

from common.run.run_record import RunRecord, write_record
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.report import ablation, scenes
from competitions.etci_flood.report.ablation import Step, ablation_table, keep_steps, step_of
from competitions.etci_flood.report.curves import main as draw_curves


def write_run(work: Path, name: str, iou: float, clean: float | None) -> None:
    settings = COMPETITION.experiment(name, "full")
    history = [
        {"epoch": epoch, "train_loss": 1 / epoch, "val_loss": 1.0, "val_iou": 0.5} for epoch in (1, 2, 3)
    ]
    baselines = {"best linear rule on VV and VH": 0.2, "best VV threshold": 0.1, "permanent water": 0.3}
    metrics = {"oof_iou": iou, **{f"baseline: {name}": value for name, value in baselines.items()}}
    metrics |= {} if clean is None else {"oof_iou_clean": clean}
    record = RunRecord(
        competition="etci_flood",
        stage="out_of_fold",
        experiment=settings.model_dump(),
        profile="full",
        seed=1,
        data="data",
        sample_data=False,
        inputs={},
        outputs=[],
        inputs_hash="",
        metrics=metrics,
        decision={},
        history=history,
        warnings=[],
        warnings_count=0,
        device="cpu",
        hardware="2 x CPU",
        git_commit="abc",
        code="",
        packages={},
        seconds=90.0,
        peak_memory_mb=1.0,
        finished="2026-01-01T00:00:00",
    )
    write_record(work / name / "oof.run.json", record)
    for fold in range(settings.folds):
        write_record(work / name / f"fold{fold}" / "run.json", record)
    scenes = pd.DataFrame({"scene": ["a_1", "b_2"], "iou_clean": [0.5, 0.75], "tiles": 4})
    scenes = scenes.assign(iou=0.4, iou_upper_bound=0.9, noisy_tiles=1)
    scenes = scenes.assign(vv_threshold=0.1, linear_rule=0.2, water_mask=0.3)
    scenes.to_csv(work / name / "oof_scenes.csv", index=False)


def test_a_finished_run_becomes_a_row(tmp_path: Path) -> None:
    write_run(tmp_path, "ablation_dice", 0.6, 0.7)
    step = step_of(tmp_path, "ablation_dice", "+ Dice", "tiles")
    assert step is not None
    assert (step.oof, step.oof_clean, step.scenes) == (0.6, 0.7, "a 0.500, b 0.750")
    assert step.minutes == 3.0, "two folds of 90 s"
    assert step_of(tmp_path, "ablation_focal", "~ focal", "tiles") is None


def test_gains_compare_with_the_last_step_that_was_kept() -> None:
    same = {"data": "d", "oof_clean": None, "scenes": "", "minutes": 1.0}
    same |= {"hardware": "h", "git_commit": "c", "date": "2026-01-01"}
    rows = [("start", 0.5), ("+ one", 0.6), ("~ other", 0.55), ("+ two", 0.65)]
    steps = [
        Step.model_validate({**same, "experiment": text, "step": text, "oof": iou}) for text, iou in rows
    ]
    gains = [line.split("|")[4].strip() for line in ablation_table(steps).splitlines()[2:6]]
    assert gains == ["", "+0.100", "-0.050", "+0.050"]


def test_rows_are_kept_in_the_order_of_the_experiments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablation, "RESULTS", tmp_path / "kept.csv")
    for name, iou in (("ablation_dice", 0.6), ("ablation_base", 0.5), ("ablation_dice", 0.65)):
        write_run(tmp_path, name, iou, None)
        step = step_of(tmp_path, name, "+ step", "tiles")
        assert step is not None
        kept = keep_steps([step], ["ablation_base", "ablation_dice"])
    assert [(row.experiment, row.oof) for row in kept] == [("ablation_base", 0.5), ("ablation_dice", 0.65)]
    assert ablation.read_steps() == kept


def test_a_folder_without_runs_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ablation.main(["--work", str(tmp_path)]) == 2
    assert "holds no finished experiment" in capsys.readouterr().err


def test_scenes_are_listed_with_the_baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "RESULTS", tmp_path / "kept.csv")
    write_run(tmp_path, "ablation_dice", 0.6, 0.7)
    for name in ("tiles", "others", "tiles"):
        kept = scenes.keep_rows(scenes.rows_of(tmp_path, "ablation_dice", name))
    assert kept["scene"].tolist() == ["a_1", "b_2", "all"] * 2
    lines = scenes.scenes_table(kept).splitlines()
    assert (
        lines[2]
        == "| `ablation_dice` | others | a_1 | 4 (1) | 0.400 | 0.500 | 0.900 | 0.200 | 0.100 | 0.300 |"
    )
    assert (
        lines[7]
        == "| `ablation_dice` | tiles | all | 8 (2) | 0.600 | 0.700 | 1.000 | 0.200 | 0.100 | 0.300 |"
    )
    assert scenes.main(["--work", str(tmp_path / "none")]) == 2


def test_curves_are_drawn_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("pan_overfit", "pan_whole_tiles"):
        write_run(tmp_path, name, 0.5, None)
    drawing = tmp_path / "curves.png"
    flags = ["--work", str(tmp_path), "--out", str(drawing)]
    assert draw_curves([*flags, "pan_overfit", "pan_whole_tiles"]) == 0
    assert drawing.stat().st_size > 5000
    assert draw_curves([*flags, "fcn8s_vgg16"]) == 2
    assert "is missing" in capsys.readouterr().err
