"""experiments.toml: layers, types, unknown keys."""

from pathlib import Path

import pytest

from common.base.errors import InputError
from common.run.experiments import Experiment, Settings, experiment_names, load_experiment


class Training(Settings):
    epochs: int = 1
    rate: float = 0.1


class Sample(Experiment):
    training: Training = Training()


TOML = """
[defaults.training]
rate = 0.5
[profiles.sample.training]
epochs = 2
[profiles.full]
[experiments.champion]
[experiments.long]
paper = "Table 2, row 1"
reported = 1
training = { epochs = 50 }
[experiments.long.profiles.sample.training]
rate = 0.9
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "experiments.toml"
    path.write_text(TOML)
    return path


def test_layers_are_merged_key_by_key(file: Path) -> None:
    full = load_experiment(file, Sample, "long", "full")
    assert (full.training.epochs, full.training.rate, full.reported) == (50, 0.5, 1.0)
    sample = load_experiment(file, Sample, "long", "sample")
    assert (sample.training.epochs, sample.training.rate) == (2, 0.9)
    assert experiment_names(file) == ["champion", "long"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("epoch = 3", "'epoch': is no known key"),
        ("training = { epoch = 3 }", "'training.epoch': is no known key"),
        ('training = { epochs = "3" }', "'training.epochs'"),
        ("training = { epochs = 3.5 }", "'training.epochs'"),
        ("folds = true", "'folds'"),
    ],
)
def test_unknown_keys_and_wrong_types_are_named(file: Path, entry: str, words: str) -> None:
    file.write_text(TOML + f"[experiments.wrong]\n{entry}\n")
    with pytest.raises(InputError, match=words):
        load_experiment(file, Sample, "wrong", "full")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[default]", "unknown table 'default'"),
        ("[profiles.tiny]", "unknown profile 'tiny'"),
        ("a =", "not valid TOML"),
    ],
)
def test_malformed_files_are_refused(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=words):
        load_experiment(file, Sample, "champion", "full")


def test_an_unknown_name_lists_those_there_are(file: Path) -> None:
    with pytest.raises(InputError, match="champion, long"):
        load_experiment(file, Sample, "best", "full")
