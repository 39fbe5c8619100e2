"""Every experiment parses in both profiles, and its forecaster is built with the printed shapes."""

from pathlib import Path

import pytest

from common.base.errors import InputError
from common.base.paths import ROOT
from common.run.experiments import experiment_names, load_experiment
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.experiment import BitTraderExperiment, Cnn, Recurrence, Rnn
from competitions.bit_trader.models.factory import make_forecaster

NAMES = experiment_names(COMPETITION.experiments_file)


def experiment(name: str, profile: str = "full") -> BitTraderExperiment:
    return load_experiment(COMPETITION.experiments_file, BitTraderExperiment, name, profile)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_parses_and_builds(name: str) -> None:
    full, sample = experiment(name), experiment(name, "sample")
    assert full.about
    assert sample.folds == 3
    assert make_forecaster(sample, "auto").learns == (sample.forecaster != "arima")
    if full.paper:
        assert full.rule.kind == "paper_rule"
        assert full.not_in_paper, "the paper prints no lookback"


def test_all_nine_rows_of_table_3_are_there() -> None:
    papers = [experiment(name).paper for name in NAMES]
    assert "Table 2" in papers
    rows = {
        experiment(name).paper: experiment(name).reported
        for name in NAMES
        if "Table 3" in (experiment(name).paper or "")
    }
    assert all(rows.values())
    assert list(rows) == [f"Table 3, row {row}" for row in range(1, 10)]
    assert rows["Table 3, row 8"] == 16320.6726
    assert rows["Table 3, row 4"] == rows["Table 3, row 7"]


def test_the_printed_cnn() -> None:
    from competitions.bit_trader.models.networks import build_cnn

    printed = experiment("cnn_manual")
    assert (printed.training.epochs, printed.training.learning_rate, printed.cnn.dropout) == (10, 0.001, 0.4)
    network = build_cnn(printed.cnn, 240)
    assert network.output_shape == (None, 120)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Conv1D", "MaxPooling1D"] * 2 + ["Flatten", "Dense", "Dropout", "Dense"]
    # 2 * 300 + 300, 2 * 300 * 300 + 300, then (((240 - 1) / 2) - 1) / 2 = 59 steps of 300 filters
    by_hand = 900 + 180_300 + (59 * 300 * 100 + 100) + (100 * 120 + 120)
    assert network.count_params() == by_hand


def test_the_searched_cnn_and_the_recurrent_networks() -> None:
    from competitions.bit_trader.models.networks import build_cnn, build_rnn

    searched = build_cnn(experiment("cnn_search_best").cnn, 240)
    kinds = [type(layer).__name__ for layer in searched.layers]
    assert kinds[:8] == ["Conv1D", "AveragePooling1D"] * 4
    assert build_cnn(Cnn(filters=[4], padding="same"), 60).output_shape == (None, 120)
    network = build_rnn(Rnn(cell="gru", layers=2, dense_layers=2, units=32), 30)
    assert [type(layer).__name__ for layer in network.layers] == ["GRU", "GRU", "Dense", "Dense"]
    assert network.output_shape == (None, 60)


def test_the_search_space_is_that_of_table_2() -> None:
    search = experiment("cnn_random_search").search
    assert search.max_trials > 0
    assert (search.layers, search.filters[:2], search.dense_units[:2]) == ([3, 5], [32, 512], [30, 100])
    assert (search.dropout, search.learning_rate) == ([0.0, 0.5], [1e-4, 1e-2])
    assert sorted(search.pooling) == ["average", "max"]
    printed = experiment("cnn_random_search").cnn
    assert (printed.kernel_size, printed.padding) == (3, "same")


def test_plots_have_at_most_128_pixels() -> None:
    with pytest.raises(ValueError, match="128"):
        Recurrence(image_size=129)


def test_unknown_keys_and_wrong_types_are_named(tmp_path: Path) -> None:
    file = tmp_path / "experiments.toml"
    for text, word in (
        ("lokback = 3", "lokback"),
        ("rule = { kind = 'luck' }", "rule.kind"),
        ("folds = '5'", "folds"),
    ):
        file.write_text(f"[experiments.champion]\n{text}\n")
        with pytest.raises(InputError, match=word):
            load_experiment(file, BitTraderExperiment, "champion", "full")


def test_other_forecasters_need_no_other_processed_data() -> None:
    assert len({str(experiment(name, "sample").preprocessing()) for name in NAMES}) == 1
    assert COMPETITION.experiments_file == ROOT / "competitions" / "bit_trader" / "experiments.toml"
