"""Detectors compiled by OpenVINO for a CPU: the same boxes in less time."""

from typing import Any

import numpy as np
import torch

from common.learn.compiled_network import compile_network
from competitions.face_counting.experiment import CountingSettings
from competitions.face_counting.models.base import DenseDetector, Detections, surest

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
        example = self.network.as_input(canvas).contiguous()
        sides = (-1, -1) if self.network.any_size else tuple(example.shape[-2:])
        compiled = compile_network(self.network, example, (1, 3, *sides), self.threads, streams=self.threads)
        import openvino  # after compile_network, which keeps it from reporting its use

        return openvino.AsyncInferQueue(compiled, self.threads)
