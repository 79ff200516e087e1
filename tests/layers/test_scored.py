"""Choices and attention by key, and relative to the step before."""

import cases
import keras
import numpy as np
import pytest
import readers
import reference
from gradients import gradients
from keras import ops

import dsl

pytestmark = pytest.mark.backend

WAYS = [
    (scoring, relative)
    for scoring in ("location", "key")
    for relative in (False, True)
][1:] + [("moves", True)]
each_way = pytest.mark.parametrize("scoring, relative", WAYS)
fast_and_autodiff = pytest.mark.parametrize("autodiff", [False, True])


def scored(weights, prefix, scoring, relative, num_states, seed=80):
    """Weights of a layer, with those that the scores of a way have."""
    rng = np.random.default_rng(seed)
    width, units = cases.POLICY_UNITS, cases.UNITS
    located = num_states if scoring == "location" else 1
    shapes = {"output_kernel": (width, located)}
    if scoring != "content":
        shapes["output_bias"] = (located,)
    if scoring == "key":
        shapes["key_kernel"] = (units, width)
    if relative:
        shapes |= {"move_kernel": (width, 3), "move_bias": (3,)}
    found = {
        f"{prefix}_{name}": rng.normal(scale=0.8, size=shape)
        for name, shape in shapes.items()
    }
    return {**weights, **found}


def with_read(state, num_states, seed=81):
    """A state, with a pointer to a random one."""
    rng = np.random.default_rng(seed)
    chosen = rng.integers(num_states, size=len(state[0]))
    return (*state[:4], np.eye(num_states)[chosen], state[4])


def agent(num_actions, scoring, relative, **options):
    """A built layer whose agent chooses in a way, and its weights."""
    weights = scored(
        cases.random_weights(num_actions),
        *("policy", scoring, relative, num_actions),
    )
    layer = cases.dynamic(
        num_actions, weights, scoring=scoring, relative=relative, **options
    )
    return layer, weights


@pytest.mark.parametrize("mask", cases.MASKS)
@each_way
@fast_and_autodiff
def test_an_agent_equals_the_oracle(autodiff, scoring, relative, mask):
    layer, weights = agent(4, scoring, relative, autodiff=autodiff)
    inputs, mask = cases.random_inputs(), cases.MASKS[mask]
    state = cases.random_state(4)
    if relative:
        state = with_read(state, 4)
    found = cases.call(layer, inputs, state, mask=mask)
    expected = reference.dynamic_skip_lstm(
        inputs, weights, state, num_actions=4, skip_weight=0.3, mask=mask
    )
    agrees(found, expected)


def agrees(found, expected):
    """As `cases.assert_agrees`, which knows no pointer."""
    for both in (found, expected):
        states = list(both["states"])
        both["read"] = states.pop(4) if len(states) == 6 else np.zeros(1)
        both["states"] = states
    np.testing.assert_allclose(found["read"], expected["read"], atol=2e-5)
    cases.assert_agrees(found, expected)


@pytest.mark.parametrize("empty_slots", ["mask", "zeros", "previous"])
@pytest.mark.parametrize("observation", ["previous", "mean"])
@fast_and_autodiff
def test_options_and_draws_equal_the_oracle(
    autodiff, observation, empty_slots, monkeypatch
):
    noise = np.random.default_rng(82).gumbel(size=(3, 5, 5))
    cases.fix_noise(monkeypatch, noise)
    options = {"empty_slots": empty_slots, "observation": observation}
    layer, weights = agent(5, "key", True, autodiff=autodiff, **options)
    inputs, state = (
        cases.random_inputs(),
        cases.random_state(5, counts=(0, 3, 1)),
    )
    state = with_read(state, 5)
    found = cases.call(layer, inputs, state, training=True)
    expected = reference.dynamic_skip_lstm(
        *(inputs, weights, state),
        num_actions=5,
        noise=noise,
        skip_weight=0.3,
        **options,
    )
    agrees(found, expected)


def test_a_distance_that_is_imposed_is_the_one_to_move_from(monkeypatch):
    layer, weights = agent(4, "location", True)
    inputs, look_back = cases.random_inputs(), cases.random_look_back(4)
    look_back[:, -2:] = 0
    found = cases.call(layer, inputs, None, look_back=look_back)
    expected = reference.dynamic_skip_lstm(
        *(inputs, weights),
        num_actions=4,
        look_back=look_back,
        skip_weight=0.3,
    )
    agrees(found, expected)


