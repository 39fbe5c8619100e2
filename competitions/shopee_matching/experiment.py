"""The typed settings of one Shopee experiment."""

from typing import Any, Literal

from pydantic import Field

from common.experiments import Experiment, Settings

Branch = Literal["phash", "titles", "pictures", "union"]


class PerceptualHash(Settings):
    """Listings whose picture hashes differ in few of 64 bits."""

    largest_distance: int = 12
    """Pairs up to this Hamming distance are candidates; the radius itself is tuned out of fold."""


class Titles(Settings):
    """Cosine similarity of TF-IDF vectors of the decoded titles."""

    most_words: int = 25_000
    """Size of the vocabulary, the most frequent words first."""
    word_pattern: str = r"(?u)\b\w+\b"
    """What counts as a word; single characters do, because `1 l` and `2 l` are different products."""
    smallest_similarity: float = 0.2
    """Pairs from this cosine on are candidates; the threshold itself is tuned out of fold."""


class Pictures(Settings):
    """A network that is trained to tell the label groups apart, and whose embeddings are compared."""

    network: str = "eca_nfnet_l0"
    """Name of the architecture in timm."""
    depths: list[int] = Field(default_factory=list)
    """Blocks of each of an NFNet's four stages, where they shall not be the architecture's own."""
    weights: Literal["scratch", "imagenet"] = "scratch"
    """`imagenet` needs --weights; `scratch` takes what --weights holds, and says so, or starts from noise."""
    size: int = 64
    """Side of the square pictures, in pixels."""
    embedding: int = 512
    """Length of an embedding."""
    loss: Literal["softmax", "arcface"] = "arcface"
    """Plain classifier, or additive angular margin (Deng et al. 2019)."""
    margin: float = 17.0
    """ArcFace's margin, in degrees."""
    scale: float = 24.0
    """ArcFace's scale of the cosines."""
    copies: list[Literal["sobel", "rotation"]] = Field(default_factory=list)
    """What is added to the original pictures: their Sobel edges, their copies turned by 90 degrees."""
    epochs: int = 15
    """Passes over the pictures; the weights of the epoch with the lowest training loss are kept."""
    batch: int = 32
    """Pictures a step."""
    learning_rate: float = 1e-3
    """Highest rate of AdamW, after one tenth of the steps; then a cosine down to nothing."""
    weight_decay: float = 0.02
    """AdamW's weight decay."""
    clip_factor: float = 0.0
    """Adaptive gradient clipping of the backbone (Brock et al. 2021); 0 clips nothing."""


class ShopeeExperiment(Experiment):
    """One run: one branch, or the union of its parents."""

    branch: Branch
    """What listings are compared by; `union` joins the matches of the parents."""
    phash: PerceptualHash = PerceptualHash()
    """Settings of branch phash."""
    titles: Titles = Titles()
    """Settings of branch titles."""
    pictures: Pictures = Pictures()
    """Settings of branch pictures."""
    default_threshold: float = 1.0
    """Smallest score that matches when there are no labelled listings to tune it on."""
    try_two_matches: bool = True
    """Whether rows left alone may take their nearest candidate, where that helps out of fold."""

    def preprocessing(self) -> dict[str, Any]:
        """Folds, and the pictures' size where pictures are read."""
        return {"folds": self.folds, "picture_size": self.pictures.size if self.branch == "pictures" else 0}

    def processed_variant(self) -> str:
        """Hashes and titles share one set; pictures have one per size."""
        return f"pictures{self.pictures.size}px" if self.branch == "pictures" else ""
