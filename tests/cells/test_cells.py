"""The cells, alone and in `keras.layers.RNN`, against the NumPy oracles."""

import cases
import keras
import numpy as np
import pytest
import reference
from gradients import gradients
from keras import ops

import dsl


def build(num_actions, weights=None, **options):
    """A built `keras.layers.RNN` around a cell, with random weights."""
    options = {
        "skip_weight": 0.3,
        "policy_units": cases.POLICY_UNITS,
        **options,
    }
    # In an eager loop Keras calls the cell once more than there are steps.
    unroll = options.pop("unroll", False)
    cell = dsl.DynamicSkipLSTMCell(cases.UNITS, num_actions, **options)
    layer = keras.layers.RNN(
        cell, return_sequences=True, return_state=True, unroll=unroll
    )
    layer.build((None, cases.STEPS, cases.FEATURES))
    if weights is None:
        weights = cases.random_weights(num_actions)
    cases.set_weights(layer, weights)
    return layer


def assert_equals(found, expected, tolerance=2e-5):
    """Outputs and states of an RNN against the oracle's dictionary."""
    outputs, *states = (cases.to_numpy(value) for value in found)
    np.testing.assert_allclose(outputs, expected["outputs"], atol=tolerance)
    pairs = zip(cases.filled_slots(states), expected["states"], strict=True)
    for index, (left, right) in enumerate(pairs):
        np.testing.assert_allclose(
            left, right, atol=tolerance, err_msg=f"state {index}"
        )


@pytest.mark.parametrize("mask", cases.MASKS)
@pytest.mark.parametrize(
    "num_actions, skip_weight",
    [(1, 1.0), (2, 0.3), (3, 0.0), (3, 1.0), (5, 0.3), (5, 1.0)],
)
def test_equals_the_oracle(num_actions, skip_weight, mask):
    inputs, mask = cases.random_inputs(), cases.MASKS[mask]
    state = cases.quiet_where_masked(cases.random_state(num_actions), mask)
    layer = build(num_actions, skip_weight=skip_weight)
    found = layer(
        *cases.cast([inputs], "float32"),
        initial_state=cases.cast(state, "float32"),
        mask=mask,
    )
    expected = reference.dynamic_skip_lstm(
        inputs,
        cases.random_weights(num_actions),
        state,
        num_actions=num_actions,
        skip_weight=skip_weight,
        mask=mask,
    )
    assert_equals(found, expected)


@pytest.mark.parametrize("forget_bias", [0.0, 0.7])
@pytest.mark.parametrize("observation", ["previous", "mean"])
@pytest.mark.parametrize("empty_slots", ["mask", "zeros", "previous"])
def test_options_and_draws_equal_the_oracle(
    empty_slots, observation, forget_bias, monkeypatch
):
    inputs = cases.random_inputs()
    state = cases.random_state(5, counts=(0, 3, 1))
    noise = np.random.default_rng(60).gumbel(size=(3, 5, 5))
    cases.fix_noise(monkeypatch, noise)
    options = {
        "empty_slots": empty_slots,
        "observation": observation,
        "forget_bias": forget_bias,
        "skip_weight": 0.3,
    }
    found = build(5, unroll=True, **options)(
        *cases.cast([inputs], "float32"),
        initial_state=cases.cast(state, "float32"),
        training=True,
    )
    expected = reference.dynamic_skip_lstm(
        inputs,
        cases.random_weights(5),
        state,
        num_actions=5,
        noise=noise,
        **options,
    )
    assert_equals(found, expected)


def test_positions_equal_the_oracle():
    weights = cases.random_weights(3, positions=4)
    inputs, state = cases.random_inputs(), cases.random_state(3)
    layer = build(3, weights, policy_positions=4, skip_weight=0.3)
    found = layer(
        *cases.cast([inputs], "float32"),
        initial_state=cases.cast(state, "float32"),
    )
    expected = reference.dynamic_skip_lstm(
        inputs, weights, state, num_actions=3, skip_weight=0.3
    )
    assert_equals(found, expected)


def test_one_call_is_one_step():
    weights, x = cases.random_weights(3), cases.random_inputs()
    state = cases.random_state(3)
    cell = build(3).cell
    for t in range(4):
        h, next_state = cell(
            *cases.cast([x[:, t]], "float32"), cases.cast(state, "float32")
        )
        expected = reference.dynamic_skip_lstm(
            x[:, t : t + 1], weights, state, num_actions=3, skip_weight=0.3
        )
        assert_equals([h[:, None], *next_state], expected)
        state = expected["states"]


