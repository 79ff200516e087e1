"""The sequence layers against the NumPy oracles and against Keras."""

import cases
import keras
import numpy as np
import pytest
import reference
from keras import ops

import dsl

FAST_AND_AUTODIFF = pytest.mark.parametrize("autodiff", [False, True])

# (num_actions, skip_weight, mask, with a state, forced)
CASES = [
    (2, 0.0, "none", False, True),
    (2, 0.3, "right", True, False),
    (2, 1.0, "left", True, True),
    (2, 1.0, "none", False, False),
    (3, 0.3, "none", True, True),
    (3, 0.3, "holes", False, False),
    (3, 1.0, "right", False, True),
    (3, 1.0, "none", True, False),
    (5, 0.0, "left", True, False),
    (5, 0.3, "holes", True, True),
    (5, 1.0, "none", False, True),
    (5, 1.0, "right", True, True),
    (5, 1.0, "left", False, False),
]


@pytest.mark.backend
@FAST_AND_AUTODIFF
@pytest.mark.parametrize(
    "num_actions, skip_weight, mask, with_state, forced", CASES
)
def test_equals_the_oracle(
    num_actions, skip_weight, mask, with_state, forced, autodiff
):
    weights = cases.random_weights(num_actions)
    inputs = cases.random_inputs()
    state = cases.random_state(num_actions) if with_state else None
    look_back = cases.random_look_back(num_actions) if forced else None
    mask = cases.MASKS[mask]
    layer = cases.dynamic(
        num_actions, weights, skip_weight=skip_weight, autodiff=autodiff
    )
    result = cases.call(layer, inputs, state, mask=mask, look_back=look_back)
    expected = reference.dynamic_skip_lstm(
        inputs,
        weights,
        state,
        num_actions=num_actions,
        skip_weight=skip_weight,
        mask=mask,
        look_back=look_back,
    )
    cases.assert_agrees(result, expected)


@FAST_AND_AUTODIFF
@pytest.mark.parametrize("empty_slots", ["mask", "zeros"])
@pytest.mark.parametrize("drawn", [False, True])
def test_distance_zero_leaves_the_choice_to_the_policy(
    drawn, empty_slots, autodiff, monkeypatch
):
    """Step by step and row by row, whether it draws or not."""
    rng = np.random.default_rng(30)
    weights, inputs = cases.random_weights(3), cases.random_inputs()
    state, mask = cases.random_state(3), cases.MASKS["holes"]
    noise = rng.gumbel(size=(cases.BATCH, cases.STEPS, 3))
    cases.fix_noise(monkeypatch, noise)
    look_back = cases.random_look_back(3)
    look_back[rng.random(look_back.shape) < 0.5] = 0
    assert len(np.unique(look_back)) == 4
    layer = cases.dynamic(
        3, weights, empty_slots=empty_slots, autodiff=autodiff
    )
    result = cases.call(
        layer, inputs, state, mask=mask, look_back=look_back, training=drawn
    )
    expected = reference.dynamic_skip_lstm(
        inputs,
        weights,
        state,
        num_actions=3,
        skip_weight=0.3,
        mask=mask,
        look_back=look_back,
        noise=noise if drawn else None,
        empty_slots=empty_slots,
    )
    cases.assert_agrees(result, expected)


@FAST_AND_AUTODIFF
@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("observation", ["previous", "mean"])
@pytest.mark.parametrize("empty_slots", ["mask", "zeros", "previous"])
def test_options_equal_the_oracle(empty_slots, observation, forced, autodiff):
    num_actions, mask = 5, cases.MASKS["left"]
    weights = cases.random_weights(num_actions, seed=10)
    inputs = cases.random_inputs(11)
    state = cases.random_state(num_actions, 12, counts=(0, 3, 1))
    look_back = cases.random_look_back(num_actions, 13) if forced else None
    options = {"empty_slots": empty_slots, "observation": observation}
    layer = cases.dynamic(num_actions, weights, autodiff=autodiff, **options)
    result = cases.call(layer, inputs, state, mask=mask, look_back=look_back)
    expected = reference.dynamic_skip_lstm(
        inputs,
        weights,
        state,
        num_actions=num_actions,
        skip_weight=0.3,
        mask=mask,
        look_back=look_back,
        **options,
    )
    cases.assert_agrees(result, expected)


