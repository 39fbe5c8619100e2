"""The table of what each part of the recipe adds, from kept results; and thresholds tried on a larger pool.

    python -m competitions.shopee_matching.report.ablation              # fills the table of the README
    python -m competitions.shopee_matching.report.ablation --work DIR   # tunes on a quarter of that run's pool

The second form tunes on a quarter of the products, moves the thresholds to the size of the whole pool along
the slopes that this quarter shows, and compares: thresholds as they are, moved, tuned on the whole pool.
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
from competitions.shopee_matching.decision.match_rule import MatchRule, select_matches
from competitions.shopee_matching.decision.tuning import part_of, tune_rule, with_slopes, within
from competitions.shopee_matching.experiment import ShopeeExperiment
from competitions.shopee_matching.rules.metric import row_f1

MARKERS = ("<!-- ablation -->", "<!-- /ablation -->")
PARTS_OF_THE_RECIPE = (
    "phash_equal",
    "phash",
    "tfidf",
    "tfidf_signs",
    "bert_untrained_tuned",
    "minilm",
    "minilm_blended",
    "colours",
    "keypoints",
    "aligned",
    "concat",
    "concat_blended",
    "union_plain",
    "union_two",
    "union_veto",
    "union_sizes",
    "union_all",
    "champion_light",
    "booster_first_look",
    "champion",
    "booster_expected_f1",
    "booster_sizes",
)
PART = 0.25


def ablation_table(results: list[ResultRow]) -> str:
    """Markdown: out-of-fold F1 of each part alone and of what joins them, one column a data set."""
    kept = {(row.experiment, row.data): row for row in results if row.out_of_fold is not None}
    data = list(dict.fromkeys(row.data for row in results if (row.experiment, row.data) in kept))
    about = read_experiments(COMPETITION.experiments_file)["experiments"]
    lines = [
        "| experiment | idea | " + " | ".join(data) + " |",
        "|---|---|" + "---|" * len(data),
    ]
    for name in PARTS_OF_THE_RECIPE:
        rows = [kept.get((name, each)) for each in data]
        cells = [figure(row.out_of_fold) if row else "not run" for row in rows]
        lines.append(f"| `{name}` | {about[name]['about']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def threshold_trial(work: Path, name: str, seed: int = 0) -> dict[str, float]:
    """Mean F1 on the whole held-out pool of rules that were tuned on a quarter of it, and on all of it."""
    paths = WorkPaths(work)
    record = read_record(paths.oof_record(name))
    settings = ShopeeExperiment.model_validate(record.experiment)
    listings = load_listings(paths.processed(settings.processed_variant()) / "train.parquet")
    pairs, groups = read_pairs(paths.experiment(name) / "oof.parquet"), listings.label_group
    whole = MatchRule.model_validate(record.decision)
    kept = part_of(groups, PART, seed)
    smaller, some = within(pairs, kept), groups[kept]
    tuned = tune_rule(smaller, some, whole, settings.rule.try_two_matches)
    rule = with_slopes(smaller, some, tuned, seed)

    def f1(candidate: MatchRule, rows: int | None) -> float:
        return float(row_f1(*select_matches(pairs, candidate, rows), groups).mean())

    return {
        "listings tuned on": float(kept.sum()),
        "listings scored on": float(len(kept)),
        "thresholds as they are": f1(rule, None),
        "thresholds moved": f1(rule, len(kept)),
        "tuned on the whole pool": f1(whole, None),
    }


def main() -> int:
    """Fill the table, or try thresholds of a quarter on the whole."""
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
