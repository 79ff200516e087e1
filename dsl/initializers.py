"""Initial weights that Keras does not have."""

import keras
from keras import ops

from dsl.seeds import spread


@keras.saving.register_keras_serializable(package="dsl")
class GateOrthogonal(keras.initializers.Initializer):
    """A recurrent kernel whose block for each gate is orthogonal.

        U = [U_1, ..., U_n],  U_i U_i^T = I

    `keras.initializers.Orthogonal` makes the kernel as a whole orthogonal,
    which leaves each block of an LSTM with half of the norm and no block
    orthogonal. One block a gate is the published number-prediction code's.

    Args:
        seed: Integer, or None.

    Raises:
        ValueError: When called for a shape other than `(units, n * units)`.

    Example:
        >>> kernel = GateOrthogonal(seed=1)((3, 12))
        >>> block = kernel[:, 3:6]
        >>> bool(abs(keras.ops.norm(block) ** 2 - 3.0) < 1e-5)
        True

    Reference: Saxe et al. 2014, arXiv:1312.6120.
    """

    def __init__(self, seed=None):
        self.seed = seed

    def __call__(self, shape, dtype=None):
        if len(shape) != 2 or shape[1] % shape[0]:
            raise ValueError(
                "a kernel of gates has the shape (units, n * units). "
                f"Received: shape={tuple(shape)}"
            )
        units, width = shape
        blocks = [
            keras.initializers.Orthogonal(seed=one)((units, units), dtype)
            for one in spread(self.seed, width // units)
        ]
        return ops.concatenate(blocks, axis=1)

    def get_config(self):
        return {"seed": self.seed}


def again(initializer):
    """The initializer for one more weight.

    Keras fixes the draw of an unseeded initializer when it is made; a clone
    draws anew. A seed generator must not be cloned: it goes on by itself.
    """
    unseeded = initializer.get_config().get("seed", 0) is None
    return initializer.clone() if unseeded else initializer


def further(initializer, number):
    """The initializer for a further weight, of a draw of its own.

    Args:
        initializer: That of a first weight, 0.
        number: Of the further one, from 1.
    """
    config = getattr(initializer, "get_config", dict)()
    seed = config.get("seed", "none")
    if seed is None:
        return again(initializer)
    if not isinstance(seed, int):
        return initializer
    own = spread(seed, number + 1)[number]
    return type(initializer).from_config({**config, "seed": own})


def network_initializers(seed, kernel=None, output_kernel=None, bias=None):
    """Initializers of the small network that looks at input and past.

    N(0, 0.3) and 0.1, where nothing else is given, are the published code's.

    Args:
        seed: Of the two default draws, or None.
        kernel: For the hidden layer.
        output_kernel: For the output layer.
        bias: For both biases.

    Returns:
        Three Keras initializers.
    """
    inner, outer = (
        keras.initializers.RandomNormal(stddev=0.3, seed=one)
        for one in spread(seed, 2)
    )
    return (
        keras.initializers.get(kernel or inner),
        keras.initializers.get(output_kernel or outer),
        keras.initializers.get(bias or keras.initializers.Constant(0.1)),
    )
