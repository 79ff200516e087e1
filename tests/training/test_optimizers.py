"""The global norm, where an embedding's rows repeat, and two optimizers."""

import keras
import numpy as np
import pytest
import reference
from keras import ops

import dsl
from dsl.training import optimizers


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


@pytest.mark.backend
def test_an_agent_that_comes_late_starts_as_one_that_comes_at_once():
    """Before its first gradient its Adam has counted nothing."""
    rng = np.random.default_rng(2)
    gradients = rng.normal(size=(3, 2, 2)).astype("float32")
    gradients[1] = 0.0  # Then time goes on, as for any Adam.
    nothing = np.zeros((4, 2, 2), "float32")
    ends = []
    for late in (nothing[:0], nothing):
        model, agent, alone = (
            keras.Variable(np.ones((2, 2), "float32"), name=name)
            for name in ("kernel", "policy_kernel", "alone")
        )
        grouped = optimizers.GroupedOptimizer(
            keras.optimizers.SGD(1.0), keras.optimizers.Adam(0.1)
        )
        for gradient in (*late, *gradients):
            grouped.apply([ops.array(gradient)] * 2, [model, agent])
        assert int(grouped.iterations) == len(late) + 3
        ends.append(ops.convert_to_numpy(agent))
    adam = keras.optimizers.Adam(0.1)
    for gradient in gradients:
        adam.apply([ops.array(gradient)], [alone])
    for end in ends:
        np.testing.assert_array_equal(end, ops.convert_to_numpy(alone))


def test_a_compiled_model_is_saved_with_its_grouped_optimizer(tmp_path):
    model = keras.Sequential(
        [keras.Input((5, 4)), dsl.LSTM(6), keras.layers.Dense(2)]
    )
    optimizer = optimizers.GroupedOptimizer(
        keras.optimizers.SGD(0.5, momentum=0.9), max_norm=1.0
    )
    model.compile(optimizer, loss="mse")
    x = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
    y = np.ones((3, 2), "float32")
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    model.fit(x, y, verbose=0, shuffle=False)
    loaded.fit(x, y, verbose=0, shuffle=False)
    for a, b in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


def test_mean_squares_start_at_one():
    """TensorFlow 1: s = rho s + (1 - rho) g^2 from s = 1, by hand."""
    weight = keras.Variable(np.array([1.0, -2.0], "float32"))
    optimizer = dsl.RMSProp(0.1, rho=0.9, momentum=0.5, epsilon=1e-10)
    optimizer.build([weight])
    s, m, w = np.ones(2), np.zeros(2), np.array([1.0, -2.0])
    for g in (np.array([3.0, 0.01]), np.array([-1.0, 0.02])):
        optimizer.apply([ops.convert_to_tensor(g.astype("float32"))])
        s = 0.9 * s + 0.1 * g * g
        m = 0.5 * m + 0.1 * g / np.sqrt(s + 1e-10)
        w = w - m
        np.testing.assert_allclose(ops.convert_to_numpy(weight), w, rtol=1e-5)
