"""Drawn actions follow the policy, and no draw is used twice."""

import cases
import keras
import numpy as np
import pytest
import reference
from keras import ops

import dsl

ROWS, STEPS, NUM_ACTIONS = 800, 4, 3
IMPLEMENTATIONS = pytest.mark.parametrize(
    "implementation", ["layer", "autodiff", "cell"]
)


def setting():
    """Weights, equal inputs in all rows, and equal filled buffers."""
    weights = cases.random_weights(NUM_ACTIONS, seed=50)
    inputs = cases.random_inputs(51, batch=1, steps=STEPS)
    inputs = np.repeat(inputs, ROWS, axis=0)
    state = cases.random_state(NUM_ACTIONS, 52, counts=(9,))
    state = tuple(np.repeat(part, ROWS, axis=0) for part in state)
    return weights, inputs, state


def sampler(implementation, weights, inputs, state, seed):
    """A function that returns the distances of one call, `(ROWS, STEPS)`.

    It runs in a graph, where a mistake in seeding would freeze the draws.
    """
    options = {
        "policy_units": cases.POLICY_UNITS,
        "action_selection": "sampled",
        "seed": seed,
    }
    if implementation == "cell":
        cell = dsl.DynamicSkipLSTMCell(cases.UNITS, NUM_ACTIONS, **options)
        layer = keras.layers.RNN(cell, return_sequences=True)
    else:
        layer = dsl.DynamicSkipLSTM(
            cases.UNITS,
            NUM_ACTIONS,
            return_sequences=True,
            return_policy=True,
            autodiff=implementation == "autodiff",
            **options,
        )
    layer.build((None, None, cases.FEATURES))
    cases.set_weights(layer, weights)
    tensors = cases.cast([inputs, *state], "float32")
    ports = [keras.Input(tensor.shape[1:]) for tensor in tensors]
    model = keras.Model(ports, layer(ports[0], initial_state=ports[1:]))
    model.compile(jit_compile=False)

    def draw():
        found = model.predict_on_batch(tensors)
        if implementation != "cell":
            return found[1]["look_back"]
        return decode(found, weights, inputs, state)

    return draw


def decode(outputs, weights, inputs, state):
    """The distances that lead from the inputs to the outputs."""
    look_back = np.zeros(outputs.shape[:2], int)
    units = outputs.shape[-1]
    for b in range(len(outputs)):
        row = reference.unpack_state(state, b, NUM_ACTIONS, units)
        previous, past, count = row
        for t in range(outputs.shape[1]):
            reached = [
                reference.lstm_step(inputs[b, t], *slot, weights)
                for slot in [previous, *past]
            ]
            errors = [np.abs(h - outputs[b, t]).max() for h, _ in reached]
            look_back[b, t] = np.argmin(errors) + 1
            assert min(errors) < 1e-4 < sorted(errors)[1]
            past = reference.remember(previous, past, count, NUM_ACTIONS)
            previous, count = reached[np.argmin(errors)], count + 1
    return look_back


def surprises(look_back, weights, inputs, state):
    """1[k_t = k] - pi(k | e_t) and its variance, each `(ROWS, STEPS, K)`."""
    found = reference.dynamic_skip_lstm(
        inputs,
        weights,
        state,
        num_actions=NUM_ACTIONS,
        look_back=look_back,
    )
    pi = np.apply_along_axis(reference.softmax, -1, found["logits"])
    return np.eye(NUM_ACTIONS)[look_back - 1] - pi, pi * (1.0 - pi)


def assert_no_trend(residual, variance, what):
    """A sum of independent, centered numbers stays within 4 deviations."""
    z = residual.sum(axis=0) / np.sqrt(variance.sum(axis=0))
    assert np.abs(z).max() < 4.0, (what, z)


