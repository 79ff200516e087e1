"""The dynamic skip LSTM as a layer among Keras layers."""

import cases
import keras
import numpy as np
import pytest
from gradients import gradients
from keras import ops

import dsl

SMALL = {"num_actions": 3, "policy_units": cases.POLICY_UNITS}


def floats(*arrays):
    return [np.asarray(array, "float32") for array in arrays]


def predict(model, inputs):
    """A compiled forward pass without XLA."""
    if not model.compiled:
        model.compile(jit_compile=False)
    return model.predict_on_batch(inputs)


@pytest.mark.parametrize("autodiff", [False, True])
def test_graph_equals_eager_for_any_length(autodiff):
    layer = cases.dynamic(3, autodiff=autodiff)
    inputs = keras.Input((None, cases.FEATURES))
    mask = keras.Input((None,), dtype="bool")
    outputs, *states, policy = layer(inputs, mask=mask)
    model = keras.Model([inputs, mask], [outputs, *states, policy])
    for steps in (4, 5):
        x = cases.random_inputs(steps=steps)
        m = cases.MASKS["left"][:, :steps]
        *found, policy = predict(model, [*floats(x), m])
        expected = cases.call(layer, x, mask=m)
        for left, right in zip(
            found, [expected["outputs"], *expected["states"]], strict=True
        ):
            np.testing.assert_allclose(left, right, atol=1e-6)
        for name, value in policy.items():
            np.testing.assert_allclose(value, expected[name], atol=1e-6)


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")
@pytest.mark.filterwarnings("ignore:the policy of")
@pytest.mark.parametrize("estimator", ["reinforce", "straight_through"])
def test_training_in_a_graph_equals_the_eager_gradient(estimator, monkeypatch):
    """One step of plain gradient descent subtracts the gradient."""
    noise = np.random.default_rng(8).gumbel(size=(3, 5, 3))
    cases.fix_noise(monkeypatch, noise)
    x, state = cases.random_inputs(), cases.random_state(3)[:2]
    y = np.zeros((cases.BATCH, cases.STEPS, cases.UNITS), "float32")
    mask = cases.MASKS["holes"]
    found = {}
    for way in ("eager", "graph", "jit"):
        layer = cases.dynamic(
            3,
            estimator=estimator,
            return_state=False,
            return_policy=False,
        )
        before = layer.get_weights()
        if way == "eager":
            loss = mean_square(layer, mask)
            _, found[way], _ = gradients(
                loss, layer.trainable_variables, floats(x, *state)
            )
            continue
        inputs = [
            keras.Input((None, cases.FEATURES)),
            keras.Input((cases.UNITS,)),
            keras.Input((cases.UNITS,)),
            keras.Input((None,), dtype="bool"),
        ]
        outputs = layer(inputs[0], initial_state=inputs[1:3], mask=inputs[3])
        # An operation drops the mask, by which Keras would weight the loss.
        outputs = ops.multiply(outputs, 1.0)
        model = keras.Model(inputs, outputs)
        model.compile(
            keras.optimizers.SGD(1.0), "mse", jit_compile=way == "jit"
        )
        model.train_on_batch([*floats(x, *state), mask], y)
        found[way] = [
            old - new
            for old, new in zip(before, layer.get_weights(), strict=True)
        ]
    for way in ("graph", "jit"):
        for left, right in zip(found[way], found["eager"], strict=True):
            np.testing.assert_allclose(left, right, atol=1e-6)


def mean_square(layer, mask):
    def loss(inputs, *states):
        outputs = layer(
            inputs, initial_state=list(states), mask=mask, training=True
        )
        return ops.mean(ops.square(outputs))

    return loss