@pytest.mark.parametrize("estimator", ["reinforce", "straight_through"])
@each_way
def test_the_fast_path_has_the_gradient_of_the_framework(
    scoring, relative, estimator, monkeypatch
):
    inputs, state = cases.random_inputs(), cases.random_state(4)
    mask = cases.MASKS["holes"]
    if relative:
        state = with_read(state, 4)
    noise = np.random.default_rng(83).gumbel(size=(3, 5, 4))
    cases.fix_noise(monkeypatch, noise)
    tensors, found = cases.cast([inputs, *state], "float32"), []
    for autodiff in (False, True):
        layer, _ = agent(
            4, scoring, relative, estimator=estimator, autodiff=autodiff
        )

        def loss(inputs, *state, layer=layer):
            outputs, *states, chosen = layer(
                inputs, initial_state=list(state), mask=mask, training=True
            )
            total = ops.sum(ops.sin(outputs)) + ops.sum(chosen["log_prob"])
            total = total + 0.3 * ops.sum(chosen["entropy"])
            for n, one in enumerate(states[:-1]):
                total = total + ops.sum(ops.sin((n + 1) * one))
            return total

        variables = sorted(layer.trainable_variables, key=lambda v: v.name)
        value, by_variable, by_tensor = gradients(loss, variables, tensors)
        found.append([value, *by_variable, *by_tensor[:-1]])
    for left, right in zip(*found, strict=True):
        np.testing.assert_allclose(left, right, atol=5e-5)


def test_a_choice_learns_from_those_that_are_relative_to_it(monkeypatch):
    """Straight-through: what moves do later, a first choice is worth."""
    cases.fix_noise(monkeypatch, np.zeros((3, 5, 4)))
    layer, _ = agent(4, "location", True, estimator="straight_through")
    inputs = cases.cast([cases.random_inputs()], "float32")[0]

    def loss():
        *_, pointer, _, _ = layer(inputs, training=True)
        # Of the pointer after the last step alone.
        return ops.sum(pointer * np.arange(4.0, dtype="float32"))

    bias = layer.cell.policy_output_bias
    _, (found,), _ = gradients(loss, [bias], [])
    assert np.abs(found).max() > 1e-4


def reader(num_states, scoring, relative, **options):
    """A built layer that attends in a way, and its weights."""
    weights = scored(
        readers.random_weights("location", num_states),
        *("attention", scoring, relative, num_states),
    )
    if scoring == "content":
        del weights["attention_output_bias"]
    layer = dsl.AttentionLSTM(
        cases.UNITS,
        num_states,
        skip_weight=0.3,
        attention_units=cases.POLICY_UNITS,
        scoring=scoring,
        relative=relative,
        return_sequences=True,
        return_state=True,
        return_attention=True,
        **options,
    )
    layer.build((None, None, cases.FEATURES))
    cases.set_weights(layer, weights)
    return layer, weights


ATTENTION = [*WAYS[:-1], ("content", True)]


@pytest.mark.parametrize("mask", cases.MASKS)
@pytest.mark.parametrize("scoring, relative", ATTENTION)
@fast_and_autodiff
def test_attention_equals_the_oracle(autodiff, scoring, relative, mask):
    layer, weights = reader(4, scoring, relative, autodiff=autodiff)
    inputs, mask = cases.random_inputs(), cases.MASKS[mask]
    state = cases.random_state(4)
    if relative:
        state = with_read(state, 4)
    found = readers.call(layer, inputs, state, mask=mask)
    expected = reference.attention_lstm(
        *(inputs, weights, state),
        num_states=4,
        scoring=scoring,
        skip_weight=0.3,
        mask=mask,
    )
    if relative:
        for both in (found, expected):
            states = list(both["states"])
            both["read"] = states.pop(4)
            both["states"] = states
    readers.assert_agrees(found, expected)


@pytest.mark.parametrize("scoring, relative", ATTENTION)
def test_attention_has_the_gradient_of_the_framework(scoring, relative):
    inputs, state = cases.random_inputs(), cases.random_state(4)
    mask = cases.MASKS["holes"]
    if relative:
        state = with_read(state, 4)
    tensors, found = cases.cast([inputs, *state], "float32"), []
    for autodiff in (False, True):
        layer, _ = reader(4, scoring, relative, autodiff=autodiff)

        def loss(inputs, *state, layer=layer):
            outputs, *states, read = layer(
                inputs, initial_state=list(state), mask=mask
            )
            total = ops.sum(ops.sin(outputs))
            total = total + ops.sum(ops.sin(3 * read["attention"]))
            for n, one in enumerate(states[:-1]):
                total = total + ops.sum(ops.sin((n + 1) * one))
            return total

        variables = sorted(layer.trainable_variables, key=lambda v: v.name)
        value, by_variable, by_tensor = gradients(loss, variables, tensors)
        found.append([value, *by_variable, *by_tensor[:-1]])
    for left, right in zip(*found, strict=True):
        np.testing.assert_allclose(left, right, atol=5e-5)


