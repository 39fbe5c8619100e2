"""A killed training goes on and ends where an uninterrupted one ends."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from common.learn import training

lightning = training.lightning


class Regression(lightning.LightningModule):
    """Four numbers to one, with dropout, killed in epoch `killed_in`."""

    def __init__(self, killed_in: int | None) -> None:
        super().__init__()
        self.network = torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1)
        )
        self.killed_in = killed_in

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        if self.current_epoch == self.killed_in and index == 1:
            raise KeyboardInterrupt
        inputs, targets = batch
        loss = torch.nn.functional.mse_loss(self.network(inputs), targets)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), 1e-2)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)]


def train(folder: Path, killed_in: int | None = None) -> tuple[Regression, training.History]:
    torch.manual_seed(0)
    inputs = torch.randn(40, 4)
    rows = TensorDataset(inputs, inputs.sum(1, keepdim=True))
    module = Regression(killed_in)
    loader = DataLoader(rows, 8, sampler=training.EpochSampler(rows, seed=3))
    history = training.fit(module, loader, None, epochs=4, folder=folder, device="cpu", what="toy")
    return module, history


def test_killed_and_uninterrupted_end_in_the_same_weights(tmp_path: Path) -> None:
    whole, whole_history = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", killed_in=2)
    resumed, history = train(tmp_path / "killed")
    assert history == whole_history
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4]
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_damaged_checkpoint_is_reported_and_its_epoch_trained_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "no_such_folder"))
    whole, whole_history = train(tmp_path / "whole")
    for damaged in (["last.ckpt"], ["last.ckpt", "earlier.ckpt"]):
        folder = tmp_path / str(len(damaged))
        with pytest.raises(KeyboardInterrupt):
            train(folder, killed_in=2)
        for name in damaged:
            content = (folder / name).read_bytes()
            (folder / name).write_bytes(content[: len(content) // 2])
        capsys.readouterr()
        resumed, history = train(folder)
        assert capsys.readouterr().out.count("is damaged, so its epoch is trained again") == len(damaged)
        assert history == whole_history
        for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
            assert torch.equal(one, other)


def test_order_depends_on_the_epoch_and_visits_each_row_once() -> None:
    sampler = training.EpochSampler(10, seed=1)
    first = list(sampler)
    sampler.set_epoch(1)
    assert sorted(first) == list(range(10))
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_weighted_rows_and_another_length() -> None:
    weights = torch.tensor([0.0, 1.0, 3.0])
    drawn = list(training.EpochSampler(3, seed=1, weights=weights, length=400))
    assert len(drawn) == 400
    assert 0 not in drawn
    assert 2.2 < drawn.count(2) / drawn.count(1) < 4.2
