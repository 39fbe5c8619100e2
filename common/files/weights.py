"""Network weights on disk: safetensors, or torch files read with weights_only=True; no pickles."""

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

from common.base.atomic import atomic_write
from common.base.errors import InputError
from common.base.paths import display_path

if TYPE_CHECKING:
    import torch

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


def save_weights(path: Path, state: "dict[str, torch.Tensor]") -> None:
    """Write a state dict as safetensors, whole or not at all."""
    from safetensors.torch import save_file

    with atomic_write(path) as partial:
        save_file(
            {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}, partial
        )


def load_weights(path: Path) -> "dict[str, torch.Tensor]":
    """Read a state dict; InputError when the file is missing, cut short or holds anything but tensors."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise InputError(f"{display_path(path)}: no such weights file")
    try:
        state = (
            load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
        )
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as fault:
        first = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise InputError(f"{display_path(path)}: not a readable weights file ({first[:120]})") from None
    for wrapper in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{display_path(path)}: expected a state dict of tensors")
    return state


def find_weights(folder: Path, name: str) -> Path:
    """The file `<name>.safetensors|.pt|.pth|.bin` in `folder`; InputError naming what was looked for."""
    for suffix in SUFFIXES:
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return path
    raise InputError(
        f"{display_path(folder)}: holds no weights for {name!r}; "
        f"expected {name}.safetensors, .pt, .pth or .bin"
    )
