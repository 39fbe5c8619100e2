import numpy as np
import pytest

from competitions.etci_flood.data.normalisation import centre_and_spread, centre_and_spread_of_histogram


@pytest.mark.parametrize("water", [0.0, 0.1, 0.3])
def test_water_hardly_moves_the_scale_of_a_scene(water: float) -> None:
    rng = np.random.default_rng(0)
    land = rng.normal(150, 20, 20_000)
    land[: int(water * len(land))] = 20
    centre, spread = centre_and_spread(land)
    assert centre == pytest.approx(150, abs=15)
    assert spread == pytest.approx(20, rel=0.5)


def test_a_histogram_has_the_same_scale() -> None:
    values = np.random.default_rng(0).normal(150, 20, 50_000).clip(0, 255).astype(np.uint8)
    counts = np.bincount(values, minlength=256)
    assert centre_and_spread_of_histogram(counts) == pytest.approx(
        centre_and_spread(values.astype(float)), abs=1.0
    )


def test_flat_images_have_some_spread() -> None:
    assert centre_and_spread(np.full(9, 7.0))[1] > 0
    assert centre_and_spread_of_histogram(np.eye(256, dtype=np.int64)[7])[1] > 0
    assert centre_and_spread_of_histogram(np.zeros(256, np.int64))[1] > 0
