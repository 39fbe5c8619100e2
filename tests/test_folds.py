"""Groups never cross folds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.base.errors import InputError
from common.learn.folds import assign_folds, check_folds


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=20, max_size=120),
    st.integers(2, 4),
    st.integers(0, 2**31),
    st.booleans(),
)
def test_every_row_has_one_fold_and_groups_stay_together(
    groups: list[int], folds: int, seed: int, stratified: bool
) -> None:
    strata = np.arange(len(groups)) % 2 if stratified else None
    if len(set(groups)) < folds:
        with pytest.raises(InputError, match="cannot be cut"):
            assign_folds(groups, folds, seed, strata)
        return
    assigned = assign_folds(groups, folds, seed, strata)
    assert set(assigned) <= set(range(folds))
    for group in set(groups):
        assert len(set(assigned[np.asarray(groups) == group])) == 1
    assert np.array_equal(assigned, assign_folds(groups, folds, seed, strata))


def test_a_leak_is_found() -> None:
    with pytest.raises(ValueError, match="more than one fold"):
        check_folds(np.array([0, 1], dtype=np.int16), np.array(["a", "a"]))
    with pytest.raises(ValueError, match="no fold"):
        check_folds(np.array([0, -1], dtype=np.int16), np.array(["a", "b"]))


def test_strata_are_spread_evenly() -> None:
    strata = np.repeat([0, 1], 50)
    assigned = assign_folds(np.arange(100), 5, 0, strata)
    for fold in range(5):
        assert strata[assigned == fold].sum() == 10
