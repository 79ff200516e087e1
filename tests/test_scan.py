"""Loops over time, each against a loop of Python."""

import cases
import keras
import numpy as np
import pytest
from keras import ops

from dsl import loops

STEPS, ROWS = 6, 2


def compiled(function):
    """The function as the backend's own loops run it."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function)


@pytest.mark.backend
@pytest.mark.parametrize("eager", [True, False], ids=["eager", "graph"])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_step_sees_what_the_last_steps_gave(count, eager):
    rng = np.random.default_rng(0)
    recent = rng.normal(size=(count, ROWS)).astype("float32")
    inputs = rng.normal(size=(STEPS, ROWS)).astype("float32")
    scale = 1.0 + np.arange(count)

    def step(seen, x):
        new = x + sum(ops.sin(k * s) for k, s in zip(scale, seen, strict=True))
        return new, {"first": seen[0], "last": seen[-1]}

    def run(recent, inputs):
        found, outputs = loops.scan_recent(step, ops.unstack(recent), inputs)
        assert tuple(found.shape) == (count + STEPS, ROWS)
        return found, outputs

    found, outputs = (run if eager else compiled(run))(
        ops.array(recent), ops.array(inputs)
    )
    expected = list(recent[::-1])
    for x in inputs:
        seen = expected[: -count - 1 : -1]
        new = x + sum(np.sin(k * s) for k, s in zip(scale, seen, strict=True))
        expected.append(new)
    np.testing.assert_allclose(cases.to_numpy(found), expected, atol=1e-5)
    last = cases.to_numpy(outputs["last"])
    np.testing.assert_allclose(last, expected[:STEPS], atol=1e-5)
    first = cases.to_numpy(outputs["first"])
    np.testing.assert_allclose(first, expected[count - 1 : -1], atol=1e-5)
