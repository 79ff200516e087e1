"""The plain LSTM: the oracle, and everything that Keras' own layer does."""

import cases
import keras
import numpy as np
import pytest
import reference
from gradients import gradients
from keras import ops

import dsl

FAST_AND_AUTODIFF = pytest.mark.parametrize("autodiff", [False, True])


def build(layer_class, **options):
    """A layer with random weights, and the same ones at every call."""
    options = {"return_sequences": True, "return_state": True, **options}
    layer = layer_class(cases.UNITS, **options)
    layer.build((None, None, cases.FEATURES))
    weights = cases.random_weights(1)
    if not options.get("use_bias", True):
        del weights["bias"]
    cases.set_weights(layer, weights)
    return layer


def call(layer, state=None, **arguments):
    """Output and states for the usual inputs, as one list of arrays."""
    inputs = ops.array(cases.random_inputs().astype("float32"))
    state = cases.cast(state or cases.random_state(1), "float32")
    found = layer(inputs, initial_state=state, **arguments)
    if not isinstance(found, (list, tuple)):
        found = [found]
    return [cases.to_numpy(value) for value in found]


def assert_same(found, expected, tolerance=2e-6):
    assert len(found) == len(expected)
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=tolerance)


@FAST_AND_AUTODIFF
@pytest.mark.parametrize("forget_bias", [0.0, 0.7])
@pytest.mark.parametrize("mask", cases.MASKS)
def test_equals_the_oracle(mask, forget_bias, autodiff):
    mask = cases.MASKS[mask]
    layer = build(dsl.LSTM, autodiff=autodiff, forget_bias=forget_bias)
    expected = reference.lstm(
        cases.random_inputs(),
        cases.random_weights(1),
        cases.random_state(1),
        mask,
        forget_bias,
    )
    assert_same(call(layer, mask=mask), expected)