@pytest.mark.backend
@IMPLEMENTATIONS
def test_frequencies_follow_the_policy_and_draws_are_independent(
    implementation,
):
    weights, inputs, state = setting()
    draw = sampler(implementation, weights, inputs, state, seed=7)
    first, second = draw(), draw()
    r_1, v_1 = surprises(first, weights, inputs, state)
    r_2, v_2 = surprises(second, weights, inputs, state)
    assert_no_trend(r_1, v_1, "frequencies")
    for t in range(STEPS):
        for u in range(t + 1, STEPS):
            assert_no_trend(
                r_1[:, t] * r_1[:, u], v_1[:, t] * v_1[:, u], "steps"
            )
    assert_no_trend(r_1 * r_2, v_1 * v_2, "calls")
    half = ROWS // 2
    assert_no_trend(r_1[:half] * r_1[half:], v_1[:half] * v_1[half:], "rows")
    again = sampler(implementation, weights, inputs, state, seed=7)
    np.testing.assert_array_equal(again(), first)
    np.testing.assert_array_equal(again(), second)
    other = sampler(implementation, weights, inputs, state, seed=8)
    assert np.mean(other() == first) < 0.8


@pytest.mark.parametrize("autodiff", [False, True])
@pytest.mark.parametrize("mask", ["none", "holes"])
def test_rollouts(mask, autodiff):
    """Forced alike they are copies; drawn, each has actions of its own."""
    inputs, state = cases.random_inputs(), cases.random_state(3)
    mask = cases.MASKS[mask]
    layer = cases.dynamic(3, autodiff=autodiff, seed=9)
    look_back = cases.random_look_back(3)
    arguments = {"mask": mask, "look_back": look_back}
    one = cases.call(layer, inputs, state, **arguments)
    two = cases.call(layer, inputs, state, **arguments, num_rollouts=2)
    for name in ("outputs", "log_prob", "entropy", "look_back"):
        np.testing.assert_allclose(
            two[name], np.concatenate([one[name]] * 2), atol=1e-6
        )
    for left, right in zip(two["states"], one["states"], strict=True):
        np.testing.assert_allclose(left, np.concatenate([right] * 2), atol=1e-6)
    drawn = cases.call(
        layer, inputs, state, mask=mask, training=True, num_rollouts=4
    )
    for r in range(4):
        rows = slice(3 * r, 3 * r + 3)
        expected = reference.dynamic_skip_lstm(
            inputs,
            cases.random_weights(3),
            state,
            num_actions=3,
            skip_weight=0.3,
            mask=mask,
            look_back=np.maximum(drawn["look_back"][rows], 1),
        )
        for name in ("outputs", "log_prob", "look_back"):
            np.testing.assert_allclose(
                drawn[name][rows], expected[name], atol=2e-5
            )
        for other in range(r):
            rows_2 = slice(3 * other, 3 * other + 3)
            assert np.any(
                drawn["look_back"][rows] != drawn["look_back"][rows_2]
            )


@pytest.mark.backend
@pytest.mark.parametrize(
    "constructed, called, training, drawn",
    [
        ("auto", None, False, False),
        ("auto", None, True, True),
        ("sampled", None, False, True),
        ("greedy", None, True, False),
        ("auto", "sampled", False, True),
        ("auto", "greedy", True, False),
        ("greedy", "auto", True, True),
    ],
)
def test_when_actions_are_drawn(constructed, called, training, drawn):
    layer = cases.dynamic(3, action_selection=constructed, seed=10)
    inputs, state = cases.random_inputs(), cases.random_state(3)
    greedy = cases.call(
        cases.dynamic(3, action_selection="greedy"), inputs, state
    )
    for _ in range(2):
        found = cases.call(
            layer, inputs, state, training=training, action_selection=called
        )
        same = np.array_equal(found["look_back"], greedy["look_back"])
        assert same is not drawn


