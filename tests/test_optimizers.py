"""The global norm, where an embedding's rows repeat."""

import keras
import numpy as np
import pytest
import reference
from keras import ops

from dsl import optimizers


def sparse(rng):
    """A gradient of 11 words, some of which occur repeatedly."""
    tf = pytest.importorskip("tensorflow")
    indices = np.array([3, 7, 3, 0, 7, 3])
    values = rng.normal(size=(6, 4)).astype("float32")
    slices = tf.IndexedSlices(values, indices, np.array([11, 4]))
    return slices, (indices, values, 11)


def test_global_norm_sums_repeated_rows():
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(5, 3)).astype("float32")
    slices, triple = sparse(rng)
    found = optimizers.global_norm([slices, ops.array(dense)])
    expected = reference.global_norm([triple, dense])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    naive = np.sqrt(np.sum(triple[1] ** 2) + np.sum(dense**2))
    assert abs(naive - expected) > 0.1


@pytest.mark.parametrize("max_norm", [0.5, 100.0, None])
def test_clipping(max_norm):
    rng = np.random.default_rng(1)
    dense = rng.normal(size=(5, 3)).astype("float32")
    slices, (indices, values, _) = sparse(rng)
    norm = reference.global_norm([(indices, values, 11), dense])
    scale = 1.0 if max_norm is None else min(1.0, max_norm / norm)
    found = optimizers.clip_by_global_norm([slices, ops.array(dense)], max_norm)
    np.testing.assert_allclose(found[0].values, scale * values, rtol=1e-5)
    np.testing.assert_array_equal(found[0].indices, indices)
    np.testing.assert_allclose(found[1], scale * dense, rtol=1e-5)


def test_agent_and_model_are_clipped_and_moved_apart():
    start = np.ones((2, 2), "float32")
    model = keras.Variable(start, name="kernel")
    agent = keras.Variable(start, name="policy_kernel")
    optimizer = optimizers.GroupedOptimizer(
        keras.optimizers.SGD(1.0),
        keras.optimizers.SGD(0.1),
        max_norm=2.0,
        policy_max_norm=1.0,
    )
    gradient = np.full((2, 2), 3.0, "float32")  # norm 6
    optimizer.apply([ops.array(gradient)] * 2, [model, agent])
    np.testing.assert_allclose(model.numpy(), start - gradient / 3.0)
    np.testing.assert_allclose(agent.numpy(), start - 0.1 * gradient / 6.0)
