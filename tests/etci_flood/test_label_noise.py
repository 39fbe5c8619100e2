import numpy as np
import pytest

from competitions.etci_flood.data.label_noise import noisy_label_pixels


@pytest.mark.parametrize(
    ("wet", "share", "noisy"),
    [(40, 0.5, 0), (150, 0.5, 5000), (131, 0.5, 5000), (129, 0.5, 0), (150, 0.01, 0), (150, 1.0, 0)],
)
def test_a_flood_as_bright_as_its_dry_land_is_found(wet: int, share: float, noisy: int) -> None:
    flood = np.zeros((100, 100), np.uint8)
    flood[: round(100 * share)] = 1
    vv = np.where(flood, wet, 150).astype(np.uint8)
    assert noisy_label_pixels(vv, flood) == pytest.approx(noisy, abs=200)


def test_no_data_is_not_dry_land() -> None:
    flood = np.zeros((100, 100), np.uint8)
    flood[:30] = 1
    vv = np.where(flood, 60, 0).astype(np.uint8)
    vv[90:] = 150
    assert noisy_label_pixels(vv, flood) == 0


def test_a_lake_in_a_rectangle_over_land_is_still_noise() -> None:
    flood = np.zeros((100, 100), np.uint8)
    flood[:50] = 1
    vv = np.full((100, 100), 150, np.uint8)
    vv[:50, :40] = 10
    assert 2500 < noisy_label_pixels(vv, flood) < 3000
    vv[:50, :60] = 10
    assert noisy_label_pixels(vv, flood) == 0
