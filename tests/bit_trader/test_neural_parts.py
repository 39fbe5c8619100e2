"""Recurrence plots, mixup, and the random search: what they are, and that they resume."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competitions.bit_trader.experiment import BitTraderExperiment, Cnn, Recurrence, Search, Training
from competitions.bit_trader.models.mixup import mixup
from competitions.bit_trader.models.recurrence_plots import averaged, recurrence_plots, scaled_path


def paths(samples: int, minutes: int, seed: int = 0) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(size=(samples, minutes))
    return np.exp(np.cumsum(0.001 * steps, axis=1)).astype(np.float32)


def test_a_trajectory_by_hand() -> None:
    """Three points: (0, 0), (1/2, 1), (1, 0) in the plane of scaled time and scaled price."""
    series = np.array([[5.0, 9.0, 5.0]], np.float32)
    settings = Recurrence.model_construct(kind="trajectory", image_size=3, delay=1)
    side = np.hypot(0.5, 1)
    expected = np.array([[0, side, 1], [side, 0, side], [1, side, 0]]) / np.sqrt(2)
    assert recurrence_plots(series, settings)[0, :, :, 0] == pytest.approx(expected)


def test_delay_vectors_by_hand() -> None:
    """Prices 0, 1, 0, 1 scaled: delay vectors (0, 1), (1, 0), (0, 1)."""
    series = np.array([[2.0, 4.0, 2.0, 4.0]], np.float32)
    settings = Recurrence.model_construct(kind="delay", image_size=3, delay=1)
    assert recurrence_plots(series, settings)[0, :, :, 0] == pytest.approx(
        np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    )


def test_the_usual_plot_is_that_of_pyts(tmp_path: Path) -> None:
    series = scaled_path(averaged(paths(2, 100), 14))
    np.save(tmp_path / "series.npy", series)
    code = (
        "import numpy, sys; from pyts.image import RecurrencePlot; "
        "plots = RecurrencePlot(dimension=2, time_delay=2).fit_transform(numpy.load(sys.argv[1])); "
        "numpy.save(sys.argv[2], plots)"
    )
    # Without numba's compiler, which would take half a minute.
    environment = dict(os.environ, NUMBA_DISABLE_JIT="1")
    files = [str(tmp_path / name) for name in ("series.npy", "plots.npy")]
    command = [sys.executable, "-W", "ignore", "-c", code, *files]
    subprocess.run(command, env=environment, check=True, timeout=120)
    ours = recurrence_plots(paths(2, 100), Recurrence(kind="delay", image_size=12, delay=2))
    assert ours[..., 0] == pytest.approx(np.load(tmp_path / "plots.npy") / np.sqrt(2), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(20, 200), st.sampled_from(["trajectory", "delay"]), st.integers(8, 16)
)
def test_a_plot_is_a_distance_matrix(seed: int, minutes: int, sense: str, pixels: int) -> None:
    series = paths(2, minutes, seed)
    chosen = Recurrence(kind=sense, image_size=pixels)  # type: ignore[arg-type]
    plots = recurrence_plots(series, chosen)
    assert plots.shape == (2, pixels, pixels, 1)
    assert plots.dtype == np.float32
    assert ((plots >= 0) & (plots <= 1.000001)).all()
    assert np.array_equal(plots, plots.transpose(0, 2, 1, 3))
    assert not np.diagonal(plots[..., 0], axis1=1, axis2=2).any()
    # Neither level nor scale nor, and that is its weakness, direction.
    assert recurrence_plots(3 * series + 1, chosen) == pytest.approx(plots, abs=1e-4)
    assert recurrence_plots(3 - series, chosen) == pytest.approx(plots, abs=1e-4)


def test_a_path_that_never_moved_and_one_too_short() -> None:
    assert np.isfinite(recurrence_plots(np.ones((1, 40), np.float32), Recurrence(image_size=8))).all()
    with pytest.raises(ValueError, match="7 minutes"):
        recurrence_plots(np.ones((1, 7), np.float32), Recurrence(image_size=8))


def test_averages_by_hand() -> None:
    assert averaged(np.array([[1, 2, 3, 4, 5]], np.float32), 2).tolist() == [[1.5, 4.0]]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.05, 4))
def test_mixup_mixes_inputs_and_targets_by_one_share(seed: int, alpha: float) -> None:
    generator = np.random.default_rng(seed)
    value = generator.normal(size=9).astype(np.float32)
    inputs = value[:, None, None] * np.ones((9, 4, 2), np.float32)
    mixture, targets = mixup(inputs, 2 * value[:, None], alpha, generator)
    assert mixture.shape == inputs.shape
    assert mixture.dtype == np.float32
    assert mixture[:, 0, 0] * 2 == pytest.approx(targets[:, 0], abs=1e-5)
    assert mixture.min() >= value.min() - 1e-5
    assert mixture.max() <= value.max() + 1e-5


def test_without_alpha_nothing_is_mixed() -> None:
    inputs = np.ones((3, 2), np.float32)
    assert mixup(inputs, inputs, 0.0, np.random.default_rng(0))[0] is inputs


def tiny_search() -> dict[str, Any]:
    series = paths(20, 152, seed=3)
    return {
        "search": Search(max_trials=3, epochs=1, layers=[1, 2], filters=[2, 4, 2], dense_units=[2, 4, 2]),
        "cnn": Cnn(kernel_size=3, padding="same"),
        "inputs": series[:, :32],
        "targets": series[:, 32:],
        "batch_size": 8,
        "seed": 11,
    }


@pytest.mark.usefixtures("eagerly")
def test_a_killed_search_goes_on_behind_its_finished_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from competitions.bit_trader.models import random_search
    from competitions.bit_trader.models.random_search import read_search_result, search_cnn

    straight = search_cnn(**tiny_search(), folder=tmp_path / "straight")
    assert len(straight.trials) == 3
    losses = [trial["validation_loss"] for trial in straight.trials]
    best = straight.trials[int(np.argmin(losses))]
    assert straight.learning_rate == best["learning_rate"]
    assert straight.cnn.filters == [best[f"filters_{layer + 1}"] for layer in range(best["layers"])]
    assert (straight.cnn.kernel_size, straight.cnn.padding) == (3, "same")

    built: list[int] = []
    build = random_search.build_cnn

    def stopped_in_the_second(*given: Any) -> Any:
        built.append(1)
        if len(built) == 3:  # Keras Tuner builds once to learn the space
            raise KeyboardInterrupt
        return build(*given)

    with monkeypatch.context() as patch:
        patch.setattr(random_search, "build_cnn", stopped_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            search_cnn(**tiny_search(), folder=tmp_path / "broken")
    built.clear()

    def counted(*given: Any) -> Any:
        built.append(1)
        return build(*given)

    monkeypatch.setattr(random_search, "build_cnn", counted)
    resumed = search_cnn(**tiny_search(), folder=tmp_path / "broken")
    assert len(built) <= 3  # the space and the two trials that were missing
    assert [trial["validation_loss"] for trial in resumed.trials] == losses
    assert resumed == straight
    (tmp_path / "search.json").write_text(straight.as_json())
    assert read_search_result(tmp_path / "search.json") == straight
    assert json.loads(straight.as_json())["trials"] == straight.trials


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("forecaster", ["searched", "recurrence"])
def test_what_was_trained_forecasts_alike_when_loaded(forecaster: str, tmp_path: Path) -> None:
    from competitions.bit_trader.data.windows import Windows
    from competitions.bit_trader.models.factory import make_forecaster

    bars = np.repeat(paths(10, 152, seed=5)[:, :, None], 9, axis=2)
    number = np.arange(10)
    windows = Windows(number, number, number[:, None], bars[:, :32], bars[:, 32:])
    training = Training(epochs=1, batch_size=4, mixup_alpha=0.3)
    parts: dict[str, Any] = {"forecaster": "recurrence", "recurrence": Recurrence(image_size=8, filters=[2])}
    if forecaster == "searched":
        parts = {
            "search": tiny_search()["search"].model_copy(update={"max_trials": 2}),
            "cnn": Cnn(padding="same"),
        }
    settings = BitTraderExperiment(name="x", lookback=32, training=training, **parts)
    trained = make_forecaster(settings, "auto")
    trained.fit(windows, number[:8], tmp_path, seed=3)
    (tmp_path / "fold0").mkdir()
    files = trained.save(tmp_path / "fold0")
    assert (tmp_path / "fold0" / "search.json" in files) == (forecaster == "searched")
    loaded = make_forecaster(settings, "auto")
    loaded.load(tmp_path / "fold0")
    expected = trained.forecast(windows, number, tmp_path).paths
    assert np.array_equal(loaded.forecast(windows, number, tmp_path).paths, expected)
