import numpy as np
import pytest

from competitions.shopee_matching.candidates import symmetric_knn as module
from competitions.shopee_matching.candidates.symmetric_knn import symmetric_neighbours
from competitions.shopee_matching.data.vectors import unit_rows


def plain_neighbours(vectors: np.ndarray, most: int) -> np.ndarray:
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1, kind="stable")[:, :most]


@pytest.mark.parametrize("block", [4, 7, 64, 200, 4096])
@pytest.mark.parametrize("most", [1, 5, 199])
def test_blocks_find_what_the_whole_square_holds(
    monkeypatch: pytest.MonkeyPatch, block: int, most: int
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    vectors = unit_rows(np.random.default_rng(0).standard_normal((200, 8)).astype(np.float32))
    rows, cosines = symmetric_neighbours(vectors, most)
    expected = plain_neighbours(vectors, most)
    assert np.array_equal(rows, expected)
    wanted = (vectors[:, None] * vectors[expected]).sum(axis=2)
    np.testing.assert_allclose(cosines, wanted, atol=1e-6)


@pytest.mark.parametrize("block", [3, 8, 64])
def test_equally_near_rows_come_in_their_order(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    vectors = np.zeros((30, 4), dtype=np.float32)
    vectors[:, 0] = 1  # all alike
    rows, cosines = symmetric_neighbours(vectors, 3)
    assert np.array_equal(rows[0], [1, 2, 3])
    assert np.array_equal(rows[2], [0, 1, 3])
    assert np.array_equal(rows[29], [0, 1, 2])
    assert (cosines == 1).all()
