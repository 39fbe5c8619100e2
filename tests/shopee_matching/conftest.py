"""A small sample catalogue, drawn once."""

from pathlib import Path

import pytest

from competitions.shopee_matching.sample.sample_data import write_sample_data

SCALE = 0.1


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample data in the official layout: 40 labelled and 20 test listings. Only to be read."""
    folder = tmp_path_factory.mktemp("catalogue")
    write_sample_data(folder, 5, SCALE)
    return folder