@FAST_AND_AUTODIFF
@pytest.mark.parametrize("mask", ["none", "holes"])
def test_positions_equal_the_oracle(mask, autodiff):
    """What was taken before the sequence counts, masked steps do not."""
    weights = cases.random_weights(3, seed=14, positions=4)
    inputs, mask = cases.random_inputs(15), cases.MASKS[mask]
    state = cases.random_state(3, 16, counts=(0, 2, 9))
    layer = cases.dynamic(3, weights, autodiff=autodiff, policy_positions=4)
    result = cases.call(layer, inputs, state, mask=mask)
    arguments = {"num_actions": 3, "skip_weight": 0.3, "mask": mask}
    expected = reference.dynamic_skip_lstm(inputs, weights, state, **arguments)
    cases.assert_agrees(result, expected)
    del weights["policy_position_kernel"]
    blind = reference.dynamic_skip_lstm(inputs, weights, state, **arguments)
    assert np.abs(blind["entropy"] - expected["entropy"]).max() > 1e-2


@pytest.mark.skipif(
    cases.EXACT_DTYPE != "float64", reason="float64 is off by default"
)
@FAST_AND_AUTODIFF
def test_float64_equals_the_oracle(autodiff):
    weights = cases.random_weights(3)
    inputs, state = cases.random_inputs(), cases.random_state(3)
    look_back = cases.random_look_back(3)
    layer = cases.dynamic(3, weights, autodiff=autodiff, dtype="float64")
    result = cases.call(layer, inputs, state, look_back=look_back)
    expected = reference.dynamic_skip_lstm(
        inputs,
        weights,
        state,
        num_actions=3,
        skip_weight=0.3,
        look_back=look_back,
    )
    np.testing.assert_allclose(
        result["outputs"], expected["outputs"], atol=1e-9
    )
    for found, right in zip(result["states"], expected["states"], strict=True):
        np.testing.assert_allclose(found, right, atol=1e-9)


@FAST_AND_AUTODIFF
def test_forget_bias_is_added_to_the_forget_gate(autodiff):
    weights = cases.random_weights(3)
    inputs, state = cases.random_inputs(), cases.random_state(3)
    layer = cases.dynamic(3, weights, autodiff=autodiff, forget_bias=0.7)
    result = cases.call(layer, inputs, state)
    expected = reference.dynamic_skip_lstm(
        inputs,
        weights,
        state,
        num_actions=3,
        skip_weight=0.3,
        forget_bias=0.7,
    )
    cases.assert_agrees(result, expected)


@FAST_AND_AUTODIFF
def test_no_bias(autodiff):
    weights = cases.random_weights(3)
    del weights["bias"]
    inputs = cases.random_inputs()
    layer = cases.dynamic(3, weights, autodiff=autodiff, use_bias=False)
    expected = reference.dynamic_skip_lstm(
        inputs, weights, num_actions=3, skip_weight=0.3
    )
    cases.assert_agrees(cases.call(layer, inputs), expected)


@FAST_AND_AUTODIFF
@pytest.mark.parametrize("estimator", ["reinforce", "straight_through"])
@pytest.mark.parametrize("empty_slots", ["mask", "zeros", "previous"])
def test_same_noise_same_actions(empty_slots, estimator, autodiff, monkeypatch):
    weights = cases.random_weights(5)
    inputs, state = cases.random_inputs(), cases.random_state(5)
    noise = np.random.default_rng(6).gumbel(size=(3, 5, 5))
    cases.fix_noise(monkeypatch, noise)
    layer = cases.dynamic(
        5,
        weights,
        autodiff=autodiff,
        estimator=estimator,
        empty_slots=empty_slots,
    )
    mask = cases.MASKS["holes"]
    result = cases.call(layer, inputs, state, mask=mask, training=True)
    expected = reference.dynamic_skip_lstm(
        inputs,
        weights,
        state,
        num_actions=5,
        skip_weight=0.3,
        mask=mask,
        noise=noise,
        empty_slots=empty_slots,
    )
    cases.assert_agrees(result, expected)


@FAST_AND_AUTODIFF
def test_sampled_step_by_step_equals_the_oracle(autodiff):
    """Whatever was drawn, everything else follows from it."""
    weights = cases.random_weights(5)
    inputs, state = cases.random_inputs(), cases.random_state(5)
    layer = cases.dynamic(5, weights, autodiff=autodiff, seed=4)
    mask = cases.MASKS["holes"]
    result = cases.call(layer, inputs, state, mask=mask, training=True)
    expected = reference.dynamic_skip_lstm(
        inputs,
        weights,
        state,
        num_actions=5,
        skip_weight=0.3,
        mask=mask,
        look_back=np.maximum(result["look_back"], 1),
    )
    assert len(np.unique(result["look_back"])) > 3
    cases.assert_agrees(result, expected)


