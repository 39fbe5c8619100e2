"""Weights files: what is read, what is refused."""

import pickle
from pathlib import Path

import pytest
import torch

from common.base.errors import InputError
from common.files.weights import find_weights, load_weights, save_weights

STATE = {"layer.weight": torch.arange(6.0).reshape(2, 3)}


def test_round_trip_and_torch_files(tmp_path: Path) -> None:
    save_weights(tmp_path / "net.safetensors", STATE)
    torch.save({"state_dict": STATE}, tmp_path / "other.pth")
    assert torch.equal(load_weights(tmp_path / "net.safetensors")["layer.weight"], STATE["layer.weight"])
    assert torch.equal(load_weights(tmp_path / "other.pth")["layer.weight"], STATE["layer.weight"])
    assert find_weights(tmp_path, "other").name == "other.pth"
    with pytest.raises(InputError, match="no weights for 'third'"):
        find_weights(tmp_path, "third")


class Foreign:
    """Stands for code hidden in a pickle."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("this must never run",))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_broken_and_foreign_files_are_refused(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"net{suffix}"
    with pytest.raises(InputError, match="no such weights file"):
        load_weights(path)
    for content in (b"", b"PK half a file", pickle.dumps(Foreign())):
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a readable weights file"):
            load_weights(path)
    assert "must never run" not in capsys.readouterr().out
