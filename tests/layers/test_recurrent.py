"""What all layers do as `keras.layers.LSTM` does it, or state otherwise."""

import itertools

import cases
import keras
import numpy as np
import pytest
from gradients import gradients
from keras import ops

import dsl
from dsl.layers import recurrent

ON_JAX = keras.backend.backend() == "jax"

KINDS = {
    "lstm": dsl.LSTM,
    "fixed": dsl.FixedSkipLSTM,
    "attention": dsl.AttentionLSTM,
    "dynamic": dsl.DynamicSkipLSTM,
}
ALL = pytest.mark.parametrize("kind", KINDS)
# On JAX, which compiles each of them, the one that has all that others have.
DYNAMIC_ON_JAX = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.backend)
        if kind == "dynamic"
        else kind
        for kind in KINDS
    ],
)
STATEFUL = ("lstm",) if ON_JAX else ("lstm", "dynamic")
HALF_ON_JAX = (
    ("attention", "float16", False),
    ("dynamic", "bfloat16", False),
    ("dynamic", "float16", True),
)
STEP_MASK = cases.MASKS["holes"]


# In bfloat16 TensorFlow draws no orthogonal matrix, for Keras neither.
ANY_TYPE = {"recurrent_initializer": "glorot_uniform"}


def build(kind, **options):
    """A layer of four units on inputs of `cases`."""
    layer = KINDS[kind](cases.UNITS, return_sequences=True, **options)
    layer.build((None, None, cases.FEATURES))
    return layer


def floats():
    return cases.random_inputs().astype("float32")


def summed(layer, mask):
    """The sum of the outputs, whose gradient an odd mask would scale."""

    def loss(inputs):
        return ops.sum(layer(inputs, mask=mask))

    return loss


# As word ids, from a division, from a difference: all but 0 counts.
ODD_MASKS = {
    "word ids": STEP_MASK * np.array([[7, 3, 5, 2, 9]]),
    "halves": STEP_MASK * 0.5,
    "negative": STEP_MASK * -1,
    "a last axis": STEP_MASK[:, :, None],
    "a value a feature": np.repeat(STEP_MASK[:, :, None], cases.UNITS, 2),
    "one of its values": STEP_MASK[:, :, None] * np.eye(cases.STEPS)[:, :3]
    + STEP_MASK[:, :, None] * np.eye(cases.STEPS)[:, 2:],
    "the first of a list": [STEP_MASK, None],
}


@DYNAMIC_ON_JAX
@pytest.mark.parametrize("zero_output_for_mask", [False, True])
def test_any_mask_of_keras_is_read_as_true_or_false(kind, zero_output_for_mask):
    layer = build(kind, zero_output_for_mask=zero_output_for_mask)
    inputs, variables = floats(), layer.trainable_variables
    outputs = cases.to_numpy(layer(inputs, mask=STEP_MASK))
    right = gradients(summed(layer, STEP_MASK), variables, [inputs])
    for name, mask in ODD_MASKS.items():
        found = cases.to_numpy(layer(inputs, mask=mask))
        np.testing.assert_array_equal(found, outputs, err_msg=name)
    odd = ODD_MASKS["word ids"]
    found = gradients(summed(layer, odd), variables, [inputs])
    for left, want in zip(
        found[1] + found[2], right[1] + right[2], strict=True
    ):
        np.testing.assert_array_equal(left, want)


def test_keras_takes_these_masks_too():
    layer = keras.layers.LSTM(cases.UNITS, return_sequences=True)
    outputs = cases.to_numpy(layer(floats(), mask=STEP_MASK))
    for name, mask in ODD_MASKS.items():
        if name == "one of its values":
            continue  # On JAX alone; see the Departures of `Recurrent`.
        found = cases.to_numpy(layer(floats(), mask=mask))
        np.testing.assert_allclose(found, outputs, atol=1e-6, err_msg=name)


@ALL
def test_one_row_of_a_mask_is_that_of_all(kind):
    layer, row = build(kind), STEP_MASK[:1]
    found = cases.to_numpy(layer(floats(), mask=row))
    expected = layer(floats(), mask=np.repeat(row, cases.BATCH, 0))
    np.testing.assert_array_equal(found, cases.to_numpy(expected))


