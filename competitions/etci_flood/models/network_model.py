"""A segmentation network as a model that maps floods: trained, loaded, with test-time augmentation."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from common.base.console import log
from common.base.errors import InputError
from common.files.weights import save_weights
from common.learn.arrays import Float32, Int64, UInt8
from common.learn.compiled_network import NotCompiledError, compile_network
from common.learn.device import torch_device
from common.learn.training import fit
from common.run.experiments import NoOptions, read_options
from common.run.job import Job
from common.run.trained import trained_experiment
from competitions.etci_flood.data.channels import input_channels
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.experiment import FloodExperiment, Tta
from competitions.etci_flood.models.base import (
    FittedFold,
    ModelKind,
    equal_weights,
    model_kind,
    predict_tiles,
    seed_fold,
)
from competitions.etci_flood.models.fuse_batchnorm import fuse_batchnorm
from competitions.etci_flood.models.networks import build_network, check_crop_size, trained_network
from competitions.etci_flood.models.pseudo_labels import pseudo_labels
from competitions.etci_flood.models.registry import MODEL_KINDS
from competitions.etci_flood.models.training import (
    FloodTiles,
    FloodTraining,
    calibration_loader,
    recalibrate_batchnorm,
    training_loader,
)

CHECKPOINT = "checkpoint.safetensors"
TTA_VIEWS: dict[Tta, list[tuple[int, bool]]] = {
    "none": [(0, False)],
    "flips": [(0, False), (0, True), (2, False), (2, True)],
    "d4": [(turns, flipped) for turns in range(4) for flipped in (False, True)],
}
"""Quarter turns, and whether the tile is flipped first."""
TILES_BEFORE_COMPILING = 400
"""A network is compiled after this many tiles (TTA views count); compiling takes as long as some hundred."""


@MODEL_KINDS.register("network")
class NetworkKind(ModelKind):
    """A segmentation network; folds are averaged."""

    def check(self) -> None:
        """Parents are for pseudo-labels only."""
        if self.settings.parents and not self.settings.training.pseudo_labels:
            raise InputError(
                f"{self.settings.name}: a network takes a parent for training.pseudo_labels only"
            )
        read_options(NoOptions, self.settings.options, "options")

    def fit(
        self, job: Job[FloodExperiment], arrays: TileArrays, training: Int64, held_out: Int64
    ) -> FittedFold:
        """Train the network (an interrupted training is resumed) and predict the held-out tiles."""
        settings = self.settings
        device = torch_device(job.device)
        extra = self._pseudo_labels(job, arrays, device) if settings.training.pseudo_labels else {}
        seed = seed_fold(job.seed, job.fold)
        network = build_network(settings.network, settings.channels, job.stage_args.weights)
        check_crop_size(network, settings)
        calibration = calibration_loader(arrays, training, settings)
        batch_size = settings.prediction.batch_size
        validation = DataLoader(FloodTiles(arrays, held_out, settings), batch_size=batch_size)
        history = fit(
            FloodTraining(network, settings.training, calibration),
            training_loader(arrays, training, settings, seed, extra),
            validation if len(held_out) else None,
            epochs=settings.training.epochs,
            folder=job.resume_dir,
            device=device,
            what=f"fold {job.fold}",
            validate_every=settings.training.validate_every,
        )
        recalibrate_batchnorm(network, calibration)
        checkpoint = job.fold_folder / CHECKPOINT
        save_weights(checkpoint, network.state_dict())
        model = NetworkModel(network, settings, device)
        metrics = {"train_tiles": float(len(training))}
        if settings.training.pseudo_labels:
            metrics["pseudo_labelled_tiles"] = float(len(extra))
        oof_maps = predict_tiles(equal_weights([model]), arrays, held_out, batch_size)
        return FittedFold(oof_maps, [checkpoint], metrics, history)

    def load_fold(self, folder: Path, device: str) -> "NetworkModel":
        """The network of one trained fold."""
        network = trained_network(self.settings.network, self.settings.channels, folder / CHECKPOINT)
        return NetworkModel(network, self.settings, device)

    def _pseudo_labels(self, job: Job[FloodExperiment], arrays: TileArrays, device: str) -> dict[int, UInt8]:
        """Masks from the parent's model of the same fold."""
        (parent,) = self.settings.parents
        source = trained_experiment(job.competition, parent, job.paths.work)
        model = model_kind(source.settings).load_fold(source.fold_folders[job.fold], device)
        return pseudo_labels(model, arrays, self.settings.prediction.batch_size)


class NetworkModel:
    """Mean probability over the TTA views of a tile (`base.FloodModel`).

    Parameters
    ----------
    network : maps (n, channels, height, width) to logits (n, 1, height, width).
    settings : its channels, its TTA and the context padding.
    """

    def __init__(self, network: nn.Module, settings: FloodExperiment, device: str) -> None:
        self.network = fuse_batchnorm(network).to(device)
        self.settings, self.device = settings, device
        self.padding = settings.prediction.context_padding
        self.needs_scene = settings.normalisation == "scene"
        self.tiles_mapped = 0
        self.compiled: dict[tuple[int, ...], Callable[[Tensor], Tensor] | None] = {}

    @torch.inference_mode()
    def probability(self, layers: UInt8, scale: Float32) -> Float32:
        """(n, height, width) for (n, 3, height + 2 padding, width + 2 padding)."""
        scene_scale = scale if self.needs_scene else None
        inputs = torch.from_numpy(input_channels(layers, self.settings.channels, scene_scale)).to(self.device)
        views = TTA_VIEWS[self.settings.prediction.tta]
        total = torch.zeros_like(inputs[:, 0])
        for turns, flipped in views:
            total += self._probability_of_view(inputs, turns, flipped)
        inside = slice(self.padding, -self.padding or None)
        probability: Float32 = (total / len(views))[:, inside, inside].cpu().numpy()
        return probability

    def _probability_of_view(self, inputs: Tensor, turns: int, flipped: bool) -> Tensor:
        view = torch.rot90(inputs.flip(-1) if flipped else inputs, turns, (-2, -1))
        logits = self._logits(view)
        probability = torch.sigmoid(logits[:, 0].float())
        restored = torch.rot90(probability, -turns, (-2, -1))
        return restored.flip(-1) if flipped else restored

    def _logits(self, view: Tensor) -> Tensor:
        """By the compiled network, once many tiles of that size have been mapped on a CPU."""
        size = tuple(view.shape[1:])
        self.tiles_mapped += len(view)
        if self.device == "cpu" and self.tiles_mapped > TILES_BEFORE_COMPILING and size not in self.compiled:
            self.compiled[size] = compiled(self.network, view)
        run = self.compiled.get(size)
        if run is not None:
            return run(view)
        logits: Tensor = self.network(view.contiguous(memory_format=torch.channels_last))
        return logits


def compiled(network: nn.Module, example: Tensor) -> Callable[[Tensor], Tensor] | None:
    """Compile a network with OpenVINO for batches of any length of tiles like `example`.

    Parameters
    ----------
    example : (n, channels, side, side).

    Returns
    -------
    From tiles to logits, in single precision and half the time; None where OpenVINO cannot read the network.
    """
    tile = example[:1].contiguous()
    try:
        threads = torch.get_num_threads()
        ready = compile_network(network, tile, (-1, *tile.shape[1:]), threads, streams=1)
    except NotCompiledError as fault:
        log(f"  not compiled, so slower: {fault}")
        return None

    def run(tiles: Tensor) -> Tensor:
        logits: Float32 = ready(tiles.contiguous().numpy())[0]
        return torch.from_numpy(logits.copy())

    return run
