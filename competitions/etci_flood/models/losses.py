"""Training losses, of (n, 1, height, width) logits and masks."""

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from competitions.etci_flood.experiment import Loss


class FloodLoss(nn.Module):
    """A loss by its name in experiments.toml; `<name>_cross_entropy` is the mean of both.

    cross_entropy is binary. dice (Milletari et al. 2016) and lovasz (Berman et al. 2018) measure the overlap
    over the whole batch; focal (Lin et al. 2017) has gamma 2.
    """

    def __init__(self, name: Loss) -> None:
        super().__init__()
        known = {
            "cross_entropy": nn.BCEWithLogitsLoss,
            "dice": lambda: smp.losses.DiceLoss("binary"),
            "lovasz": lambda: smp.losses.LovaszLoss("binary", per_image=False),
            "focal": lambda: smp.losses.FocalLoss("binary", gamma=2.0),
        }
        first, separator, _ = name.partition("_cross_entropy")
        names = [first, "cross_entropy"] if separator else [name]
        self.terms = nn.ModuleList(known[each]() for each in names)

    def forward(self, logits: Tensor, flood: Tensor) -> Tensor:
        """The loss, a scalar."""
        total: Tensor = sum(term(logits, flood) for term in self.terms) / len(self.terms)
        return total
