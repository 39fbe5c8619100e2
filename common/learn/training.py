"""Training with Lightning: seeded by epoch, resumed from the last checkpoint, recorded epoch by epoch."""

import logging
import os
import pickle
import warnings
from collections.abc import Iterator, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.plugins.io import CheckpointIO
from torch.utils.data import Sampler

from common.base.atomic import atomic_write
from common.base.console import log
from common.learn.seeding import derived_seed, seed_everything

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)

History = list[dict[str, float]]


class EpochSampler(Sampler[int]):
    """Rows in an order that depends on seed and epoch alone; seeds everything else as each epoch begins.

    So a resumed training sees what it would have seen, and draws the same dropout and augmentations.

    Parameters
    ----------
    rows : number of rows, or the data set.
    weights : chance of each row, drawn with replacement; None visits each row once.
    length : rows an epoch; as many as there are when None.
    augmentations : albumentations pipeline that the data set applies; it keeps a random generator of its own.
    """

    def __init__(
        self,
        rows: int | Sized,
        seed: int,
        weights: torch.Tensor | None = None,
        length: int | None = None,
        augmentations: Any = None,
    ) -> None:
        self.rows = rows if isinstance(rows, int) else len(rows)
        self.seed, self.weights, self.length, self.epoch = seed, weights, length or self.rows, 0
        self.augmentations = augmentations

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def begin_epoch(self) -> int:
        """Seed everything for the epoch, the augmentations too; returns the epoch's seed."""
        seed = derived_seed(self.seed, "epoch", self.epoch)
        seed_everything(seed)
        if self.augmentations is not None:
            self.augmentations.set_random_seed(seed)
        return seed

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.begin_epoch())
        if self.weights is not None:
            yield from torch.multinomial(self.weights, self.length, True, generator=generator).tolist()
            return
        order: list[int] = []
        while len(order) < self.length:
            order += torch.randperm(self.rows, generator=generator).tolist()
        yield from order[: self.length]


class _AtomicCheckpoints(CheckpointIO):
    """Checkpoints that appear whole or not at all, in their own folder; the one before is kept.

    Lightning's own way writes to the folder for temporary files first and copies from there.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        target = Path(path)
        with atomic_write(target) as partial:
            torch.save(checkpoint, partial)
            if target.is_file():
                target.replace(_earlier(target))

    def load_checkpoint(
        self,
        path: Any,
        map_location: Any = None,
        weights_only: bool | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        loaded: dict[str, Any] = torch.load(path, map_location or "cpu", weights_only=True)
        return loaded

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def _earlier(checkpoint: Path) -> Path:
    return checkpoint.with_name(f"earlier{checkpoint.suffix}")


def _resumable(last: Path, what: str) -> str | None:
    """The newest checkpoint that can be read; what cannot be read is reported and its epoch trained again."""
    for file in (last, _earlier(last)):
        if not file.is_file():
            continue
        try:
            torch.load(file, "cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError):
            log(f"  {what}: {file.name} is damaged, so its epoch is trained again")
            file.unlink()
        else:
            return str(file)
    return None


class _EpochLog(Callback):
    """Keep each epoch's figures and say them in one line."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.history: History = []

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = list(state_dict["history"])

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        trainer.callback_metrics.clear()  # an epoch without validation would repeat older figures

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        metrics = trainer.callback_metrics.items()
        figures = {name: round(float(value), 6) for name, value in metrics if value.numel() == 1}
        self.history.append({"epoch": trainer.current_epoch + 1, **figures})
        text = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        log(f"  {self.what}: epoch {trainer.current_epoch + 1} of {trainer.max_epochs}, {text}")


def fit(
    module: lightning.LightningModule,
    train: "DataLoader[Any]",
    held_out: "DataLoader[Any] | None",
    *,
    epochs: int,
    folder: Path,
    device: str,
    what: str,
    grad_clip_norm: float | None = None,
    validate_every: int = 1,
) -> History:
    """Train `module` for `epochs`, going on from `folder/last.ckpt` when a killed training left one.

    Interrupted and uninterrupted trainings end in the same weights on a CPU when `train` shuffles by an
    `EpochSampler` and loads in this process (`num_workers=0`).

    Parameters
    ----------
    device : cpu or cuda (all the GPUs there are; bf16 mixed precision).
    grad_clip_norm : gradients are scaled down to this norm; None: not at all.
    validate_every : epochs between two runs over `held_out`.
    what : name of the training in what is said.

    Returns
    -------
    One dict an epoch: `epoch` and what the module logged.
    """
    epochs_log = _EpochLog(what)
    checkpoint = ModelCheckpoint(
        dirpath=folder,
        filename="last",
        save_top_k=1,
        enable_version_counter=False,
        save_on_train_epoch_end=True,  # after validation a checkpoint would lack this epoch's figures
    )
    last = folder / "last.ckpt"
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed" if device == "cuda" else "32-true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about worker counts and loggers, which are chosen here
        trainer = lightning.Trainer(
            accelerator="gpu" if device == "cuda" else "cpu",
            devices="auto" if device == "cuda" else 1,
            precision=precision,
            max_epochs=epochs,
            callbacks=[epochs_log, checkpoint],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            gradient_clip_val=grad_clip_norm,
            check_val_every_n_epoch=validate_every,
            num_sanity_val_steps=0,
            default_root_dir=folder,
            plugins=[_AtomicCheckpoints()],
        )
        resume = _resumable(last, what)
        try:
            trainer.fit(module, train, cast(Any, held_out), ckpt_path=resume, weights_only=True)
        except SystemExit:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from None
    return epochs_log.history
