"""The stack of recurrent layers: masks, and both directions."""

import cases
import keras
import numpy as np
import pytest
from keras import ops

import dsl
from dsl.models import stack
from dsl.policy.acting import Acting

BATCH, STEPS, FEATURES = cases.BATCH, cases.STEPS, cases.FEATURES
SEQUENCES = {"return_sequences": True, "return_state": True}
MASK = cases.MASKS["holes"]


def inputs():
    return cases.random_inputs().astype("float32")


def dynamic(**options):
    return dsl.DynamicSkipLSTM(
        6,
        3,
        skip_weight=0.4,
        policy_units=4,
        return_policy=True,
        estimator="reinforce",
        seed=2,
        **SEQUENCES,
        **options,
    )


TOPS = {
    "lstm": lambda: dsl.LSTM(6, **SEQUENCES),
    "fixed": lambda: dsl.FixedSkipLSTM(6, skip=2, **SEQUENCES),
    "attention": lambda: dsl.AttentionLSTM(
        6, 3, attention_units=4, return_attention=True, **SEQUENCES
    ),
    "dynamic": dynamic,
    "gru": lambda: keras.layers.GRU(6, **SEQUENCES),
}


def built(*layers):
    stack.check_layers(layers)
    stack.build(layers, FEATURES)
    return list(layers)


def run(layers, x, **options):
    rows = len(x)
    states = [ops.zeros((rows, size)) for size in stack.state_sizes(layers)]
    found = stack.run(layers, ops.array(x), states, **options)
    return keras.tree.map_structure(cases.to_numpy, found)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.backend)
        if kind == "dynamic"
        else kind
        for kind in TOPS
    ],
)
def test_masked_steps_are_as_if_they_were_not_there(kind):
    """Each row alone, with the steps that count packed by hand."""
    layers = built(keras.layers.LSTM(4, **SEQUENCES), TOPS[kind]())
    x, outputs = inputs(), 0
    found = run(layers, x, mask=ops.array(MASK))
    for row in range(BATCH):
        at = np.flatnonzero(MASK[row])
        right = run(layers, x[row : row + 1, at])
        for key in {"hidden", "top_inputs", "attention"} & right.keys():
            np.testing.assert_allclose(
                found[key][row, at], right[key][0], atol=1e-5, err_msg=key
            )
            outputs += 1
        for key, values in right["policy"].items():
            np.testing.assert_allclose(
                found["policy"][key][row, at], values[0], atol=1e-5
            )
        pairs = zip(found["states"], right["states"], strict=True)
        for n, (left, wanted) in enumerate(pairs):
            if kind in ("fixed", "attention", "dynamic") and n in (4, 5):
                continue  # Slots that no step has filled.
            np.testing.assert_allclose(left[row], wanted[0], atol=1e-5)
    assert outputs >= 2 * BATCH


def test_a_mask_holds_in_every_rollout():
    layers = built(dsl.LSTM(4, **SEQUENCES), dynamic())
    look_back = cases.random_look_back(3)
    acting = Acting(num_rollouts=2, look_back=look_back)
    found = run(layers, inputs(), mask=ops.array(MASK), acting=acting)
    one, other = np.split(found["hidden"], 2)
    np.testing.assert_allclose(one, other, atol=1e-6)
    taken = found["policy"]["look_back"] > 0
    np.testing.assert_array_equal(taken, np.concatenate([MASK, MASK]))


def one_direction(layer, x, mask):
    """A layer's outputs in the order of time, zeros at masked steps, states."""
    output, *states = layer(ops.array(x), mask=mask)
    output = cases.to_numpy(output)
    if layer.go_backwards:
        output = output[:, ::-1]
    if mask is not None:
        output = output * mask[:, :, None]
    return output, [cases.to_numpy(state) for state in states]


@pytest.mark.backend
@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "holes"])
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave", "mul"])
def test_both_directions_are_two_layers_run_by_hand(merge_mode, mask):
    lower = keras.layers.Bidirectional(
        dsl.DynamicSkipLSTM(4, 3, policy_units=4, seed=1, **SEQUENCES)
    )
    upper = keras.layers.Bidirectional(
        dsl.LSTM(3, **SEQUENCES), merge_mode=merge_mode
    )
    layers = built(lower, upper)
    assert stack.state_sizes(layers) == [4, 4, 8, 8, 1] * 2 + [3, 3] * 2
    found = run(layers, inputs(), mask=mask)
    x, states = inputs(), []
    for layer in layers:
        forward, backward = (
            one_direction(one, x, mask)
            for one in (layer.forward_layer, layer.backward_layer)
        )
        states += [*forward[1], *backward[1]]
        pair = forward[0], backward[0]
        x = np.concatenate(pair, axis=-1)
    merged = {
        "concat": x,
        "sum": pair[0] + pair[1],
        "ave": (pair[0] + pair[1]) / 2,
        "mul": pair[0] * pair[1],
    }[merge_mode]
    np.testing.assert_allclose(found["hidden"], merged, atol=1e-5)
    for left, right in zip(found["states"], states, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "holes"])
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave", "mul"])
def test_the_end_of_both_directions_is_what_keras_returns(merge_mode, mask):
    layer = keras.layers.Bidirectional(
        keras.layers.GRU(3, **SEQUENCES), merge_mode=merge_mode
    )
    layers = built(layer)
    last = keras.layers.Bidirectional(
        keras.layers.GRU(3), merge_mode=merge_mode
    )
    last.build((None, None, FEATURES))
    last.set_weights(layer.get_weights())
    found = stack.at_end(layers, run(layers, inputs(), mask=mask))
    np.testing.assert_allclose(
        cases.to_numpy(found),
        cases.to_numpy(last(inputs(), mask=mask)),
        atol=1e-5,
    )


def test_what_cannot_be_stacked_is_refused():
    both = keras.layers.Bidirectional(dsl.LSTM(3, **SEQUENCES))
    apart = keras.layers.Bidirectional(
        dsl.LSTM(3, **SEQUENCES), merge_mode=None
    )
    last = keras.layers.Bidirectional(dsl.LSTM(3, return_sequences=True))
    for layer, options, message in (
        (apart, {}, "merged. Received: merge_mode=None"),
        (last, {}, "return_state=True. Received: .* without"),
        (both, {"causal": True}, "must not read what is to be predicted"),
    ):
        with pytest.raises(ValueError, match=message):
            stack.check_layers([layer], **options)
    with pytest.raises(ValueError, match="must not read .* bidirectional"):
        dsl.LanguageModel(5, [both], 3)
