"""Many independent random seeds from one."""

import numpy as np


def spread(seed, count):
    """Seeds whose streams have nothing in common.

    Neighboring seeds, and neighboring members of one seed, are as far
    apart as any others, which `seed + n` would not give.

    Args:
        seed: Integer, or None.
        count: How many seeds are needed.

    Returns:
        List of `count` integers in [0, 2**31), or of None for no seed.
    """
    if seed is None:
        return [None] * count
    words = np.random.SeedSequence(seed % 2**64).generate_state(count)
    return [int(word >> 1) for word in words]
