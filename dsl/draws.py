"""Random numbers whose cost does not depend on who compiles the draw."""

import keras
from keras import ops


def uniform(shape, low, high, dtype, seed):
    """The numbers of `keras.random.uniform`, also under XLA at little cost.

    On TensorFlow the seed is first scrambled into a key. XLA fuses scrambling
    and drawing into one loop, and scrambles again for each number, which costs
    about ten times the draw. What it does not fuse with a loop is a division,
    so there is one between the two. It changes no number: only the time, which
    no test sees, depends on it.

    Args:
        shape: Shape of the draw.
        low: The smallest number.
        high: What all numbers are below, but for rounding.
        dtype: Float dtype.
        seed: A `keras.random.SeedGenerator`.

    Returns:
        Float tensor of the given shape.
    """
    if keras.backend.backend() != "tensorflow":
        return keras.random.uniform(shape, low, high, dtype=dtype, seed=seed)
    import tensorflow as tf

    seed = tf.math.floormod(seed.next(), tf.int32.max - 1)  # As Keras does.
    key, counter = (
        # Maps 2**64 - 1 to 0 and all else to itself.
        tf.math.floormod(word, tf.uint64.max)
        for word in tf.raw_ops.StatelessRandomGetKeyCounter(
            seed=tf.cast(seed, "int32")
        )
    )
    drawn = tf.raw_ops.StatelessRandomUniformV2(
        shape=shape,
        key=key,
        counter=counter,
        alg=tf.random.Algorithm.AUTO_SELECT.value,
        dtype=dtype,
    )
    low, high = tf.cast(low, dtype), tf.cast(high, dtype)
    return drawn * (high - low) + low


class StepSeed(keras.random.SeedGenerator):
    """The seed of one step: a pure function of a drawn seed and a count.

    Args:
        seed: What a seed generator gave, integer `(2,)`.
        count: A number that tells the step from all others.
    """

    def __init__(self, seed, count):
        # No state of its own, hence no call of the parent's `__init__`.
        odd = ops.cast([1640531527, 0], seed.dtype)
        self._seed = seed + (ops.cast(count, seed.dtype) + 1) * odd

    def next(self, ordered=True):
        return self._seed
