"""Near-duplicate pictures: difference hashes, and groups of pictures with similar hashes."""

import imagehash
import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from common.learn.arrays import Int32, UInt8

HASH_SIDE = 16
"""A hash has 16 x 16 = 256 bits."""
MAX_DISTANCE = 26
"""Hamming distance in bits of two versions of the same picture, at most: a tenth."""
BLOCK = 1024


def difference_hash(picture: UInt8) -> UInt8:
    """dHash of a picture (height, width, 3): 32 bytes."""
    bits = imagehash.dhash(Image.fromarray(picture), hash_size=HASH_SIDE).hash
    return np.packbits(bits.ravel())


def near_duplicate_groups(hashes: UInt8, max_distance: int = MAX_DISTANCE) -> Int32:
    """Number the groups of near duplicates.

    Parameters
    ----------
    hashes : (n, bytes) packed hashes.
    max_distance : Hamming distance up to which two pictures are near duplicates.

    Returns
    -------
    (n,) group numbers; pictures that are linked through others share one (connected components).
    """
    ones, twos = [], []
    for start in range(0, len(hashes), BLOCK):
        # (block, n) Hamming distances, byte by byte: never all pairs in memory.
        block = hashes[start : start + BLOCK]
        distance = np.zeros((len(block), len(hashes)), dtype=np.uint16)
        for byte in range(hashes.shape[1]):
            distance += np.bitwise_count(block[:, None, byte] ^ hashes[None, :, byte])
        one, two = np.nonzero(distance <= max_distance)
        ones.append(one + start)
        twos.append(two)
    links = np.concatenate(ones), np.concatenate(twos)
    graph = coo_array((np.ones(len(links[0]), dtype=bool), links), shape=(len(hashes), len(hashes)))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int32)
