"""Networks compiled for the processor, once they have mapped many tiles: the same maps in half the time."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from common.base.console import log
from common.learn.compiled_network import NotCompiledError, compile_network

FloatArray = npt.NDArray[np.float32]


def compiled(network: nn.Module, example: Tensor) -> Callable[[Tensor], Tensor] | None:
    """Compile a network for batches of any length of tiles like `example`, (n, channels, side, side).

    Returns
    -------
    From tiles to logits, in single precision; None where OpenVINO cannot read the network.
    """
    tile = example[:1].contiguous()
    try:
        threads = torch.get_num_threads()
        ready = compile_network(network, tile, (-1, *tile.shape[1:]), threads, streams=1)
    except NotCompiledError as fault:
        log(f"  not compiled, so slower: {fault}")
        return None

    def run(tiles: Tensor) -> Tensor:
        logits: FloatArray = ready(tiles.contiguous().numpy())[0]
        return torch.from_numpy(logits.copy())

    return run