LAYERS = {
    "agent": lambda **more: dsl.DynamicSkipLSTM(
        4, 3, scoring="key", relative=True, policy_units=6, **more
    ),
    "attention": lambda **more: dsl.AttentionLSTM(
        4, 3, scoring="key", relative=True, attention_units=6, **more
    ),
}
each_layer = pytest.mark.parametrize("kind", LAYERS)


@each_layer
def test_no_weight_belongs_to_a_distance(kind):
    """The weights of a few past states serve many, and see farther."""
    few, many = LAYERS[kind](seed=5), LAYERS[kind](seed=5)
    config = {**many.get_config(), "num_actions": 7, "num_states": 7}
    config.pop("num_actions" if kind == "attention" else "num_states")
    many = type(many).from_config(config)
    for layer in (few, many):
        layer.build((None, None, cases.FEATURES))
    many.set_weights(few.get_weights())
    inputs = cases.random_inputs(steps=9).astype("float32")
    short = [cases.to_numpy(one(inputs[:, :3])) for one in (few, many)]
    np.testing.assert_allclose(*short, atol=1e-6)
    whole = [cases.to_numpy(one(inputs)) for one in (few, many)]
    if kind == "attention":
        # Each state has a share.
        assert np.abs(whole[0] - whole[1]).max() > 1e-6


@each_layer
def test_further_weights_are_draws_of_their_own(kind):
    layer = LAYERS[kind](seed=5)
    layer.build((None, None, cases.FEATURES))
    values = [
        cases.to_numpy(variable).ravel()[:3]
        for variable in layer.trainable_variables
        if variable.name.endswith(
            ("output_kernel", "key_kernel", "move_kernel")
        )
    ]
    assert len(values) == 3
    assert len({tuple(one) for one in values}) == 3


def test_an_initializer_without_a_configuration_serves_still():
    def ones(shape, dtype=None):
        return ops.ones(shape, dtype)

    for options in ({}, {"scoring": "key", "relative": True}):
        layer = dsl.DynamicSkipLSTM(
            4, 3, policy_output_kernel_initializer=ones, **options
        )
        layer.build((None, None, cases.FEATURES))
        kernel = cases.to_numpy(layer.cell.policy_output_kernel)
        assert (kernel == 1.0).all()


@each_layer
def test_save_and_load(kind, tmp_path):
    inputs = keras.Input((None, cases.FEATURES))
    model = keras.Model(inputs, LAYERS[kind](return_sequences=True)(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = cases.random_inputs().astype("float32")
    np.testing.assert_array_equal(
        *(cases.to_numpy(one(x)) for one in (model, again))
    )


@each_layer
def test_two_halves_are_the_whole(kind):
    layer = LAYERS[kind](return_sequences=True, return_state=True)
    x = cases.random_inputs(steps=6).astype("float32")
    whole, *end = layer(x)
    first, *states = layer(x[:, :2])
    second, *last = layer(x[:, 2:], initial_state=states)
    joined = ops.concatenate([first, second], axis=1)
    for one, right in zip([joined, *last], [whole, *end], strict=True):
        np.testing.assert_allclose(
            cases.to_numpy(one), cases.to_numpy(right), atol=1e-6
        )


@each_layer
def test_the_cell_in_a_layer_of_keras_is_the_layer(kind):
    layer = LAYERS[kind](return_sequences=True)
    rnn = keras.layers.RNN(layer.cell, return_sequences=True)
    x = cases.random_inputs().astype("float32")
    np.testing.assert_allclose(
        *(cases.to_numpy(one(x)) for one in (layer, rnn)), atol=1e-6
    )


@each_layer
def test_half_precision(kind):
    layer = LAYERS[kind](dtype="mixed_bfloat16", return_sequences=True)
    x = cases.random_inputs().astype("float32")
    values = []
    for autodiff in (False, True):
        layer.autodiff = autodiff
        values.append(cases.to_numpy(ops.cast(layer(x), "float32")))
    assert np.isfinite(values).all()
    if kind == "attention":
        np.testing.assert_allclose(*values, atol=0.05)


def test_an_agent_has_no_scores_by_content():
    with pytest.raises(ValueError, match=r"`scoring` must be one of .*'key'"):
        dsl.DynamicSkipLSTM(4, 3, scoring="content")
    with pytest.raises(ValueError, match="Received: scoring='keys'"):
        dsl.AttentionLSTM(4, 3, scoring="keys")
