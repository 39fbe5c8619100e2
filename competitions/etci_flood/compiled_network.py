"""Networks compiled for the processor by OpenVINO: the same maps in half the time of plain PyTorch.

Compiling takes seconds, so it is done once a network has mapped many tiles.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from common.console import say

FloatArray = npt.NDArray[np.float32]


def compiled(network: nn.Module, example: Tensor) -> Callable[[Tensor], Tensor] | None:
    """Compile a network for batches of any length of tiles like `example`, (n, channels, side, side).

    Returns
    -------
    From tiles to logits, in single precision; None where OpenVINO cannot read the network.
    """
    # Importing openvino reports its use to a server, unless the package that does so is not there.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino
    from openvino.frontend import FrontEndManager, OpConversionFailure
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    tile = example[:1].contiguous()
    try:
        with torch.inference_mode():
            traced = torch.jit.trace(network, tile, check_trace=False)
        front_end = FrontEndManager().load_by_framework("pytorch")
        # A variable of its own: the front end does not keep what it is given alive.
        decoder = TorchScriptPythonDecoder(traced, example_input=(tile,))
        model = front_end.convert(front_end.load(decoder))
        model.reshape({0: openvino.PartialShape([-1, *tile.shape[1:]])})
        settings: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": 1,
        }
        ready = openvino.Core().compile_model(model, "CPU", settings)
    except (RuntimeError, OpConversionFailure) as fault:
        say(f"  not compiled, so slower: {str(fault).splitlines()[0][:100]}")
        return None

    def run(tiles: Tensor) -> Tensor:
        logits: FloatArray = ready(tiles.contiguous().numpy())[0]
        return torch.from_numpy(logits.copy())

    return run
