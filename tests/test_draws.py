"""Random numbers: those of Keras."""

import cases
import keras
import numpy as np
import pytest

from dsl import draws


@pytest.mark.backend
@pytest.mark.parametrize("seed", [7, 2**32 - 1])
@pytest.mark.parametrize("dtype", sorted({"float32", cases.EXACT_DTYPE}))
def test_numbers_and_next_seed_are_those_of_keras(dtype, seed):
    ours, theirs = (keras.random.SeedGenerator(seed) for _ in range(2))
    for shape in [(5, 3, 7), (2,)]:
        found = draws.uniform(shape, -0.5, 2.0, dtype, ours)
        expected = keras.random.uniform(
            shape, -0.5, 2.0, dtype=dtype, seed=theirs
        )
        assert keras.backend.standardize_dtype(found.dtype) == dtype
        np.testing.assert_array_equal(
            cases.to_numpy(found), cases.to_numpy(expected)
        )


def test_compiled_draws_are_those_of_keras_compiled():
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow draws by itself")
    ours, theirs = (keras.random.SeedGenerator(7) for _ in range(2))

    @tf.function(jit_compile=True)
    def draw():
        found = draws.uniform((5, 3, 7), 0.0, 1.0, "float32", ours)
        return found, keras.random.uniform((5, 3, 7), seed=theirs)

    found, expected = draw()
    np.testing.assert_array_equal(found, expected)
