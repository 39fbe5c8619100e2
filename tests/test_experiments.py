"""experiments.toml: layers, types, unknown keys."""

from pathlib import Path

import pytest

from common.base.errors import InputError
from common.run.experiments import (
    Experiment,
    Settings,
    experiment_names,
    load_experiment,
    read_experiments,
    read_options,
)
from common.run.overrides import parse_overrides


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
        ("experiments = 3", "experiments must be a table"),
        ("[experiments]\nchampion = 3", "experiments.champion must be a table"),
        ('[experiments."../../evil"]', "a name has lower-case letters"),
        ('[experiments.champion]\nextends = "nothing"', "extends 'nothing', which is no entry"),
        ('[experiments.champion]\nextends = "champion"', "a circle"),
        ('[experiments.champion]\nextends = "b"\n[base.b]\nextends = "champion"', "a circle"),
        ("[base.champion]\n[experiments.champion]", "is a base and an experiment"),
        ('[experiments.champion]\nparents = ["champion"]', "champion combines champion: a circle"),
        ('[experiments.champion]\nparents = ["b"]\n[experiments.b]\nparents = ["champion"]', "a circle"),
        ('[experiments.champion]\nparents = ["b"]', "its parent 'b' is no experiment"),
    ],
)
def test_malformed_files_are_refused(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=words):
        load_experiment(file, Sample, "champion", "full")


def test_an_unknown_name_lists_those_there_are(file: Path) -> None:
    with pytest.raises(InputError, match="champion, long"):
        load_experiment(file, Sample, "best", "full")


EXTENDED = """
[defaults]
folds = 4
[base.slow]
about = "not a run"
training = { epochs = 40, rate = 0.3 }
[experiments.champion]
extends = "quick"
about = "the best"
[experiments.quick]
extends = "slow"
about = "fewer epochs"
paper = "Table 1, row 9"
reported = 0.5
training.epochs = 4
[experiments.quick.profiles.sample]
training.epochs = 1
"""


def test_an_entry_extends_another_but_for_its_identity(file: Path) -> None:
    file.write_text(EXTENDED)
    assert experiment_names(file) == ["champion", "quick"], "a base is no experiment"
    champion = load_experiment(file, Sample, "champion", "full")
    assert (champion.training.epochs, champion.training.rate, champion.folds) == (4, 0.3, 4)
    assert (champion.about, champion.paper, champion.reported) == ("the best", None, None)
    assert load_experiment(file, Sample, "champion", "sample").training.epochs == 1


GRID = """
[experiments.champion]
[base.table]
training.rate = 0.2
[grid.table1]
extends = "table"
name = "run{epochs}_folds{k}"
about = "{epochs} epochs, {k} folds"
paper = "Table 1, row {row}"
reported = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
axes.epochs = { key = "training.epochs", values = [2, 4, 8] }
axes.k = { key = "folds", values = [3, 5] }
[experiments.last]
"""


