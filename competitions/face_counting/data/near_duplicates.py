"""Pictures that occur twice: difference hashes, and groups of pictures whose hashes are close."""

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

HASH_SIDE = 16
"""A hash has 16 x 16 = 256 bits."""
LARGEST_DISTANCE = 26
"""Bits in which two versions of the same picture differ at most: a tenth."""
BLOCK = 1024


def difference_hash(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """dHash of a picture (height, width, 3): 32 bytes."""
    bits = imagehash.dhash(Image.fromarray(picture), hash_size=HASH_SIDE).hash
    return np.packbits(bits.ravel())


def near_duplicate_groups(
    hashes: npt.NDArray[np.uint8], largest: int = LARGEST_DISTANCE
) -> npt.NDArray[np.int32]:
    """Number the groups of near duplicates.

    Parameters
    ----------
    hashes : (n, bytes) packed hashes.
    largest : Hamming distance up to which two pictures are one.

    Returns
    -------
    (n,) group numbers; pictures that are linked through others share one.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones, twos = [], []
    for start in range(0, len(hashes), BLOCK):
        block = hashes[start : start + BLOCK]
        distance = np.zeros((len(block), len(hashes)), dtype=np.uint16)
        for byte in range(hashes.shape[1]):
            distance += np.bitwise_count(block[:, None, byte] ^ hashes[None, :, byte])
        one, two = np.nonzero(distance <= largest)
        ones.append(one + start)
        twos.append(two)
    links = np.concatenate(ones), np.concatenate(twos)
    graph = coo_array((np.ones(len(links[0]), dtype=bool), links), shape=(len(hashes), len(hashes)))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int32)
