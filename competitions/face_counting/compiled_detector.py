"""Detectors compiled by OpenVINO for a CPU: the same boxes in half the time or less."""

import sys
from typing import Any

import numpy as np
import torch

from competitions.face_counting.detector import DenseDetector, Detections, surest
from competitions.face_counting.experiment import CountingSettings

LEAST_CANVASES = 200
"""Compiling takes seconds: it pays from about so many canvases on."""


class CompiledDetector:
    """A trained network behind the same call as `detector.detect`.

    Each thread looks at a canvas of its own: threads that share one wait for each other.

    Parameters
    ----------
    network : in evaluation mode, on the CPU.
    threads : as many as torch has when None.
    """

    def __init__(
        self, network: DenseDetector, counting: CountingSettings, threads: int | None = None
    ) -> None:
        self.network, self.counting = network, counting
        self.threads = threads or torch.get_num_threads()
        self.queues: dict[tuple[int, int] | None, Any] = {}

    def detect(self, canvases: torch.Tensor) -> list[Detections]:
        """As `detector.detect`: one Detections a canvas (batch, 3, height, width) uint8."""
        height, width = canvases.shape[-2:]
        # A network that works for any size is compiled once.
        size = None if self.network.any_size else (height, width)
        if size not in self.queues:
            self.queues[size] = self._compile(canvases[:1])
        queue, found = self.queues[size], dict[int, Detections]()

        def keep(request: Any, row: int) -> None:
            raw = [torch.from_numpy(np.array(output.data)) for output in request.output_tensors]
            ((boxes, scores),) = self.network.decoded(raw, height, width)
            found[row] = surest(boxes, scores, self.counting)

        queue.set_callback(keep)
        for row, canvas in enumerate(canvases):
            queue.start_async([self.network.as_input(canvas[None]).contiguous().numpy()], row)
        queue.wait_all()
        return [found[row] for row in range(len(canvases))]

    def _compile(self, canvas: torch.Tensor) -> Any:
        # Importing openvino reports its use to a server, unless the package that does so is not there.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        example = self.network.as_input(canvas).contiguous()
        with torch.inference_mode():
            traced = torch.jit.trace(self.network, example, check_trace=False)
        front_end = FrontEndManager().load_by_framework("pytorch")
        # A variable of its own: the front end does not keep what it is given alive.
        decoder = TorchScriptPythonDecoder(traced, example_input=(example,))
        model = front_end.convert(front_end.load(decoder))
        sides = (-1, -1) if self.network.any_size else tuple(example.shape[-2:])
        model.reshape({0: openvino.PartialShape([1, 3, *sides])})
        settings = {
            "INFERENCE_NUM_THREADS": self.threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": self.threads,
        }
        compiled = openvino.Core().compile_model(model, "CPU", settings)
        return openvino.AsyncInferQueue(compiled, self.threads)
