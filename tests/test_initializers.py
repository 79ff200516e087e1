"""Initial weights."""

import cases
import keras
import numpy as np
import pytest

from dsl.initializers import GateOrthogonal

pytestmark = pytest.mark.backend


def test_each_block_is_orthogonal_and_another():
    kernel = cases.to_numpy(GateOrthogonal(seed=3)((5, 20)))
    blocks = np.split(kernel, 4, axis=1)
    for n, block in enumerate(blocks):
        np.testing.assert_allclose(block @ block.T, np.eye(5), atol=1e-5)
        assert all(np.abs(block - other).max() > 0.1 for other in blocks[:n])
    again = cases.to_numpy(GateOrthogonal(seed=3)((5, 20)))
    np.testing.assert_array_equal(kernel, again)
    assert np.any(kernel != cases.to_numpy(GateOrthogonal(seed=4)((5, 20))))
    whole = cases.to_numpy(keras.initializers.Orthogonal(seed=3)((5, 20)))
    assert np.abs(whole[:, :5] @ whole[:, :5].T - np.eye(5)).max() > 0.1


def test_it_is_saved_and_loaded():
    config = keras.initializers.serialize(GateOrthogonal(seed=7))
    assert keras.initializers.deserialize(config).seed == 7


@pytest.mark.parametrize("shape", [(4,), (4, 6), (2, 3, 4)])
def test_a_shape_that_has_no_blocks(shape):
    with pytest.raises(ValueError, match="units.*Received: shape="):
        GateOrthogonal()(shape)
