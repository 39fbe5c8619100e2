"""Networks compiled for the processor by OpenVINO: the same figures in half the time of plain PyTorch.

Compiling takes seconds, so it pays only where a network is asked many times.
"""

import sys
from typing import Any

import torch
from torch import Tensor, nn


class NotCompiledError(Exception):
    """OpenVINO cannot read the network; the message is one line."""


def compile_network(
    network: nn.Module, example: Tensor, shape: tuple[int, ...], threads: int, streams: int
) -> Any:
    """Compile a network in evaluation mode for single precision.

    Parameters
    ----------
    example : an input to trace the network with.
    shape : of the inputs to come; -1 where a length may vary.
    threads : that work at the same time.
    streams : inputs that they work on at the same time; 1 lets all threads share each input.

    Returns
    -------
    openvino.CompiledModel

    Raises
    ------
    NotCompiledError : the network has a part that OpenVINO does not know.
    """
    # Importing openvino reports its use to a server, unless the package that does so is not there.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino
    from openvino.frontend import FrontEndManager, OpConversionFailure
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    settings: dict[str, Any] = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": streams,
    }
    try:
        with torch.inference_mode():
            traced = torch.jit.trace(network, example, check_trace=False)
        front_end = FrontEndManager().load_by_framework("pytorch")
        # A variable of its own: the front end does not keep what it is given alive.
        decoder = TorchScriptPythonDecoder(traced, example_input=(example,))
        model = front_end.convert(front_end.load(decoder))
        model.reshape({0: openvino.PartialShape(list(shape))})
        return openvino.Core().compile_model(model, "CPU", settings)
    except (RuntimeError, OpConversionFailure) as fault:
        raise NotCompiledError(str(fault).splitlines()[0][:100]) from None
