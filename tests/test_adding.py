"""The examples of docs/adding.md work: a part is one module and one entry of experiments.toml."""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from common.base.errors import InputError
from common.base.paths import ROOT, WorkPaths
from common.run.competition import Competition
from common.run.experiments import experiment_names
from common.run.job import StageName
from common.run.registry import Registry
from common.run.run_record import read_record
from common.run.stage import Stage
from competitions.discovery import competition_of

BLOCK = re.compile(r"```(python|toml)\n# (competitions/(\w+)/(\S+))\n(.*?)```", re.DOTALL)
REGISTRIES = {
    "etci_flood": "models",
    "face_counting": "models",
    "bit_trader": "models",
    "shopee_matching": "candidates",
}
Added = Callable[[str], Competition[Any]]


def examples(slug: str, language: str) -> list[tuple[Path, str]]:
    """(path below the competition's folder, text) of each example of a language."""
    found = BLOCK.findall((ROOT / "docs" / "adding.md").read_text(encoding="utf-8"))
    return [(Path(path), text) for kind, _, owner, path, text in found if (kind, owner) == (language, slug)]


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Added]:
    """A competition with its examples: their modules in the room, their entries in experiments.toml."""
    modules = []

    def add(slug: str) -> Competition[Any]:
        room_name = f"competitions.{slug}.{REGISTRIES[slug]}"
        room, folder = import_module(room_name), tmp_path / REGISTRIES[slug]
        folder.mkdir()
        for path, text in examples(slug, "python"):
            assert path.parent.name == folder.name
            (folder / path.name).write_text(text)
            modules.append(f"{room_name}.{path.stem}")
        for registry in vars(import_module(f"{room_name}.registry")).values():
            if isinstance(registry, Registry):
                monkeypatch.setattr(registry, "_parts", dict(registry._parts))
        monkeypatch.setattr(room, "__path__", [*room.__path__, str(folder)])
        entries = "\n".join(text for _, text in examples(slug, "toml"))
        competition = competition_of(slug)
        own = competition.experiments_file.read_text(encoding="utf-8")
        (tmp_path / "experiments.toml").write_text(f"{own}\n{entries}")
        return replace(competition, folder=tmp_path)

    yield add
    for module in modules:
        sys.modules.pop(module, None)


@pytest.mark.parametrize("slug", REGISTRIES)
def test_every_entry_resolves_in_both_profiles(slug: str, added: Added) -> None:
    before = set(experiment_names(competition_of(slug).experiments_file))
    competition = added(slug)
    new = set(experiment_names(competition.experiments_file)) - before
    assert len(new) >= len(examples(slug, "toml")) > 0
    for name in new:
        for profile in ("full", "sample"):
            assert competition.experiment(name, profile).about
        with pytest.raises(InputError, match=f"unknown experiment '{name}'"):
            competition_of(slug).experiment(name, "full")


STAGES: dict[StageName, str] = {
    "preprocess": "preprocess",
    "train_folds": "train_fold",
    "infer": "infer",
    "make_submission": "make_submission",
}


@pytest.mark.parametrize(
    ("slug", "experiment"),
    [("etci_flood", "vv_histogram"), ("bit_trader", "linear_trend"), ("shopee_matching", "first_words")],
)
def test_all_stages_run_with_the_new_part(
    slug: str, experiment: str, added: Added, sample: Callable[[str], Path], tmp_path: Path
) -> None:
    competition, pipeline = added(slug), import_module(f"competitions.{slug}.pipeline")
    work, data = WorkPaths(tmp_path / "work"), sample(slug)
    flags = ["--experiment", experiment, "--work", str(work.work), "--set", "folds=2"]
    for stage, method in STAGES.items():
        given = [*flags, "--data", str(data)] if stage == "preprocess" else flags
        pool = pipeline.pool_folds if stage == "train_folds" else None
        Stage(competition, stage, "").run(getattr(pipeline, method), pool, given)
    (run,) = work.work.glob(f"{experiment}+*")
    submission = work.submission(run.name, competition.submission_suffix)
    assert competition.validate(submission, data) == []
    (metric, *_) = read_record(work.oof_record(run.name)).metrics.values()
    assert metric > 0


def test_a_segmentation_network(added: Added) -> None:
    import torch

    from competitions.etci_flood.models.networks import build_network

    settings = added("etci_flood").experiment("plain_cnn", "sample")
    network = build_network(settings.network, settings.channels)
    logits = network(torch.zeros(2, len(settings.channels), 64, 32))
    assert logits.shape == (2, 1, 64, 32)
    wrong = settings.network.model_copy(update={"options": {"widht": 16}})
    with pytest.raises(InputError, match="widht"):
        build_network(wrong, settings.channels)


def test_a_detector_learns_where_a_face_is(added: Added) -> None:
    import torch

    from competitions.face_counting.models.base import detect
    from competitions.face_counting.models.factory import build_detector

    settings = added("face_counting").experiment("center_heatmap", "sample")
    torch.manual_seed(1)
    network = build_detector(settings.detector)
    images = torch.full((1, 3, 64, 64), 40, dtype=torch.uint8)
    images[:, :, 16:48, 20:40] = 200
    face = torch.tensor([[20.0, 16.0, 40.0, 48.0]])
    optimizer = torch.optim.AdamW(network.parameters(), 0.02)
    for _ in range(150):
        loss = torch.stack(list(network.losses(images, [face]).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    (found,) = detect(network.eval(), images, settings.counting)
    assert found.scores[0] > 0.5
    assert found.boxes[0] == pytest.approx(face[0].numpy(), abs=12)
