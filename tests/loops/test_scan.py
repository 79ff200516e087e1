"""Loops over time, each against a loop of Python."""

import cases
import keras
import numpy as np
import pytest
from keras import ops

from dsl import loops

STEPS, ROWS = 6, 2
WAYS = ["eager", "graph", "compiled", "unknown length", "unknown rows"]


def as_run(function, way, states):
    """The function as Python or the backend's own loops run it.

    Args:
        function: Function of the states and of inputs `(time, rows)`.
        way: One of `WAYS`; on JAX all but the first are the same.
        states: The states, an array.
    """
    if way == "eager":
        return function
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    length = None if way == "unknown length" else STEPS
    rows = None if way == "unknown rows" else ROWS
    return tf.function(
        function,
        input_signature=[
            tf.TensorSpec((*states.shape[:-1], rows), "float32"),
            tf.TensorSpec((length, rows), "float32"),
        ],
        jit_compile=way == "compiled",
    )


@pytest.mark.backend
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_is_a_loop(reverse, way):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(STEPS, ROWS)).astype("float32")
    start = rng.normal(size=ROWS).astype("float32")

    def step(state, x):
        state = ops.sin(state) + x
        return state, {"twice": 2.0 * state, "before": x}

    def run(state, inputs):
        return loops.scan(step, state, inputs, reverse=reverse)

    last, outputs = as_run(run, way, start)(ops.array(start), ops.array(inputs))
    state, expected = start, np.zeros_like(inputs)
    for t in reversed(range(STEPS)) if reverse else range(STEPS):
        state = np.sin(state) + inputs[t]
        expected[t] = 2.0 * state
    np.testing.assert_allclose(cases.to_numpy(last), state, atol=1e-5)
    twice = cases.to_numpy(outputs["twice"])
    np.testing.assert_allclose(twice, expected, atol=1e-5)
    np.testing.assert_array_equal(cases.to_numpy(outputs["before"]), inputs)


@pytest.mark.backend
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_step_sees_what_the_last_steps_gave(count, way):
    rng = np.random.default_rng(0)
    recent = rng.normal(size=(count, ROWS)).astype("float32")
    inputs = rng.normal(size=(STEPS, ROWS)).astype("float32")
    scale = 1.0 + np.arange(count)

    def step(seen, x):
        new = x + sum(ops.sin(k * s) for k, s in zip(scale, seen, strict=True))
        return new, {"first": seen[0], "last": seen[-1]}

    def run(recent, inputs):
        found, outputs = loops.scan_recent(step, ops.unstack(recent), inputs)
        assert found.shape[0] in (count + STEPS, None)
        assert found.shape[1] in (ROWS, None)
        return found, outputs

    found, outputs = as_run(run, way, recent)(
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


@pytest.mark.backend
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count, given", [(1, 1), (3, 1), (3, 3), (8, 8)])
def test_a_step_gives_to_the_steps_before_it(count, given, way):
    """Of two sums, one takes from all K steps, the other from fewer."""
    rng = np.random.default_rng(0)
    like = np.zeros(ROWS, "float32")
    inputs = rng.normal(size=(STEPS, ROWS)).astype("float32")
    scale = 1.0 + np.arange(count)

    def gives(x, dx, dy, sin=np.sin):
        return [sin(k * x) + dx for k in scale], [
            sin(k * x) - dy for k in scale[:given]
        ]

    def step(sums, x):
        return {"sums": sums}, list(gives(x, *sums, sin=ops.sin))

    def run(like, inputs):
        return loops.scan_back(step, [like, like], count, inputs)

    before, outputs = as_run(run, way, like)(ops.array(like), ops.array(inputs))
    expected = np.zeros((2, count + STEPS, ROWS), "float32")
    for t in reversed(range(count, count + STEPS)):
        for sums, new in zip(
            expected, gives(inputs[t - count], *expected[:, t]), strict=True
        ):
            for k, x in enumerate(new, start=1):
                sums[t - k] += x
    for found, sums, of_steps in zip(
        before, expected, outputs["sums"], strict=True
    ):
        found = np.stack([cases.to_numpy(x) for x in found])
        np.testing.assert_allclose(found, sums[count - 1 :: -1], atol=1e-4)
        found = cases.to_numpy(of_steps)
        np.testing.assert_allclose(found, sums[count:], atol=1e-4)
