"""One seed for every source of randomness in the process."""

import os
import random
import sys

import numpy as np


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and whichever of torch and tensorflow has been imported.

    Call it after the imports. With the same seed on the same CPU the results are the same, byte for byte.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Nothing here reads what it did not write, and filling new tensors takes a fifth of a training step.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if "tensorflow" in sys.modules:
        import keras
        import tensorflow

        keras.utils.set_random_seed(seed)
        tensorflow.config.experimental.enable_op_determinism()


def derived_seed(seed: int, *parts: int | str) -> int:
    """A 32-bit seed from `seed` and what it is for (fold 3, epoch 7); the same in every process."""
    import hashlib

    text = ":".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