@FAST_AND_AUTODIFF
@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("mask", ["none", "right"])
def test_go_backwards_reads_the_reversed_sequence(mask, forced, autodiff):
    weights = cases.random_weights(3)
    inputs, state = cases.random_inputs(), cases.random_state(3)
    mask = cases.MASKS[mask]
    look_back = cases.random_look_back(3) if forced else None
    layer = cases.dynamic(3, weights, autodiff=autodiff, go_backwards=True)
    result = cases.call(layer, inputs, state, mask=mask, look_back=look_back)
    expected = reference.dynamic_skip_lstm(
        inputs[:, ::-1],
        weights,
        state,
        num_actions=3,
        skip_weight=0.3,
        mask=None if mask is None else mask[:, ::-1],
        look_back=None if look_back is None else look_back[:, ::-1],
    )
    cases.assert_agrees(result, expected)


@FAST_AND_AUTODIFF
@pytest.mark.parametrize("mask", ["right", "left", "holes"])
def test_zero_output_for_mask(mask, autodiff):
    weights = cases.random_weights(3)
    inputs, state = cases.random_inputs(), cases.random_state(3)
    layer = cases.dynamic(
        3, weights, autodiff=autodiff, zero_output_for_mask=True
    )
    result = cases.call(layer, inputs, state, mask=cases.MASKS[mask])
    expected = reference.dynamic_skip_lstm(
        inputs,
        weights,
        state,
        num_actions=3,
        skip_weight=0.3,
        mask=cases.MASKS[mask],
        zero_output_for_mask=True,
    )
    cases.assert_agrees(result, expected)


@FAST_AND_AUTODIFF
@pytest.mark.parametrize("mask", ["none", "right", "left"])
def test_last_output_only(mask, autodiff):
    weights = cases.random_weights(3)
    inputs = cases.random_inputs()
    layer = cases.dynamic(3, weights, autodiff=autodiff, return_sequences=False)
    result = cases.call(layer, inputs, mask=cases.MASKS[mask])
    expected = reference.dynamic_skip_lstm(
        inputs,
        weights,
        num_actions=3,
        skip_weight=0.3,
        mask=cases.MASKS[mask],
    )
    expected["outputs"] = expected["outputs"][:, -1]
    cases.assert_agrees(result, expected)


def test_what_is_returned():
    inputs = ops.convert_to_tensor(cases.random_inputs().astype("float32"))
    plain = {"return_sequences": False, "return_state": False}
    layer = cases.dynamic(3, **plain, return_policy=False)
    assert layer(inputs).shape == (3, 4)
    output, policy = cases.dynamic(3, **plain)(inputs)
    assert output.shape == (3, 4)
    assert set(policy) == {"log_prob", "entropy", "look_back"}
    assert all(value.shape == (3, 5) for value in policy.values())
    kinds = {
        name: keras.backend.standardize_dtype(value.dtype)
        for name, value in policy.items()
    }
    assert kinds == {
        "log_prob": "float32",
        "entropy": "float32",
        "look_back": "int32",
    }
    output, *states = cases.dynamic(3, return_policy=False)(inputs)
    assert output.shape == (3, 5, 4)
    shapes = [tuple(state.shape) for state in states]
    assert shapes == [(3, 4), (3, 4), (3, 8), (3, 8), (3, 1)]


@FAST_AND_AUTODIFF
def test_one_segment_equals_two_with_carried_states(autodiff):
    weights = cases.random_weights(5)
    inputs = cases.random_inputs(steps=20)
    layer = cases.dynamic(5, weights, autodiff=autodiff, skip_weight=1.0)
    for look_back in (cases.random_look_back(5, steps=20), None):
        halves = (None, None)
        if look_back is not None:
            halves = (look_back[:, :10], look_back[:, 10:])
        whole = cases.call(layer, inputs, look_back=look_back)
        first = cases.call(layer, inputs[:, :10], look_back=halves[0])
        second = cases.call(
            layer, inputs[:, 10:], first["states"], look_back=halves[1]
        )
        for name in ("outputs", "log_prob", "entropy", "look_back"):
            joined = np.concatenate([first[name], second[name]], axis=1)
            np.testing.assert_allclose(joined, whole[name], atol=1e-6)
        for left, right in zip(second["states"], whole["states"], strict=True):
            np.testing.assert_allclose(left, right, atol=1e-6)


