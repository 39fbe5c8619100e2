"""Retriever `text_encoder`: cosine of title embeddings by a transformer."""

import shutil
from pathlib import Path

from common.base.atomic import atomic_write
from common.learn.arrays import Bools
from common.learn.device import torch_device
from common.run.job import Job
from competitions.shopee_matching.candidates.base import Embeddings, Gallery
from competitions.shopee_matching.candidates.encoder_retriever import CHECKPOINT, EncoderRetriever
from competitions.shopee_matching.candidates.registry import RETRIEVERS
from competitions.shopee_matching.data.availability import titles_available
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.data.vectors import unit_rows
from competitions.shopee_matching.experiment import ShopeeExperiment, TextSettings
from competitions.shopee_matching.models.encoders.text import (
    TextEncoder,
    encoder_folder,
    initial_encoder,
    load_encoder,
    packaged_folder,
    title_embeddings,
)
from competitions.shopee_matching.models.encoders.training import train_on_titles

KEPT = "encoder"
"""Sub-folder of a fold with the tokenizer and configuration of an encoder that no package carries."""


@RETRIEVERS.register("text_encoder")
class TextEncoderRetriever(EncoderRetriever):
    """A sentence encoder, pretrained or fine-tuned on label groups."""

    READS = ("titles",)

    @property
    def training(self) -> TextSettings:
        """Table `text` of the experiment."""
        return self.settings.text

    def keep(self, job: Job[ShopeeExperiment]) -> list[Path]:
        """Tokenizer and configuration of an encoder that no package carries (and its weights)."""
        source = encoder_folder(self.training.encoder, self.weights)
        if source == packaged_folder(self.training.encoder):
            return []
        patterns = ["*.json", "*.txt", "*.model"] + ([] if self.needs_labels else ["*.safetensors"])
        kept = []
        for file in sorted(file for pattern in patterns for file in source.glob(pattern)):
            kept.append(job.fold_folder / KEPT / file.name)
            with atomic_write(kept[-1]) as partial:
                shutil.copyfile(file, partial)
        return kept

    def train(
        self, job: Job[ShopeeExperiment], listings: Listings, trained_on: Bools, checkpoint: Path
    ) -> list[dict[str, float]]:
        """Fine-tune on titles."""
        return train_on_titles(job, listings, trained_on, checkpoint)

    def embed(self, gallery: Gallery) -> Embeddings:
        """Unit rows by the network of each fold; zeros for titles that identify no product."""
        titles, device = gallery.listings.title, torch_device(self.device)
        unknown = ~titles_available(titles)
        models = []
        for folder in self.model_folders:
            rows = unit_rows(title_embeddings(self._encoder(folder), titles, device))
            rows[unknown] = 0
            models.append(rows)
        return Embeddings(models)

    def _encoder(self, fold_folder: Path) -> TextEncoder:
        source = encoder_folder(self.training.encoder, self.weights, fold_folder / KEPT)
        if self.needs_labels:
            return load_encoder(self.training, fold_folder / CHECKPOINT, source)
        return initial_encoder(self.training, source)
