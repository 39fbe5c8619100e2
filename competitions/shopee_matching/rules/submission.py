"""The official submission: written, validated, scored."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.base.atomic import atomic_write
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.submission_table import examples, id_faults, parse_integer, read_submission_table
from common.learn.arrays import Int32, Int64
from common.run.competition import Score
from competitions.shopee_matching.data.availability import MAX_MATCHES
from competitions.shopee_matching.data.listings import read_listings
from competitions.shopee_matching.rules.metric import group_interval, row_f1

HEADER = ("posting_id", "matches")
TRUTH_HEADER = ("posting_id", "label_group")
INTERVAL_SEED = 2021


def write_submission(path: Path, posting_id: Sequence[str], query: Int32, match: Int32) -> None:
    """Write posting_id,matches in the given order: each listing itself first, then its matches."""
    names = [[name] for name in posting_id]
    for row, other in zip(query.tolist(), match.tolist(), strict=True):
        names[row].append(posting_id[other])
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(HEADER)
        table.writerows((listed[0], " ".join(listed)) for listed in names)


def submission_faults(submission: Path, data: Path) -> list[str]:
    """Every breach of the official rules, one line each; empty when the file is valid.

    Raises
    ------
    InputError : the submission or the data's test.csv cannot be read.
    """
    expected = read_listings(data / "test.csv", labelled=False).posting_id
    rows, faults = read_submission_table(submission, HEADER)
    if not rows:
        return faults or ["the file has no rows, only the header"]
    faults += id_faults([row[0] for row in rows], expected)
    known = set(expected)
    without_itself, unknown, repeated, too_long, odd_spaces = [], [], [], [], []
    for name, text in rows:
        listed = text.split()
        if name not in listed:
            without_itself.append(name)
        unknown += [other for other in listed if other not in known]
        if len(set(listed)) < len(listed):
            repeated.append(name)
        if len(listed) > MAX_MATCHES:
            too_long.append(f"{name} ({len(listed)})")
        if text != " ".join(listed):
            odd_spaces.append(name)
    listing = "matches of {count} rows "
    for rows_at_fault, problem in (
        (without_itself, listing + "lack the row's own posting_id"),
        (unknown, "{count} names in matches are not in the test split"),
        (repeated, listing + "name a posting_id twice"),
        (too_long, listing + f"hold more than {MAX_MATCHES} names"),
        (odd_spaces, listing + "are not separated by single spaces"),
    ):
        if rows_at_fault:
            faults.append(f"{problem.format(count=len(rows_at_fault))}: {examples(rows_at_fault)}")
    return faults


def score_submission(submission: Path, truth: Path) -> Score:
    """Mean row F1 of the lists as the file holds them, with its 90 % bootstrap interval over products.

    A row that does not list itself loses by it, as under the official metric.

    Raises
    ------
    InputError : the two do not name the same listings, a row names a listing twice, or one cannot be read.
    """
    ids, label_group = read_truth(truth)
    rows, faults = read_submission_table(submission, HEADER)
    faults += id_faults([row[0] for row in rows], ids, ordered=False)
    if faults:
        raise InputError(
            f"{display_path(submission)} does not belong to {display_path(truth)}: {'; '.join(faults)}"
        )
    place = {name: row for row, name in enumerate(ids)}
    pairs: list[tuple[int, int]] = []
    for name, text in rows:
        matches = text.split()
        unknown = [other for other in matches if other not in place]
        if unknown:
            raise InputError(
                f"{display_path(submission)}: row {name} names {unknown[0]}, "
                f"which {display_path(truth)} does not hold"
            )
        if len(set(matches)) < len(matches):
            raise InputError(
                f"{display_path(submission)}: row {name} names a listing twice, which has no official score; "
                f"`python -m competitions validate shopee_matching FILE --data DIR` lists all faults"
            )
        pairs += [(place[name], place[other]) for other in matches]
    query, match = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
    f1 = row_f1(query, match, label_group, itself=False)
    low, high = group_interval(f1, label_group, INTERVAL_SEED)
    details = {
        "low": low,
        "high": high,
        "gallery_size": float(len(ids)),
        "matches_per_listing": len(pairs) / len(ids),
    }
    return Score(float(f1.mean()), details)


def read_truth(truth: Path) -> tuple[list[str], Int64]:
    """posting_id and label_group of the test split; InputError when the file is no such table."""
    rows, faults = read_submission_table(truth, TRUTH_HEADER)
    ids = [row[0] for row in rows]
    if len(set(ids)) < len(ids):
        faults.append("a posting_id occurs more than once")
    groups = [parse_integer(row[1]) for row in rows]
    if any(group is None or abs(group) >= 2**63 for group in groups):
        faults.append("a label_group is no whole number")
    if faults or not rows:
        raise InputError(
            f"{display_path(truth)}: {'; '.join(faults) or 'no rows'}; expected {','.join(TRUTH_HEADER)}"
        )
    return ids, np.array(groups, dtype=np.int64)