@FAST_AND_AUTODIFF
def test_rows_are_independent(autodiff):
    inputs, state = cases.random_inputs(), cases.random_state(3)
    layer = cases.dynamic(3, autodiff=autodiff)
    before = cases.call(layer, inputs, state)
    inputs[1] += 1.0
    state[0][1] += 1.0
    after = cases.call(layer, inputs, state)
    for name in ("outputs", "log_prob", "entropy", "look_back"):
        for row in (0, 2):
            np.testing.assert_array_equal(before[name][row], after[name][row])
    assert np.abs(before["outputs"][1] - after["outputs"][1]).max() > 1e-3


@FAST_AND_AUTODIFF
@pytest.mark.parametrize("mask", ["none", "right", "left"])
@pytest.mark.parametrize("num_actions, skip_weight", [(1, 1.0), (3, 0.0)])
def test_reduces_to_keras_lstm(num_actions, skip_weight, mask, autodiff):
    weights = cases.random_weights(num_actions)
    inputs = cases.random_inputs().astype("float32")
    mask = cases.MASKS[mask]
    state = cases.quiet_where_masked(cases.random_state(num_actions), mask)
    state = cases.cast(state, "float32")
    layer = cases.dynamic(
        num_actions, weights, skip_weight=skip_weight, autodiff=autodiff
    )
    result = cases.call(layer, inputs, state, mask=mask)
    plain = keras.layers.LSTM(
        cases.UNITS, return_sequences=True, return_state=True
    )
    plain.build(inputs.shape)
    plain.set_weights([weights[name] for name in reference.LSTM_WEIGHTS])
    expected = plain(inputs, initial_state=list(state[:2]), mask=mask)
    found = [result["outputs"], *result["states"][:2]]
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, cases.to_numpy(right), atol=1e-6)


def test_constant_distance_one_is_the_plain_lstm():
    weights = cases.random_weights(4)
    inputs = cases.random_inputs()
    layer = cases.dynamic(4, weights, skip_weight=1.0)
    ones = np.ones((cases.BATCH, cases.STEPS), "int32")
    result = cases.call(layer, inputs, look_back=ones)
    outputs, _, _ = reference.lstm(inputs, weights)
    np.testing.assert_allclose(result["outputs"], outputs, atol=2e-6)


@FAST_AND_AUTODIFF
@pytest.mark.parametrize("go_backwards", [False, True])
def test_one_action_reports_a_policy_without_choice(go_backwards, autodiff):
    inputs, mask = cases.random_inputs(), cases.MASKS["right"]
    layer = cases.dynamic(1, autodiff=autodiff, go_backwards=go_backwards)
    found = cases.call(layer, inputs, mask=mask)
    if go_backwards:
        inputs, mask = inputs[:, ::-1], mask[:, ::-1]
    expected = reference.dynamic_skip_lstm(
        inputs, cases.random_weights(1), num_actions=1, mask=mask
    )
    cases.assert_agrees(found, expected)


def test_one_action_has_the_three_weights_of_an_lstm():
    layer = dsl.DynamicSkipLSTM(4, num_actions=1)
    layer.build((None, None, 5))
    plain = keras.layers.LSTM(4)
    plain.build((None, None, 5))
    assert [(weight.name, weight.shape) for weight in layer.weights] == [
        (weight.name, weight.shape) for weight in plain.trainable_weights
    ]


@pytest.mark.parametrize(
    "features, units, num_actions, policy_units, total, agent",
    [
        (10, 200, 1, 10, 168_800, 0),
        (10, 200, 10, 10, 171_020, 2_220),
        (650, 650, 5, 50, 3_382_600 + 65_305, 65_305),
        (650, 650, 5, 200, 3_382_600 + 261_205, 261_205),
    ],
)
def test_parameter_counts(
    features, units, num_actions, policy_units, total, agent
):
    layer = dsl.DynamicSkipLSTM(units, num_actions, policy_units=policy_units)
    layer.build((None, None, features))
    sizes = {
        weight.name: int(np.prod(weight.shape))
        for weight in layer.trainable_weights
    }
    assert sum(sizes.values()) == total
    agents = [sizes[name] for name in sizes if name.startswith("policy")]
    assert sum(agents) == agent
