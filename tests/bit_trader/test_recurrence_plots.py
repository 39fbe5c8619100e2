"""Recurrence plots by hand and against pyts."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competitions.bit_trader.experiment import Recurrence
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
def test_a_plot_is_a_distance_matrix(seed: int, minutes: int, kind: str, image_size: int) -> None:
    series = paths(2, minutes, seed)
    chosen = Recurrence(kind=kind, image_size=image_size)  # type: ignore[arg-type]
    plots = recurrence_plots(series, chosen)
    assert plots.shape == (2, image_size, image_size, 1)
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