@pytest.mark.parametrize("num_actions", [1, 3])
def test_a_mask_is_read_once(num_actions, monkeypatch):
    """Also for what a single action returns of its policy."""
    read, step_mask = [], recurrent.step_mask

    def watched(mask, sequences):
        read.append(mask)
        return step_mask(mask, sequences)

    monkeypatch.setattr(recurrent, "step_mask", watched)
    layer = cases.dynamic(num_actions)
    found = cases.call(layer, floats(), mask=STEP_MASK)
    np.testing.assert_array_equal(found["look_back"] > 0, STEP_MASK)
    assert len(read) == 1


WRONG_MASKS = {
    "too few steps": STEP_MASK[:, :4],
    "too many steps": np.ones((cases.BATCH, 7), bool),
    "one step": STEP_MASK[:, :1],
    "too few rows": STEP_MASK[:2],
    "no rows": STEP_MASK[0],
    "time first": STEP_MASK.T,
    "too many axes": STEP_MASK[:, :, None, None],
    "a list": STEP_MASK.tolist(),
}


@DYNAMIC_ON_JAX
@pytest.mark.parametrize("name", WRONG_MASKS)
def test_a_mask_without_one_value_a_step_is_refused(kind, name):
    with pytest.raises(ValueError, match="`mask` must have a value for each"):
        build(kind)(floats(), mask=WRONG_MASKS[name])
    # Keras refuses each of them, in words of its own.
    layer = keras.layers.LSTM(cases.UNITS)
    with pytest.raises(Exception):  # noqa: B017
        layer(floats(), mask=WRONG_MASKS[name])


@pytest.mark.skipif(ON_JAX, reason="on JAX all sizes are known")
@pytest.mark.parametrize("kind", ["lstm", "dynamic"])
def test_sizes_of_a_mask_that_come_to_light_when_it_runs(kind):
    import tensorflow as tf

    layer = build(kind)

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None, cases.FEATURES)),
            tf.TensorSpec((None, None), "bool"),
        ]
    )
    def run(inputs, mask):
        return layer(inputs, mask=mask)

    outputs = cases.to_numpy(layer(floats(), mask=STEP_MASK))
    np.testing.assert_allclose(run(floats(), STEP_MASK), outputs, atol=1e-6)
    for name in ("too few steps", "too many steps", "one step", "too few rows"):
        with pytest.raises(tf.errors.InvalidArgumentError):
            run(floats(), WRONG_MASKS[name])


@pytest.mark.parametrize(
    "zero_output_for_mask",
    [pytest.param(False, marks=pytest.mark.backend), True],
)
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_mask_and_start_state_in_all_combinations(
    zero_output_for_mask, return_sequences, go_backwards
):
    """Zeros before the first step that counts, on every backend."""
    options = {
        "zero_output_for_mask": zero_output_for_mask,
        "return_sequences": return_sequences,
        "return_state": True,
    }
    mask = np.stack([STEP_MASK[1], STEP_MASK[0], [False] * 5])
    state = [part.astype("float32") for part in cases.random_state(1)]
    inputs = floats()
    theirs = keras.layers.LSTM(cases.UNITS, unroll=True, **options)
    ours = dsl.LSTM(cases.UNITS, go_backwards=go_backwards, **options)
    # Keras unrolled, on the reversed sequence: for it, backends agree but for
    # an output that is to be zero.
    step = -1 if go_backwards else 1
    turned = mask[:, ::step]
    outputs, *states = theirs(
        np.ascontiguousarray(inputs[:, ::step]),
        mask=turned,
        initial_state=state,
    )
    outputs = np.array(outputs)
    if zero_output_for_mask and return_sequences:
        outputs[~turned] = 0.0
    elif zero_output_for_mask:
        outputs[~turned[:, -1]] = 0.0
    ours.build(inputs.shape)
    ours.set_weights(theirs.get_weights())
    found, *last = ours(inputs, mask=mask, initial_state=state)
    for left, right in zip([found, *last], [outputs, *states], strict=True):
        np.testing.assert_allclose(cases.to_numpy(left), right, atol=1e-6)


