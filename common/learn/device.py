"""Where torch computes."""

from common.base.errors import InputError


def torch_device(requested: str) -> str:
    """`cpu` or `cuda` for a --device of auto, cpu or cuda; InputError when cuda is not there."""
    import torch

    available = torch.cuda.is_available()
    if requested == "cuda" and not available:
        raise InputError("--device cuda: torch sees no CUDA device here; use --device cpu or auto")
    return "cuda" if available and requested != "cpu" else "cpu"
