"""The random search: resumed, saved, loaded."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from competitions.bit_trader.experiment import BitTraderExperiment, Cnn, Recurrence, Search, Training


def paths(samples: int, minutes: int, seed: int = 0) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(size=(samples, minutes))
    return np.exp(np.cumsum(0.001 * steps, axis=1)).astype(np.float32)


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
def test_an_interrupted_search_continues_after_its_finished_trials(
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