def test_a_grid_has_an_entry_for_each_combination(file: Path) -> None:
    file.write_text(GRID)
    entries = read_experiments(file)
    made = [name for name in entries if name.startswith("run")]
    assert made == [f"run{epochs}_folds{k}" for k in (3, 5) for epochs in (2, 4, 8)], "first axis fastest"
    assert [entries[name]["reported"] for name in made] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    fourth = load_experiment(file, Sample, "run2_folds5", "full")
    assert (fourth.training.epochs, fourth.training.rate, fourth.folds) == (2, 0.2, 5)
    assert (fourth.paper, fourth.about) == ("Table 1, row 4", "2 epochs, 5 folds")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0.5, 0.6]", "0.5]", "6 combinations"),
        ("{k}", "{q}", "'q' is no axis"),
        ("{k}", "{k.real}", "'k.real' is no axis"),
        ("{k}", "{k:>999999999}", "is no axis"),
        ("{k}", "{k", "is no axis"),
        ('extends = "table"', 'extends = ["table"]', r"grid\.table1\.extends must be the name"),
        ('extends = "table"', 'extends = "tabel"', "extends 'tabel', which is no entry"),
        ("run{epochs}_folds{k}", "champion", "exists already"),
        ("run{epochs}_folds{k}", "../{epochs}{k}", "expected lower-case letters"),
        ("values = [3, 5]", "values = []", "axis 'k'"),
        ("about = ", "abuot = ", "unknown key 'abuot'"),
    ],
)
def test_wrong_grids_are_named(file: Path, old: str, new: str, words: str) -> None:
    assert old in GRID
    file.write_text(GRID.replace(old, new))
    with pytest.raises(InputError, match=words):
        read_experiments(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[experiments]\na = 3", r"experiments\.a must be a table"),
        ("[experiments.a]\nextends = 3", r"experiments\.a\.extends must be the name"),
        ("[experiments.a]\nextends = {b = 1}", r"experiments\.a\.extends must be the name"),
        ("[base.a]\nextends = []\n[experiments.b]", r"base\.a\.extends must be the name"),
        ("[experiments.a]\nprofiles = 3", r"a\.profiles must be a table"),
        ("[experiments.a]\nprofiles.sample = 3", r"a\.profiles must be a table"),
        ("[experiments.a]\nprofiles.tiny = {}", "unknown profile 'tiny'"),
        ("profiles.full = [1]\n[experiments.a]", "profiles must be a table"),
        ("[experiments.a]\nextends = 'a'", "a circle"),
        ("[experiments.'../../evil']", "a name has lower-case letters"),
    ],
)
def test_tables_of_another_shape_are_named(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=words):
        read_experiments(file)


def test_values_of_set_have_the_type_that_they_are_written_in() -> None:
    texts = ["a=3", "b.c=0.5", "d=true", "e=[1, 2]", "f=word", 'g="3"', "h=two words", "i = 1e-3"]
    assert parse_overrides(texts) == {
        "a": 3,
        "b.c": 0.5,
        "d": True,
        "e": [1, 2],
        "f": "word",
        "g": "3",
        "h": "two words",
        "i": 1e-3,
    }
    assert parse_overrides(["a=1\nb=2"]) == {"a": "1\nb=2"}, "one setting and no more"


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["a"], "expected key=value"),
        (["A=1"], "expected key=value"),
        (["a=1", "a=2"], "given twice"),
        (["a=1", "a.b=2"], "contains the other"),
        (["overrides=1"], "cannot be set"),
    ],
)
def test_wrong_set_is_refused(texts: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_overrides(texts)


def test_overrides_name_the_run_whatever_their_order(file: Path) -> None:
    one, other = (
        load_experiment(file, Sample, "long", "full", parse_overrides(texts))
        for texts in (["folds=3", "training.epochs=2"], ["training.epochs=2", "folds=3"])
    )
    assert one == other
    assert one.name.startswith("long+")
    assert one.processed_suffix, "another number of folds is another preprocessing"
    assert not load_experiment(file, Sample, "long", "full", {"training.epochs": 2}).processed_suffix


def test_options_of_a_part_are_checked_by_its_own_settings() -> None:
    assert read_options(Training, {"epochs": 3}, "network.options") == Training(epochs=3)
    with pytest.raises(InputError, match=r"network\.options\.epoch: is no known key; expected epochs, rate"):
        read_options(Training, {"epoch": 3}, "network.options")
    with pytest.raises(InputError, match=r"network\.options\.epochs: Input should be a valid integer"):
        read_options(Training, {"epochs": "3"}, "network.options")


def test_one_of_many_names_is_guessed(file: Path) -> None:
    file.write_text("".join(f"[experiments.run{number}]\n" for number in range(20)))
    with pytest.raises(InputError, match=r"did you mean run1 .*experiments .*` lists all 20") as fault:
        load_experiment(file, Sample, "run_1", "full")
    assert len(str(fault.value)) < 250