@pytest.mark.backend
def test_it_trains_in_fit_with_xla():
    x = cases.random_inputs(batch=8, steps=4).astype("float32")
    y = x[:, 0, :1]
    layer = dsl.DynamicSkipLSTM(8, **SMALL, estimator="straight_through")
    model = keras.Sequential([layer, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.05), "mse", jit_compile=True)
    history = model.fit(x, y, epochs=15, batch_size=8, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_functional_model_with_states_in_and_out():
    layer = cases.dynamic(3)
    inputs = keras.Input((None, cases.FEATURES))
    sizes = [4, 4, 8, 8, 1]
    states = [keras.Input((size,)) for size in sizes]
    outputs, *finals, policy = layer(inputs, initial_state=states)
    assert outputs.shape == (None, None, 4)
    assert [final.shape for final in finals] == [(None, n) for n in sizes]
    assert {key: value.shape for key, value in policy.items()} == {
        "log_prob": (None, None),
        "entropy": (None, None),
        "look_back": (None, None),
    }
    model = keras.Model([inputs, *states], [outputs, *finals, policy])
    x, state = cases.random_inputs(), cases.random_state(3)
    found, *_ = predict(model, floats(x, *state))
    expected = cases.call(layer, x, state)
    np.testing.assert_allclose(found, expected["outputs"], atol=1e-6)


def test_h_and_c_alone_are_an_initial_state():
    x, (h, c, past_h, past_c, count) = (
        cases.random_inputs(),
        cases.random_state(3),
    )
    layer = cases.dynamic(3)
    found = cases.call(layer, x, (h, c))
    empty = (h, c, 0.0 * past_h, 0.0 * past_c, 0.0 * count)
    expected = cases.call(layer, x, empty)
    np.testing.assert_allclose(found["outputs"], expected["outputs"])
    np.testing.assert_array_equal(found["look_back"], expected["look_back"])


def test_stacked_with_an_embedding_mask():
    words = np.array([[3, 1, 2, 0], [4, 0, 0, 0]])
    embedding = keras.layers.Embedding(5, 6, mask_zero=True)
    layers = [
        dsl.DynamicSkipLSTM(4, **SMALL, return_sequences=True),
        dsl.DynamicSkipLSTM(5, **SMALL, return_sequences=True),
        dsl.LSTM(3),
    ]
    model = keras.Sequential([embedding, *layers])
    found = predict(model, words)
    x, mask = embedding(words), words > 0
    for layer in layers:
        x = layer(x, mask=mask)
    np.testing.assert_allclose(found, cases.to_numpy(x), atol=1e-6)
    alone = predict(model, words[1:, :1])
    np.testing.assert_allclose(found[1:], alone, atol=1e-6)


def test_bidirectional():
    x = cases.random_inputs().astype("float32")
    mask = cases.MASKS["right"]
    forward = dsl.DynamicSkipLSTM(4, **SMALL, return_sequences=True)
    both = keras.layers.Bidirectional(forward)
    found = cases.to_numpy(both(x, mask=mask))
    weights = {weight.path: weight for weight in both.backward_layer.weights}
    assert len(weights) == 7
    ahead = both.forward_layer(x, mask=mask)
    back = both.backward_layer(x, mask=mask)
    expected = np.concatenate([ahead, cases.to_numpy(back)[:, ::-1]], axis=-1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(expected[..., :4] - expected[..., 4:]).max() > 1e-2


@pytest.mark.backend
def test_save_and_load(tmp_path):
    x = cases.random_inputs().astype("float32")
    inputs = keras.Input((None, cases.FEATURES))
    layer = dsl.DynamicSkipLSTM(
        4,
        num_actions=4,
        skip_weight=0.3,
        policy_units=6,
        observation="mean",
        empty_slots="zeros",
        forget_bias=0.5,
        estimator="straight_through",
        temperature=0.7,
        action_selection="greedy",
        previous_bias=1.0,
        go_backwards=True,
        zero_output_for_mask=True,
        dropout=0.2,
        recurrent_dropout=0.1,
        kernel_initializer=keras.initializers.RandomNormal(seed=1),
        policy_kernel_initializer=keras.initializers.RandomNormal(seed=2),
        recurrent_regularizer="l2",
        return_sequences=True,
        return_policy=True,
        autodiff=True,
        seed=3,
        name="skipping",
    )
    model = keras.Model(inputs, layer(inputs))
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    again = loaded.get_layer("skipping")
    assert again.get_config() == layer.get_config()
    assert again.autodiff and again.return_policy
    expected, policy = predict(model, x)
    found, same = predict(loaded, x)
    np.testing.assert_array_equal(found, expected)
    for name, value in policy.items():
        np.testing.assert_array_equal(same[name], value)


@pytest.mark.parametrize("empty_slots", ["mask", "zeros"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "dtype",
    [
        "mixed_float16",
        "mixed_bfloat16",
    ],
)
def test_mixed_precision(dtype, masked, empty_slots):
    layer = cases.dynamic(3, dtype=dtype, empty_slots=empty_slots)
    x, state = cases.random_inputs(), cases.random_state(3)
    mask = cases.MASKS["holes"] if masked else None
    outputs, *states, policy = layer(
        *floats(x), initial_state=floats(*state), mask=mask, training=True
    )
    half = dtype.removeprefix("mixed_")
    for value in (outputs, *states[:4]):
        assert keras.backend.standardize_dtype(value.dtype) == half
    for name in ("log_prob", "entropy"):
        kind = keras.backend.standardize_dtype(policy[name].dtype)
        assert kind == "float32"
    look_back = cases.to_numpy(policy["look_back"])
    wide = cases.dynamic(3, empty_slots=empty_slots)
    # 0 at a masked step, which is none of the distances.
    look_back = np.maximum(look_back, 1)
    expected = cases.call(wide, x, state, mask=mask, look_back=look_back)
    for name, value in (("outputs", outputs), ("log_prob", policy["log_prob"])):
        value = cases.to_numpy(ops.cast(value, "float32"))
        np.testing.assert_allclose(value, expected[name], atol=0.1)

    def loss(inputs):
        outputs, *_, policy = layer(inputs, mask=mask, training=True)
        return ops.mean(ops.cast(outputs, "float32")) + ops.mean(
            policy["log_prob"]
        )

    _, found, _ = gradients(loss, layer.trainable_variables, floats(x))
    assert all(np.all(np.isfinite(gradient)) for gradient in found)
    assert all(np.abs(gradient).max() > 0.0 for gradient in found)


@pytest.mark.parametrize("mask", ["none", "holes"])
@pytest.mark.parametrize("autodiff", [False, True])
def test_stateful_carries_the_buffer(autodiff, mask):
    x, mask = cases.random_inputs(), cases.MASKS[mask]
    layer = dsl.DynamicSkipLSTM(
        4,
        **SMALL,
        stateful=True,
        return_sequences=True,
        autodiff=autodiff,
    )
    layer.build(x.shape)
    weights = cases.random_weights(3)
    cases.set_weights(layer, weights)
    first, second = (
        cases.to_numpy(
            layer(
                x[:, part].astype("float32"),
                mask=None if mask is None else mask[:, part],
            )
        )
        for part in (slice(3), slice(3, None))
    )
    dynamic = cases.dynamic(3, weights, skip_weight=1.0)
    whole = cases.call(dynamic, x, mask=mask)
    found = np.concatenate([first, second], axis=1)
    # A part that begins with masked steps begins with zeros, as in Keras.
    taken = ... if mask is None else mask
    np.testing.assert_allclose(found[taken], whole["outputs"][taken], atol=1e-6)


@pytest.mark.parametrize("autodiff", [False, True])
def test_unfilled_slots_and_padding_do_not_matter(autodiff):
    x, mask = cases.random_inputs(), cases.MASKS["right"]
    state = cases.random_state(5, counts=(1, 3, 0))
    other = [np.array(part) for part in state]
    for part in other[2:4]:
        slots = part.reshape(3, 4, cases.UNITS)
        slots[0], slots[1, 2:], slots[2] = 7.0, 8.0, 9.0
    changed = np.where(mask[..., None], x, 1e4)
    for empty_slots in ("mask", "zeros", "previous"):
        for observation in ("previous", "mean"):
            layer = cases.dynamic(
                5,
                autodiff=autodiff,
                empty_slots=empty_slots,
                observation=observation,
            )
            found = cases.call(layer, changed, other, mask=mask)
            expected = cases.call(layer, x, state, mask=mask)
            for name in ("outputs", "log_prob", "entropy", "look_back"):
                np.testing.assert_array_equal(found[name], expected[name])


def test_the_policy_reads_the_dropped_out_input():
    layer = cases.dynamic(3, dropout=0.5, seed=2)
    for name in ("kernel", "recurrent_kernel"):
        variable = getattr(layer.cell, name)
        variable.assign(ops.zeros(variable.shape))
    row = cases.random_inputs(batch=1)
    x = np.repeat(row, cases.BATCH, axis=0)
    look_back = np.ones((cases.BATCH, cases.STEPS), "int32")
    quiet = cases.call(layer, x, look_back=look_back)["log_prob"]
    np.testing.assert_array_equal(quiet[0], quiet[1])
    found = cases.call(layer, x, look_back=look_back, training=True)
    assert np.abs(found["log_prob"][0] - found["log_prob"][1]).max() > 1e-2


BAD_ARGUMENTS = [
    ({"units": 0}, "units"),
    ({"units": -3}, "units"),
    ({"num_actions": 0}, "`num_actions`.*Received: num_actions=0"),
    ({"num_actions": 2.5}, "`num_actions`.*Received"),
    ({"policy_units": 0}, "`policy_units`.*Received: policy_units=0"),
    ({"policy_positions": -1}, "`policy_positions`.*positions=-1"),
    ({"skip_weight": -0.1}, "`skip_weight`.*Received: skip_weight=-0.1"),
    ({"skip_weight": 1.1}, "`skip_weight`.*Received"),
    ({"skip_weight": float("nan")}, "`skip_weight`.*Received"),
    ({"observation": "h"}, "`observation` must be one of.*'h'"),
    ({"empty_slots": "zero"}, "`empty_slots` must be one of.*'zero'"),
    ({"action_selection": "argmax"}, "`action_selection` must be one of"),
]
BAD_LAYER_ARGUMENTS = [
    ({"estimator": "gumbel"}, "`estimator` must be one of.*'gumbel'"),
    ({"temperature": 0.0}, "`temperature`.*Received: temperature=0.0"),
    ({"temperature": -1.0}, "`temperature`.*Received"),
]


@pytest.mark.parametrize("arguments, message", BAD_ARGUMENTS)
def test_bad_arguments_of_the_cell(arguments, message):
    with pytest.raises(ValueError, match=message):
        dsl.DynamicSkipLSTMCell(**{"units": 4, **arguments})


@pytest.mark.parametrize(
    "arguments, message", BAD_ARGUMENTS + BAD_LAYER_ARGUMENTS
)
def test_bad_arguments_of_the_layer(arguments, message):
    with pytest.raises(ValueError, match=message):
        dsl.DynamicSkipLSTM(**{"units": 4, **arguments})


def test_unknown_arguments():
    with pytest.raises((TypeError, ValueError), match="look_backs"):
        dsl.DynamicSkipLSTM(4, look_backs=3)


@pytest.mark.parametrize("shape", [(3, 6), (2, 7), (3,), (3, 7, 1)])
def test_look_back_of_a_wrong_shape(shape):
    layer = cases.dynamic(3)
    with pytest.raises(ValueError, match="`look_back`.*Received"):
        cases.call(
            layer, cases.random_inputs(), look_back=np.ones(shape, "int32")
        )