@pytest.mark.backend
def test_the_cell_is_greedy_unless_training():
    weights = cases.random_weights(3)
    layer = keras.layers.RNN(
        dsl.DynamicSkipLSTMCell(4, 3, policy_units=6, seed=1),
        return_sequences=True,
    )
    layer.build((None, None, cases.FEATURES))
    cases.set_weights(layer, weights)
    inputs = ops.array(cases.random_inputs().astype("float32"))
    greedy = cases.to_numpy(layer(inputs))
    np.testing.assert_array_equal(cases.to_numpy(layer(inputs)), greedy)
    drawn = cases.to_numpy(layer(inputs, training=True))
    assert np.abs(drawn - greedy).max() > 1e-3


# Saving.


def trainable(seed=5):
    """A model that draws actions and dropout in `fit`, from the same start."""
    keras.utils.set_random_seed(1)
    layer = dsl.DynamicSkipLSTM(
        cases.UNITS,
        NUM_ACTIONS,
        policy_units=cases.POLICY_UNITS,
        estimator="straight_through",
        dropout=0.3,
        seed=seed,
    )
    model = keras.Sequential(
        [keras.Input((STEPS, cases.FEATURES)), layer, keras.layers.Dense(1)]
    )
    model.compile("adam", "mse", jit_compile=False)
    return model


class Interrupted(Exception):
    pass


class InterruptAfter(keras.callbacks.Callback):
    """Ends a training at the end of its second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise Interrupted


def fit(model, folder, *callbacks):
    x = cases.random_inputs(steps=STEPS).astype("float32")
    backup = keras.callbacks.BackupAndRestore(folder)
    model.fit(
        x,
        x[:, 0, :1],
        epochs=4,
        shuffle=False,
        verbose=0,
        callbacks=[backup, *callbacks],
    )
    return model.get_weights()


def test_a_resumed_fit_ends_as_the_unbroken_one(tmp_path):
    unbroken = fit(trainable(), tmp_path / "unbroken")
    with pytest.raises(Interrupted):
        fit(trainable(), tmp_path / "backup", InterruptAfter())
    resumed = trainable()
    for one, other in zip(
        fit(resumed, tmp_path / "backup"), unbroken, strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.backend
@pytest.mark.parametrize("implementation", ["layer", "cell"])
@pytest.mark.parametrize("file", ["model.keras", "model.weights.h5"])
def test_draws_go_on_where_they_were_saved(file, implementation, tmp_path):
    weights, inputs, _ = setting()
    options = {"policy_units": cases.POLICY_UNITS}

    def build(seed):
        cell = dsl.DynamicSkipLSTMCell(
            cases.UNITS, NUM_ACTIONS, seed=seed, **options
        )
        layer = keras.layers.RNN(cell)
        if implementation == "layer":
            layer = dsl.DynamicSkipLSTM.from_config(cell.get_config())
        return keras.Sequential([keras.Input((STEPS, cases.FEATURES)), layer])

    def draw(model):
        x = inputs.astype("float32")
        return cases.to_numpy(model(x, training=True))

    model = build(3)
    cases.set_weights(model, weights)
    first = draw(model)
    path = tmp_path / file
    if file == "model.keras":
        model.save(path)
        loaded = keras.saving.load_model(path)
    else:
        model.save_weights(path)
        loaded = build(4)
        loaded.load_weights(path)
    second = draw(model)
    assert np.any(second != first)
    np.testing.assert_array_equal(draw(loaded), second)


def test_weights_that_were_saved_without_a_seed_are_loaded():
    cell, other = (
        dsl.DynamicSkipLSTMCell(cases.UNITS, NUM_ACTIONS, seed=seed)
        for seed in (3, 4)
    )
    store = {}
    for one in (cell, other):
        one.build((None, cases.FEATURES))
    cell.save_own_variables(store)
    del store["seed_state"]
    other.load_own_variables(store)
    for left, right in zip(
        other.get_weights(), cell.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(left, right)
    assert cases.to_numpy(other.seed_generator.state)[0] == 4
    store["7"] = store["0"]
    with pytest.raises(ValueError, match="expected 7 variables"):
        other.load_own_variables(store)
