"""Each part of the competition imports only the libraries that it needs."""

import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "torch", "lightgbm", "keras_tuner", "pmdarima", "statsforecast", "matplotlib")


def imported(code: str) -> set[str]:
    """The heavy libraries that a fresh interpreter has loaded after `code`."""
    names = (*HEAVY, "numpy", "pandas")
    check = f"{code}; import sys; print(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import competitions.bit_trader.competition, competitions.bit_trader.predict.own_data", set()),
        ("import competitions.bit_trader.pipeline", {"numpy", "pandas"}),
    ],
)
def test_stages_and_pipeline_are_light(code: str, expected: set[str]) -> None:
    assert imported(code) <= expected


def test_tensorflow_is_imported_for_neural_forecasters_only() -> None:
    build = (
        "from competitions.bit_trader.competition import COMPETITION as c; "
        "from competitions.bit_trader.models.factory import make_forecaster; "
        "make_forecaster(c.experiment('{}', 'sample'), 'cpu')"
    )
    for name in ("champion", "arima"):
        assert not imported(build.format(name)) & {"tensorflow", "torch"}
    assert "tensorflow" in imported(build.format("lstm_1x16"))
    assert "torch" not in imported(build.format("lstm_1x16"))
