"""The report's figures: matched products, F1 vs threshold and gallery size, lengths of match lists."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np

from common.base.paths import WorkPaths
from common.learn.arrays import Integers
from common.report.evaluation import stage_record
from common.run.competition import Figure, Finished
from competitions.shopee_matching.candidates.pairs import CandidatePairs, read_pairs
from competitions.shopee_matching.data.listings import Listings, load_listings
from competitions.shopee_matching.decision.match_rule import MatchRule, rule_of, select_matches
from competitions.shopee_matching.decision.tuning import PARTS, part_of, threshold_grid, within
from competitions.shopee_matching.experiment import ShopeeExperiment
from competitions.shopee_matching.report.gallery import draw_gallery
from competitions.shopee_matching.rules.metric import row_f1
from competitions.shopee_matching.rules.submission import read_truth

LIST_SIZES = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 10), (11, 20), (21, 51))
COLOURS = ("#3b6fb6", "#d1495b", "#2a9d6f", "#8d6cab", "#e09f3e")


@dataclass(frozen=True)
class OofCandidates:
    """The labelled gallery, its OOF candidates, and the rule that was tuned on them."""

    listings: Listings
    pairs: CandidatePairs
    rule: MatchRule


def draw_figures(finished: Finished, out: Path) -> list[Figure]:
    """Draw the gallery of test matches and, where there are labels, F1 over thresholds and list lengths."""
    submission = stage_record(finished, "make_submission")
    oof = stage_record(finished, "out_of_fold")
    if submission is None or oof is None:
        return []
    settings = ShopeeExperiment.model_validate(submission.experiment)
    paths = WorkPaths(finished.work)
    processed = paths.processed(settings.processed_folder())
    rule = rule_of(oof.decision)
    out.mkdir(parents=True, exist_ok=True)

    test = load_listings(processed / "test.parquet")
    groups = read_truth(finished.truth)[1] if finished.truth else None
    pairs = read_pairs(paths.test(settings.name, ".parquet"))
    gallery = out / "matches.jpg"
    draw_gallery(gallery, test, finished.data / "test_images", pairs, rule, groups)
    frames = "green: right, red: wrong" if groups is not None else "test labels hidden"
    figures = [
        Figure(
            gallery, "Matched products", f"Test listings (left) and what {settings.name} matched; {frames}."
        )
    ]
    if not rule.tuned:
        return figures

    found = OofCandidates(
        load_listings(processed / "train.parquet"),
        read_pairs(paths.experiment(settings.name) / "oof.parquet"),
        rule,
    )
    curves, sizes, wrong = out / "threshold.png", out / "list_sizes.png", out / "mistakes.jpg"
    draw_threshold_curves(curves, found)
    draw_list_sizes(sizes, found)
    searched = f"OOF candidates, searched in one gallery of {len(found.listings):,} listings."
    labels = found.listings.label_group
    draw_gallery(
        wrong, found.listings, finished.data / "train_images", found.pairs, rule, labels, mistakes=True
    )
    figures.append(Figure(wrong, "False positives", f"{searched} Only listings with a wrong match (red)."))
    if rule.gallery_slopes:
        growth = out / "gallery_size.png"
        draw_gallery_sizes(growth, found)
        adjusted = "Solid: thresholds adjusted to the gallery size; dashed: thresholds of the whole gallery."
        figures.append(Figure(growth, "F1 vs gallery size", f"Galleries of some of the products. {adjusted}"))
    figures.append(
        Figure(curves, "F1 vs threshold", f"{searched} Each score alone; the line is the tuned rule.")
    )
    figures.append(
        Figure(
            sizes,
            "Predicted matches per listing",
            f"{searched} Lengths of the match lists, predicted and true; the listing itself counts.",
        )
    )
    return figures


def draw_threshold_curves(path: Path, oof: OofCandidates) -> None:
    """One panel per score: mean F1 by its threshold alone; lines for the tuned rule and for only oneself."""
    mpl.use("Agg")
    from matplotlib import pyplot

    group = oof.listings.label_group
    reached = row_f1(*select_matches(oof.pairs, oof.rule), group).mean()
    alone = row_f1(oof.pairs.query[:0], oof.pairs.match[:0], group).mean()
    names = [name for name, scores in oof.pairs.scores.items() if np.isfinite(scores).any()]
    figure, axes = pyplot.subplots(
        1, max(1, len(names)), figsize=(3.3 * max(1, len(names)) + 0.6, 3), sharey=True, squeeze=False,
        constrained_layout=True,
    )  # fmt: skip
    for axis, name, colour in zip(axes[0], names, COLOURS, strict=False):
        grid = threshold_grid(oof.pairs.scores[name], len(group))
        rules = [oof.rule.model_copy(update={"thresholds": {name: value}, "min2": False}) for value in grid]
        f1 = [row_f1(*select_matches(oof.pairs, rule), group).mean() for rule in rules]
        axis.plot(grid, f1, color=colour, marker=".", markersize=3)
        if name in oof.rule.thresholds:
            axis.axvline(oof.rule.thresholds[name], color=colour, linestyle=":", linewidth=1)
        axis.axhline(reached, color="#222222", linewidth=1)
        axis.axhline(alone, color="#999999", linewidth=1, linestyle="--")
        axis.set_title(f"{name}: best {max(f1):.3f} alone", fontsize=9)
        axis.set_xlabel("threshold (dotted: chosen)", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.25)
    first = axes[0][0]
    first.set_ylabel("OOF mean F1", fontsize=8)
    first.text(
        0.02,
        reached,
        f"tuned rule {reached:.3f}",
        fontsize=7,
        va="bottom",
        transform=first.get_yaxis_transform(),
    )
    first.text(
        0.02,
        alone,
        f"only oneself {alone:.3f}",
        fontsize=7,
        va="bottom",
        transform=first.get_yaxis_transform(),
    )
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def draw_gallery_sizes(path: Path, oof: OofCandidates) -> None:
    """Mean F1 in galleries of some of the products, with adjusted and with fixed thresholds."""
    mpl.use("Agg")
    from matplotlib import pyplot

    label_group = oof.listings.label_group
    rows, adjusted, fixed = [], [], []
    for part in (0.0625, *sorted(PARTS), 1.0):
        kept = part_of(label_group, part, seed=0)
        smaller, groups = within(oof.pairs, kept), label_group[kept]
        rows.append(int(kept.sum()))
        adjusted.append(row_f1(*select_matches(smaller, oof.rule, len(groups)), groups).mean())
        fixed.append(row_f1(*select_matches(smaller, oof.rule), groups).mean())
    figure, axis = pyplot.subplots(figsize=(5, 2.8), constrained_layout=True)
    axis.plot(
        rows, adjusted, color=COLOURS[0], marker="o", markersize=4, label="adjusted to the gallery size"
    )
    axis.plot(rows, fixed, color=COLOURS[1], marker="o", markersize=4, linestyle="--", label="fixed")
    axis.set_xscale("log")
    axis.set_xlabel("listings in the gallery", fontsize=8)
    axis.set_ylabel("OOF mean F1", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=8, frameon=False)
    axis.grid(alpha=0.25)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def draw_list_sizes(path: Path, oof: OofCandidates) -> None:
    """Share of listings by the length of their match list, predicted and true."""
    mpl.use("Agg")
    from matplotlib import pyplot

    query, _ = select_matches(oof.pairs, oof.rule)
    predicted = 1 + np.bincount(query, minlength=len(oof.listings))
    _, group, size = np.unique(oof.listings.label_group, return_inverse=True, return_counts=True)
    figure, axis = pyplot.subplots(figsize=(6, 2.8), constrained_layout=True)
    places = np.arange(len(LIST_SIZES))
    axis.bar(places - 0.2, _shares(predicted), 0.4, label="predicted", color=COLOURS[0])
    axis.bar(places + 0.2, _shares(size[group]), 0.4, label="true", color="#b9b9b9")
    labels = [str(low) if low == high else f"{low} to {high}" for low, high in LIST_SIZES]
    axis.set_xticks(places, labels, fontsize=8)
    axis.set_xlabel("names in the match list, itself included", fontsize=8)
    axis.set_ylabel("share of listings", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=8, frameon=False)
    axis.grid(alpha=0.25, axis="y")
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def _shares(sizes: Integers) -> list[float]:
    return [float(((sizes >= low) & (sizes <= high)).mean()) for low, high in LIST_SIZES]
