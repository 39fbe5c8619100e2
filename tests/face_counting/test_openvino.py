import numpy as np
import pytest
import torch

from common.learn.seeding import seed_everything
from competitions.face_counting.experiment import CountingSettings, DetectorSettings
from competitions.face_counting.models.base import DenseDetector, detect
from competitions.face_counting.models.factory import build_detector
from competitions.face_counting.models.openvino import CompiledDetector
from tests.conftest import run_python


@pytest.mark.parametrize("settings", [DetectorSettings(family="retinaface"), DetectorSettings(size="n")])
def test_a_compiled_network_finds_the_same(settings: DetectorSettings) -> None:
    seed_everything(5)
    network = build_detector(settings).eval()
    assert isinstance(network, DenseDetector)
    everything = CountingSettings(score_threshold=0.0)
    compiled = CompiledDetector(network, everything, threads=1)
    for batch, height, width in ((2, 64, 96), (1, 64, 96), (1, 96, 64)):
        images = torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8)
        wanted, got = detect(network, images, everything), compiled.detect(images)
        assert len(wanted) == len(got) == batch
        for one, two in zip(wanted, got, strict=True):
            np.testing.assert_allclose(one.scores.sum(), two.scores.sum(), rtol=1e-3)
            np.testing.assert_allclose(one.scores[:5], two.scores[:5], atol=1e-4)
            assert abs(len(one.boxes) - len(two.boxes)) <= 2  # ties fall either way


def test_compiling_uses_no_network() -> None:
    done = run_python(
        "-c",
        "import torch\n"
        "from competitions.face_counting.models.openvino import CompiledDetector\n"
        "from competitions.face_counting.models.factory import build_detector\n"
        "from competitions.face_counting.experiment import CountingSettings, DetectorSettings\n"
        "network = build_detector(DetectorSettings(family='retinaface')).eval()\n"
        "image = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)\n"
        "CompiledDetector(network, CountingSettings()).detect(image)\n",
    )
    assert done.code == 0, done.text
