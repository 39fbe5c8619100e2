"""Retriever `image_encoder`: cosine of image embeddings by a network trained on label groups."""

from pathlib import Path

import numpy as np

from common.files.weights import load_weights
from common.learn.arrays import Bools, Float32, Int32, Int64
from common.learn.device import torch_device
from common.run.job import Job
from competitions.shopee_matching.candidates.base import Embeddings, Gallery
from competitions.shopee_matching.candidates.embeddings import by_image
from competitions.shopee_matching.candidates.encoder_retriever import CHECKPOINT, EncoderRetriever
from competitions.shopee_matching.candidates.registry import RETRIEVERS
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.experiment import ImageSettings, ShopeeExperiment
from competitions.shopee_matching.models.encoders.classifier import predicted_classes, split_state
from competitions.shopee_matching.models.encoders.image import image_embeddings, load_network
from competitions.shopee_matching.models.encoders.training import train_on_images


@RETRIEVERS.register("image_encoder")
class ImageEncoderRetriever(EncoderRetriever):
    """Any timm architecture with an embedding layer."""

    READS = ("images",)

    @property
    def training(self) -> ImageSettings:
        """Table `image` of the experiment."""
        return self.settings.image

    def train(
        self, job: Job[ShopeeExperiment], listings: Listings, trained_on: Bools, checkpoint: Path
    ) -> list[dict[str, float]]:
        """Train on distinct images."""
        images = np.load(job.processed / "train_pictures.npy", mmap_mode="r")
        return train_on_images(job, images, listings, trained_on, checkpoint)

    def embed(self, gallery: Gallery) -> Embeddings:
        """Unit rows by the network of each fold; zeros without an image."""
        images, device = np.load(gallery.file("pictures.npy"), mmap_mode="r"), torch_device(self.device)
        image_row = gallery.listings.image_row
        outputs = [
            image_embeddings(load_network(self.training, folder / CHECKPOINT), images, device)
            for folder in self.model_folders
        ]
        models = [by_image(found, image_row) for found in outputs]
        by_class = self.settings.evaluation == "in_sample" and self.training.loss != "contrastive"
        return Embeddings(
            models, classes=self._classes(outputs[0], models[0], image_row) if by_class else None
        )

    def _classes(self, outputs: Float32, embeddings: Float32, image_row: Int32) -> Int64:
        """(n,) label group that the classifier predicts for each listing, -1 without an image."""
        _, classifier = split_state(load_weights(self.model_folders[0] / CHECKPOINT))
        known = embeddings.any(axis=1)
        # ArcFace compares directions; a plain classifier has a bias and depends on lengths.
        inputs = embeddings
        if "bias" in classifier:
            inputs = np.zeros_like(embeddings)
            inputs[image_row >= 0] = outputs[image_row[image_row >= 0]]
        return np.where(known, predicted_classes(inputs, classifier), -1)