def test_layer_and_cell_agree_in_value_and_gradient():
    inputs, state = cases.random_inputs(), cases.random_state(5)
    # Before the first unmasked step the backends of Keras differ.
    mask = np.arange(cases.STEPS) < np.array([[5], [3], [1]])
    tensors = cases.cast([inputs, *state], "float32")
    found = []
    for layer in (build(5), cases.dynamic(5, return_policy=False)):

        def loss(inputs, *state, layer=layer):
            outputs, *finals = layer(
                inputs, initial_state=list(state), mask=mask
            )
            total = ops.sum(ops.sin(outputs))
            for final in finals[:2]:
                total = total + ops.sum(ops.cos(final))
            return total

        variables = sorted(layer.trainable_variables, key=lambda v: v.name)
        value, by_variable, by_tensor = gradients(loss, variables, tensors)
        found.append([value, *by_variable, *by_tensor[:-1]])
    for left, right in zip(*found, strict=True):
        np.testing.assert_allclose(left, right, atol=2e-5)


def test_one_action_is_the_keras_cell():
    weights = cases.random_weights(1)
    x, state = cases.random_inputs(), cases.random_state(1)
    arguments = (
        *cases.cast([x[:, 0]], "float32"),
        cases.cast(state, "float32"),
    )
    found = []
    for cell in (
        dsl.DynamicSkipLSTMCell(cases.UNITS, num_actions=1),
        dsl.LSTMCell(cases.UNITS),
        keras.layers.LSTMCell(cases.UNITS),
    ):
        cell.build((None, cases.FEATURES))
        cases.set_weights(cell, weights)
        h, states = cell(*arguments)
        found.append([cases.to_numpy(value) for value in (h, *states)])
    for other in found[:2]:
        for left, right in zip(other, found[2], strict=True):
            np.testing.assert_allclose(left, right, atol=1e-7)


def test_state_sizes_are_integers():
    cell = dsl.DynamicSkipLSTMCell(4, num_actions=5)
    assert list(cell.state_size) == [4, 4, 16, 16, 1]
    assert cell.output_size == 4
    shapes = [tuple(state.shape) for state in cell.get_initial_state(3)]
    assert shapes == [(3, 4), (3, 4), (3, 16), (3, 16), (3, 1)]
    assert list(dsl.DynamicSkipLSTMCell(4, 1).state_size) == [4, 4]


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_dropout_in_the_cell_equals_the_layer(dropout, monkeypatch):
    """Same seed, same masks, whichever way the steps are run."""
    noise = np.random.default_rng(61).gumbel(size=(3, 5, 3))
    x = cases.random_inputs().astype("float32")
    found = []
    for unroll in (True, False):
        cases.fix_noise(monkeypatch, noise)
        options = {"dropout": dropout, "recurrent_dropout": dropout, "seed": 5}
        if unroll:
            layer = build(3, unroll=True, **options)
        else:
            layer = cases.dynamic(3, **options)
        found.append(cases.to_numpy(layer(x, training=True)[0]))
    np.testing.assert_allclose(*found, atol=2e-6)
    quiet = cases.to_numpy(layer(x)[0])
    assert (np.abs(found[0] - quiet).max() > 1e-2) or dropout == 0.0


def test_stacked_cells_save_and_load(tmp_path):
    cells = [
        dsl.DynamicSkipLSTMCell(4, 3, policy_units=6, skip_weight=0.3),
        dsl.DynamicSkipLSTMCell(
            5, 2, policy_units=7, observation="mean", empty_slots="zeros"
        ),
        dsl.LSTMCell(3, forget_bias=0.5),
    ]
    inputs = keras.Input((None, cases.FEATURES))
    layer = keras.layers.RNN(cells, return_sequences=True)
    model = keras.Model(inputs, layer(inputs))
    x = cases.random_inputs().astype("float32")
    expected = x
    for cell in cells:
        expected = keras.layers.RNN(cell, return_sequences=True)(expected)
    found = model.predict_on_batch(x)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(loaded.predict_on_batch(x), found)
    for cell, again in zip(cells, loaded.layers[1].cell.cells, strict=True):
        assert again.get_config() == cell.get_config()
