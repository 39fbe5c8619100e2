"""Baseline scores without any learning or tuning."""

from pathlib import Path

import numpy as np

from common.base.errors import InputError
from common.base.paths import display_path
from competitions.shopee_matching.candidates.phash import hash_pairs
from competitions.shopee_matching.data.listings import read_listings
from competitions.shopee_matching.rules.metric import row_f1
from competitions.shopee_matching.rules.submission import read_truth


def baseline_scores(data: Path, truth: Path) -> dict[str, float]:
    """Mean F1 on the test split of matching nothing (only oneself), and of matching equal picture hashes."""
    ids, label_group = read_truth(truth)
    listings = read_listings(data / "test.csv", labelled=False)
    if ids != listings.posting_id:
        raise InputError(
            f"{display_path(truth)}: its posting_ids are not those of {display_path(data / 'test.csv')}"
        )
    nothing = np.empty(0, dtype=np.int32)
    same = hash_pairs(listings.phash, np.arange(len(listings)), 0, "phash")
    return {
        "only oneself": float(row_f1(nothing, nothing, label_group).mean()),
        "equal picture hash": float(row_f1(same.query, same.match, label_group).mean()),
    }
