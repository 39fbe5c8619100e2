import shutil
from pathlib import Path

import pytest

from competitions.face_counting.sample.sample_data import write_sample_data


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training and eight test pictures in the official layout; not to be changed."""
    folder = tmp_path_factory.mktemp("drawn")
    write_sample_data(folder, seed=7, scale=0.05)
    return folder


@pytest.fixture
def data(drawn: Path, tmp_path: Path) -> Path:
    """A copy of the drawn pictures, to be broken."""
    return Path(shutil.copytree(drawn, tmp_path / "data"))
