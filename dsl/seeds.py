"""Many independent random seeds from one."""

import contextlib

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


@contextlib.contextmanager
def drawing_from(model, seed):
    """Lets a model draw from a seed of its own, then go on as before.

    Args:
        model: A built model.
        seed: Integer, the same for the same draws.
    """
    from keras import ops

    weights = {id(variable) for variable in model.weights}
    states = [v for v in model.variables if id(v) not in weights]
    before = [ops.convert_to_numpy(state) for state in states]
    for state, one in zip(states, spread(seed, len(states)), strict=True):
        state.assign(np.array([one, 0], state.dtype))
    try:
        yield
    finally:
        for state, value in zip(states, before, strict=True):
            state.assign(value)
