import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.base.errors import InputError
from competitions.etci_flood.data.rle import decode_mask, encode_mask


def test_by_hand() -> None:
    # Down the first column, then the second: pixels 2 and 3 (lower left, upper right).
    assert encode_mask(np.array([[0, 1], [1, 0]], np.uint8)) == "2 2"
    assert encode_mask(np.array([[1, 0, 1]], np.uint8)) == "1 1 3 1"
    assert encode_mask(np.zeros((3, 3), np.uint8)) == ""
    assert encode_mask(np.ones((2, 3), np.uint8)) == "1 6"


@given(arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1)))
def test_round_trip(mask: np.ndarray) -> None:
    assert np.array_equal(decode_mask(encode_mask(mask), mask.shape), mask)


@pytest.mark.parametrize("runs", ["1", "x 2", "0 1", "4 2", "1 0", "1 2 2 1", "-1 1"])
def test_wrong_runs_are_refused(runs: str) -> None:
    with pytest.raises(InputError, match="run lengths"):
        decode_mask(runs, (2, 2))