@pytest.mark.backend
@ALL
def test_a_stateful_layer_refuses_another_batch_size(kind):
    layer = KINDS[kind](cases.UNITS, stateful=True)
    layer(floats())
    with pytest.raises(ValueError, match="must stay 3. Received: batch size 1"):
        layer(floats()[:1])


@pytest.mark.backend
@pytest.mark.parametrize(
    "built",
    [
        True,
        pytest.param(
            False,
            marks=pytest.mark.skipif(
                not ON_JAX, reason="on TensorFlow `fit` hides the batch size"
            ),
        ),
    ],
)
@pytest.mark.parametrize("kind", STATEFUL)
def test_a_stateful_layer_carries_its_state_in_fit_and_predict(kind, built):
    layer = KINDS[kind](cases.UNITS, stateful=True)
    model = keras.Sequential([layer, keras.layers.Dense(1)])
    if built:
        model.build(floats().shape)
    rate = keras.optimizers.SGD(0.0)
    model.compile(rate, "mse", jit_compile=False)
    labels = np.zeros((cases.BATCH, 1))
    model.fit(floats(), labels, shuffle=False, verbose=0)
    weights = len(layer.trainable_weights)
    assert len(layer.weights) == weights
    whole = type(layer).from_config({**layer.get_config(), "stateful": False})
    whole.build(floats().shape)
    whole.set_weights(layer.get_weights())
    if kind == "dynamic":
        # Training drew its actions; from here on they are the best ones.
        layer.reset_state()
        model.predict_on_batch(floats())
    found = model.predict_on_batch(floats())
    twice = np.concatenate([floats(), floats()], axis=1)
    expected = model.layers[-1](whole(twice))
    np.testing.assert_allclose(found, cases.to_numpy(expected), atol=1e-5)


@pytest.mark.parametrize(
    "kind, dtype, autodiff",
    [
        pytest.param(*case, marks=pytest.mark.backend)
        if case in HALF_ON_JAX
        else case
        for case in itertools.product(
            KINDS, ("float16", "bfloat16"), (False, True)
        )
    ],
)
def test_half_precision(kind, dtype, autodiff):
    """All in half precision, the weights too: close to float32, and learns."""
    options = {"policy_positions": 3} if kind == "dynamic" else {}
    options.update(ANY_TYPE)
    wide = build(kind, **options)
    half = build(kind, dtype=dtype, autodiff=autodiff, **options)
    half.set_weights(wide.get_weights())
    inputs, mask = floats(), STEP_MASK
    found = half(ops.cast(inputs, dtype), mask=mask)
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    np.testing.assert_allclose(
        cases.to_numpy(ops.cast(found, "float32")),
        cases.to_numpy(wide(inputs, mask=mask)),
        atol=0.05,
    )

    def loss(inputs):
        outputs = half(inputs, mask=mask, training=True)
        return ops.sum(ops.square(ops.cast(outputs, "float32")))

    # Gradients come in the type of what they are of.
    _, by_variable, _ = gradients(
        loss, half.trainable_variables, [cases.cast(inputs, "float32")]
    )
    for variable, gradient in zip(
        half.trainable_variables, by_variable, strict=True
    ):
        gradient = np.asarray(gradient, "float32")
        assert np.isfinite(gradient).all(), variable.name
        assert np.abs(gradient).max() > 0.0, variable.name


@pytest.mark.parametrize(
    "cell",
    [
        dsl.LSTMCell,
        dsl.FixedSkipLSTMCell,
        dsl.AttentionLSTMCell,
        pytest.param(dsl.DynamicSkipLSTMCell, marks=pytest.mark.backend),
    ],
)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "mixed_bfloat16"])
def test_a_cell_in_half_precision(cell, dtype):
    policy = keras.dtype_policies.get(dtype)
    layer = keras.layers.RNN(cell(4, dtype=policy, **ANY_TYPE), dtype=policy)
    found = layer(floats(), training=True)
    half = policy.compute_dtype
    assert keras.backend.standardize_dtype(found.dtype) == half
    assert np.isfinite(cases.to_numpy(ops.cast(found, "float32"))).all()
