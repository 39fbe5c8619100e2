"""The ablation table from kept results; and a trial of thresholds that are tuned on a smaller gallery.

    python -m competitions.shopee_matching.report.ablation              # fills the table of the README
    python -m competitions.shopee_matching.report.ablation --work DIR   # tunes on a quarter of a run

The second form tunes on a quarter of the products, adjusts the thresholds to the size of the whole gallery
along the slopes that this quarter shows, and compares fixed, adjusted and fully tuned thresholds.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from common.base.console import log
from common.base.errors import InputError, explain_fault
from common.base.paths import WorkPaths
from common.report.results_table import ResultRow, figure, fill_markers, read_results, results_file
from common.run.experiments import read_experiments
from common.run.run_record import read_record
from competitions.shopee_matching.candidates.pairs import read_pairs
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.data.listings import load_listings
from competitions.shopee_matching.decision.match_rule import MatchRule, rule_of, select_matches
from competitions.shopee_matching.decision.tuning import part_of, tune_rule, with_slopes, within
from competitions.shopee_matching.experiment import ShopeeExperiment
from competitions.shopee_matching.rules.metric import row_f1

MARKERS = ("<!-- ablation -->", "<!-- /ablation -->")
ROWS = (
    "phash_exact",
    "phash",
    "tfidf",
    "tfidf_char_ngrams",
    "bert_pretrained_tuned",
    "minilm",
    "minilm_inb",
    "lab_histogram",
    "sift_vlad",
    "sift_ransac",
    "concat",
    "concat_inb",
    "union",
    "union_min2",
    "union_unit_filter",
    "union_size_prior",
    "union_all",
    "champion_light",
    "reranker_first_stage",
    "champion",
    "reranker_expected_f1",
    "reranker_size_prior",
)
PART = 0.25


def ablation_table(results: list[ResultRow]) -> str:
    """Markdown: OOF F1 of each retriever and of their fusions, one column per data set."""
    kept = {(row.experiment, row.data): row for row in results if row.oof is not None}
    data = list(dict.fromkeys(row.data for row in results if (row.experiment, row.data) in kept))
    about = read_experiments(COMPETITION.experiments_file)
    lines = [
        "| experiment | idea | " + " | ".join(data) + " |",
        "|---|---|" + "---|" * len(data),
    ]
    for name in ROWS:
        rows = [kept.get((name, each)) for each in data]
        cells = [figure(row.oof) if row else "not run" for row in rows]
        lines.append(f"| `{name}` | {about[name]['about']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def threshold_trial(work: Path, name: str, seed: int = 0) -> dict[str, float]:
    """OOF mean F1 in the whole gallery of rules tuned on a quarter of it, and on all of it."""
    paths = WorkPaths(work)
    record = read_record(paths.oof_record(name))
    settings = ShopeeExperiment.model_validate(record.experiment)
    listings = load_listings(paths.processed(settings.processed_folder()) / "train.parquet")
    pairs, groups = read_pairs(paths.experiment(name) / "oof.parquet"), listings.label_group
    whole = rule_of(record.decision)
    kept = part_of(groups, PART, seed)
    smaller, smaller_groups = within(pairs, kept), groups[kept]
    tuned = tune_rule(smaller, smaller_groups, whole, settings.rule.min2)
    rule = with_slopes(smaller, smaller_groups, tuned, seed)

    def f1(candidate: MatchRule, rows: int | None) -> float:
        return float(row_f1(*select_matches(pairs, candidate, rows), groups).mean())

    return {
        "listings tuned on": float(kept.sum()),
        "listings scored on": float(len(kept)),
        "thresholds fixed": f1(rule, None),
        "thresholds adjusted": f1(rule, len(kept)),
        "tuned on the whole gallery": f1(whole, None),
    }


def main() -> int:
    """Fill the table, or run the trial."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, metavar="DIR", help="a finished run's work folder")
    parser.add_argument("--experiment", default="champion", metavar="NAME", help="(champion)")
    flags = parser.parse_args()
    try:
        if flags.work is None:
            table = ablation_table(read_results(results_file(COMPETITION)))
            fill_markers(COMPETITION.folder / "README.md", table, MARKERS)
            return 0
        trials = [threshold_trial(flags.work, flags.experiment, seed) for seed in range(3)]
        for key in trials[0]:
            log(f"{key}: {np.mean([trial[key] for trial in trials]):.4f} (mean of 3 draws)")
    except (InputError, OSError) as fault:
        log(f"error: {explain_fault(fault)}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
