"""Derivatives of derivatives, as a gradient penalty takes them."""

import cases
import keras
import numpy as np
import pytest
import reference
from gradients import gradients, penalty
from keras import ops

import dsl
from dsl.models.cross_entropy import blocked_nll, token_nll

ON_JAX = keras.backend.backend() == "jax"

LAYERS = {
    "plain": (dsl.LSTM, {}),
    "fixed": (dsl.FixedSkipLSTM, {"skip": 3, "skip_weight": 0.6}),
    "location": (dsl.AttentionLSTM, {"num_states": 3, "attention_units": 6}),
    "content": (
        dsl.AttentionLSTM,
        {"num_states": 3, "attention_units": 6, "scoring": "content"},
    ),
    "greedy": (
        dsl.DynamicSkipLSTM,
        {"num_actions": 3, "policy_units": 6, "skip_weight": 0.6},
    ),
    "sampled": (
        dsl.DynamicSkipLSTM,
        {
            "num_actions": 3,
            "policy_units": 6,
            "action_selection": "sampled",
            "estimator": "straight_through",
            "temperature": 0.7,
        },
    ),
    "mean": (
        dsl.DynamicSkipLSTM,
        {
            "num_actions": 3,
            "policy_units": 6,
            "observation": "mean",
            "empty_slots": "zeros",
            "skip_weight": 0.6,
        },
    ),
    "previous": (
        dsl.DynamicSkipLSTM,
        {"num_actions": 3, "policy_units": 6, "empty_slots": "previous"},
    ),
}


@pytest.fixture
def noise(monkeypatch):
    """The same draws eagerly and compiled, by which they would differ."""
    shape = (cases.BATCH, cases.STEPS, 3)
    cases.fix_noise(monkeypatch, np.random.default_rng(7).gumbel(size=shape))


def build(name, **options):
    """A layer with weights that another one of the same name has too."""
    make, its_own = LAYERS[name]
    layer = make(
        cases.UNITS,
        dtype=cases.EXACT_DTYPE,
        return_sequences=True,
        return_state=True,
        seed=4,
        **its_own,
        **options,
    )
    layer.build((None, None, cases.FEATURES))
    rng = np.random.default_rng(3)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(scale=0.7, size=variable.shape))
    return layer


def loss_of(layer, mask):
    """A loss that every output and state has a part in, not linearly."""

    def loss(inputs, h, c):
        outputs, *states = layer(inputs, initial_state=[h, c], mask=mask)
        return ops.sum(outputs**2) + sum(
            ops.sum(ops.sin(state)) for state in states[:4]
        )

    return loss


def point():
    state = cases.random_state(1)
    return cases.cast([cases.random_inputs(), *state], cases.EXACT_DTYPE)


def second(layer, mask):
    """The penalty on a gradient, and its gradients."""
    value, by_variable, by_tensor = gradients(
        penalty(loss_of(layer, mask)), layer.trainable_variables, point()
    )
    names = [variable.name for variable in layer.trainable_variables]
    names += ["inputs", "h", "c"]
    return value, dict(zip(names, by_variable + by_tensor, strict=True))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.backend)
        if name == "sampled"
        else name
        for name in LAYERS
    ],
)
def test_second_derivative_by_hand_equals_that_of_the_framework(name, noise):
    mask = cases.MASKS["holes"]
    value, found = second(build(name), mask)
    expected, right = second(build(name, autodiff=True), mask)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    for key in right:
        np.testing.assert_allclose(
            found[key],
            right[key],
            atol=(1e-3 if ON_JAX else 1e-9) * np.abs(right[key]).max(),
            err_msg=key,
        )
    assert np.abs(right["recurrent_kernel"]).max() > 1e-2


@pytest.mark.parametrize("name", ["sampled", "mean"])
def test_second_derivative_equals_difference_quotients(name, noise):
    layer, mask = build(name), cases.MASKS["holes"]
    tensors = dict(zip(("inputs", "h", "c"), point(), strict=True))
    rng = np.random.default_rng(9)
    direction = {key: rng.normal(size=x.shape) for key, x in tensors.items()}

    def value_at(moved):
        squared_norm = penalty(loss_of(layer, mask))
        return float(squared_norm(*map(ops.convert_to_tensor, moved.values())))

    _, found = second(layer, mask)
    np.testing.assert_allclose(
        sum(np.sum(direction[key] * found[key]) for key in direction),
        reference.directional_derivative(value_at, tensors, direction),
        rtol=1e-5,
    )


@pytest.mark.parametrize("jit", [False, True])
def test_second_derivative_in_a_compiled_function(jit, noise):
    import tensorflow as tf

    value = penalty(loss_of(build("sampled"), None))
    tensors = point()
    expected = gradients(value, [], tensors)[2]

    @tf.function(jit_compile=jit)
    def of_value(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            result = value(*tensors)
        return tape.gradient(result, tensors)

    found = of_value(*map(tf.convert_to_tensor, tensors))
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-9)


def test_third_derivative():
    found = [
        gradients(
            penalty(penalty(loss_of(build("fixed", **options), None))),
            [],
            point(),
        )[2]
        for options in ({}, {"autodiff": True})
    ]
    for left, right in zip(*found, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-9 * np.abs(right).max())


@pytest.mark.backend
def test_second_derivative_of_the_cross_entropy():
    rng = np.random.default_rng(0)
    hidden, kernel, bias = cases.cast(
        [rng.normal(size=size) for size in ((2, 3, 4), (4, 7), (7,))],
        "float32",
    )
    targets = rng.integers(0, 7, (2, 3))

    def plainly(hidden, kernel, bias):
        logits = ops.matmul(hidden, kernel) + bias
        chosen = ops.one_hot(targets, 7, dtype=logits.dtype)
        return -ops.sum(chosen * ops.log_softmax(logits))

    def derived(hidden, kernel, bias):
        logits = ops.matmul(hidden, kernel) + bias
        return ops.sum(token_nll(logits, targets))

    def in_blocks(hidden, kernel, bias):
        return blocked_nll(hidden, kernel, bias, targets, 1.0, most=14)[1]

    point = (hidden, kernel, bias)
    expected = gradients(penalty(plainly), [], point)[2]
    for loss in (derived, in_blocks):
        found = gradients(penalty(loss), [], point)[2]
        for left, right in zip(found, expected, strict=True):
            np.testing.assert_allclose(left, right, rtol=2e-4, atol=1e-4)


@pytest.mark.backend
@pytest.mark.skipif(not ON_JAX, reason="forward mode of JAX")
@pytest.mark.parametrize("name", ["plain", "greedy"])
def test_forward_mode(name):
    """By the framework it is right, by hand it is refused in words."""
    import jax

    tensors = point()
    by_framework = loss_of(build(name, autodiff=True), None)
    _, found = jax.jvp(by_framework, tensors, tensors)
    of_loss = jax.grad(by_framework, (0, 1, 2))(*tensors)
    expected = sum(np.sum(x * y) for x, y in zip(tensors, of_loss, strict=True))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    derived = loss_of(build(name), None)
    with pytest.raises(TypeError, match="needs a layer with `autodiff=True`"):
        jax.jvp(derived, tensors, tensors)
    # Forward over reverse, as a Hessian is taken.
    found, right = (
        jax.jvp(jax.grad(loss, (0, 1, 2)), tensors, tensors)[1]
        for loss in (derived, by_framework)
    )
    for left, want in zip(found, right, strict=True):
        np.testing.assert_allclose(left, want, atol=2e-3 * np.abs(want).max())
