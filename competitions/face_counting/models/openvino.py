"""Detectors compiled by OpenVINO for a CPU: the same boxes in less time."""

from typing import Any

import numpy as np
import torch

from common.learn.compiled_network import compile_network
from competitions.face_counting.experiment import CountingSettings
from competitions.face_counting.models.base import (
    DenseDetector,
    Detect,
    Detections,
    FaceDetector,
    detect,
    filter_boxes,
)

MIN_IMAGES = 200
"""Compiling takes seconds: it pays from about this number of images on."""


def detect_function(network: FaceDetector, counting: CountingSettings, device: str, images: int) -> Detect:
    """The call that finds faces with a trained network; compiled on a CPU where `images` are many."""
    network = network.to(device).eval()
    if device == "cpu" and isinstance(network, DenseDetector) and images >= MIN_IMAGES:
        return CompiledDetector(network, counting).detect
    return lambda batch: detect(network, batch.to(device), counting)


class CompiledDetector:
    """A trained network with the same call as `base.detect`.

    Each thread computes an image of its own, because threads that share one wait for each other.

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

    def detect(self, images: torch.Tensor) -> list[Detections]:
        """Detections of each image (batch, 3, height, width) uint8."""
        height, width = images.shape[-2:]
        # A network that works for any size is compiled once.
        size = None if self.network.any_size else (height, width)
        if size not in self.queues:
            self.queues[size] = self._compile(images[:1])
        queue, found = self.queues[size], dict[int, Detections]()

        def keep(request: Any, row: int) -> None:
            raw = [torch.from_numpy(np.array(output.data)) for output in request.output_tensors]
            ((boxes, scores),) = self.network.decode_outputs(raw, height, width)
            found[row] = filter_boxes(boxes, scores, self.counting)

        queue.set_callback(keep)
        for row, image in enumerate(images):
            queue.start_async([self.network.scale_pixels(image[None]).contiguous().numpy()], row)
        queue.wait_all()
        return [found[row] for row in range(len(images))]

    def _compile(self, image: torch.Tensor) -> Any:
        example = self.network.scale_pixels(image).contiguous()
        sides = (-1, -1) if self.network.any_size else tuple(example.shape[-2:])
        compiled = compile_network(self.network, example, (1, 3, *sides), self.threads, streams=self.threads)
        import openvino  # after compile_network, which keeps it from reporting its use

        return openvino.AsyncInferQueue(compiled, self.threads)