OPTIONS = {
    "plain": {},
    "last": {"return_sequences": False},
    "no states": {"return_state": False},
    "backwards": {"go_backwards": True},
    "last backwards": {"go_backwards": True, "return_sequences": False},
    "zero output": {"zero_output_for_mask": True},
    "no bias": {"use_bias": False},
    "relu": {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
}


@FAST_AND_AUTODIFF
@pytest.mark.parametrize("mask", cases.MASKS)
@pytest.mark.parametrize("options", OPTIONS)
def test_equals_keras(options, mask, autodiff):
    options, mask = OPTIONS[options], cases.MASKS[mask]
    ours = build(dsl.LSTM, autodiff=autodiff, **options)
    theirs = build(keras.layers.LSTM, **options)
    state = cases.quiet_where_masked(cases.random_state(1), mask)
    assert_same(call(ours, state, mask=mask), call(theirs, state, mask=mask))


@pytest.mark.parametrize("mask", cases.MASKS)
@pytest.mark.parametrize("options", OPTIONS)
def test_gradient_equals_keras(options, mask):
    options, mask = OPTIONS[options], cases.MASKS[mask]
    found = []
    for layer_class in (dsl.LSTM, keras.layers.LSTM):
        layer = build(layer_class, **options)

        def loss(inputs, h, c, layer=layer):
            results = layer(inputs, initial_state=[h, c], mask=mask)
            if not isinstance(results, (list, tuple)):
                results = [results]
            rng = np.random.default_rng(30)
            total = 0.0
            for value in results:
                weight = rng.normal(size=value.shape).astype("float32")
                total = total + ops.sum(weight * value)
            return total

        tensors = [cases.random_inputs(), *cases.random_state(1)]
        tensors = cases.cast(tensors, "float32")
        _, *both = gradients(loss, layer.trainable_variables, tensors)
        found.append(both[0] + both[1])
    assert len(found[0]) == (5 if "use_bias" in options else 6)
    assert_same(*found, tolerance=2e-5)


@pytest.mark.backend
def test_gradient_equals_difference_quotients():
    """Independent of any framework: the oracle, moved a little."""
    rng = np.random.default_rng(31)
    mask = cases.MASKS["holes"]
    point = {**cases.random_weights(1), "inputs": cases.random_inputs()}
    point["h"], point["c"] = cases.random_state(1)
    weights = [rng.normal(size=size) for size in ((3, 5, 4), (3, 4), (3, 4))]

    def expected(point):
        found = reference.lstm(
            point["inputs"], point, (point["h"], point["c"]), mask
        )
        pairs = zip(weights, found, strict=True)
        return sum(np.sum(weight * value) for weight, value in pairs)

    layer = build(dsl.LSTM, dtype=cases.EXACT_DTYPE)

    def loss(inputs, h, c):
        found = layer(inputs, initial_state=[h, c], mask=mask)
        pairs = zip(weights, found, strict=True)
        return sum(
            ops.sum(ops.cast(weight, value.dtype) * value)
            for weight, value in pairs
        )

    variables = layer.trainable_variables
    tensors = [point[name] for name in ("inputs", "h", "c")]
    tensors = cases.cast(tensors, cases.EXACT_DTYPE)
    _, by_variable, by_tensor = gradients(loss, variables, tensors)
    names = [variable.name for variable in variables] + ["inputs", "h", "c"]
    gradient = dict(zip(names, by_variable + by_tensor, strict=True))
    for name in names:
        direction = {key: np.zeros_like(point[key]) for key in names}
        direction[name] = rng.normal(size=point[name].shape)
        np.testing.assert_allclose(
            np.sum(direction[name] * gradient[name]),
            reference.directional_derivative(expected, point, direction),
            rtol=cases.EXACT,
            atol=cases.EXACT,
            err_msg=name,
        )


@FAST_AND_AUTODIFF
def test_dropout_equals_keras(autodiff):
    """Same seed, same masks: input dropout and recurrent dropout."""
    for options in (
        {"dropout": 0.4},
        {"recurrent_dropout": 0.3},
        {"dropout": 0.4, "recurrent_dropout": 0.3},
    ):
        ours = build(dsl.LSTM, autodiff=autodiff, seed=3, **options)
        theirs = build(keras.layers.LSTM, seed=3, **options)
        quiet = call(build(dsl.LSTM))
        dropped = call(ours, training=True)
        assert np.abs(dropped[0] - quiet[0]).max() > 1e-2
        assert_same(dropped, call(theirs, training=True))
        assert_same(call(ours), quiet)


@FAST_AND_AUTODIFF
def test_what_stands_in_the_padding_does_not_matter(autodiff):
    layer = build(dsl.LSTM, autodiff=autodiff)
    mask = cases.MASKS["right"]
    inputs = cases.random_inputs().astype("float32")
    changed = np.where(mask[..., None], inputs, np.float32(1e4))
    before, after = layer(inputs, mask=mask), layer(changed, mask=mask)
    assert_same(after, before, tolerance=0.0)


@FAST_AND_AUTODIFF
def test_one_step(autodiff):
    layer = build(dsl.LSTM, autodiff=autodiff)
    inputs = cases.random_inputs(steps=1)
    expected = reference.lstm(inputs, cases.random_weights(1))
    assert_same(layer(inputs.astype("float32")), expected)


def test_stateful_carries_like_keras():
    options = {"stateful": True, "return_state": False}
    inputs = cases.random_inputs().astype("float32")
    found = []
    for layer_class in (dsl.LSTM, keras.layers.LSTM):
        layer = layer_class(cases.UNITS, **options)
        layer.build(inputs.shape)
        weights = cases.random_weights(1)
        cases.set_weights(layer, weights)
        twice = [cases.to_numpy(layer(inputs)) for _ in range(2)]
        layer.reset_state()
        found.append([*twice, cases.to_numpy(layer(inputs))])
    assert np.abs(found[0][0] - found[0][1]).max() > 1e-3
    assert_same(*found)
