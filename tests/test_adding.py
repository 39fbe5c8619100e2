"""The examples of docs/adding.md work: a part is one module and one entry of experiments.toml."""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.base.errors import InputError
from common.base.paths import ROOT
from common.run.competition import Competition
from common.run.experiments import experiment_names
from common.run.registry import Registry
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
