"""The LSTMs that read past states without choosing, with random weights.

Kinds: "fixed", and "location" and "content", the two ways to attend.
"""

import cases
import keras
import numpy as np
import reference
from keras import ops

import dsl

KINDS = ("fixed", "location", "content")
STATES = ("h", "c", "past_h", "past_c")


def random_weights(kind, num_states=3):
    """The weights by their names."""
    weights = cases.random_weights(1)
    if kind == "fixed" or num_states == 1:
        return weights
    rng = np.random.default_rng(50)
    hidden = cases.POLICY_UNITS
    scores = num_states if kind == "location" else 1
    shapes = {
        "attention_kernel": (cases.FEATURES + cases.UNITS, hidden),
        "attention_bias": (hidden,),
        "attention_output_kernel": (hidden, scores),
    }
    if kind == "location":
        shapes["attention_output_bias"] = (scores,)
    for name, shape in shapes.items():
        weights[name] = rng.normal(scale=0.8, size=shape)
    return weights


def arguments(kind, num_states=3, **options):
    """Arguments of the layer and of the cell, apart from `units`."""
    options = {"skip_weight": 0.3, **options}
    if kind == "fixed":
        return {"skip": num_states, **options}
    return {
        "num_states": num_states,
        "scoring": kind,
        "attention_units": cases.POLICY_UNITS,
        **options,
    }


def layer(kind, num_states=3, **options):
    """A built layer that returns everything."""
    options = {"return_sequences": True, "return_state": True, **options}
    if kind != "fixed":
        options = {"return_attention": True, **options}
    cls = dsl.FixedSkipLSTM if kind == "fixed" else dsl.AttentionLSTM
    built = cls(cases.UNITS, **arguments(kind, num_states, **options))
    built.build((None, None, cases.FEATURES))
    cases.set_weights(built, random_weights(kind, num_states))
    return built


def keras_layer(kind, num_states=3, unroll=False, **options):
    """A built `keras.layers.RNN` around the cell."""
    cls = dsl.FixedSkipLSTMCell if kind == "fixed" else dsl.AttentionLSTMCell
    built = keras.layers.RNN(
        cls(cases.UNITS, **arguments(kind, num_states, **options)),
        return_sequences=True,
        return_state=True,
        unroll=unroll,
    )
    built.build((None, cases.STEPS, cases.FEATURES))
    cases.set_weights(built, random_weights(kind, num_states))
    return built


def oracle(kind, inputs, weights, state=None, num_states=3, **options):
    """The NumPy oracle of a kind."""
    options = {"skip_weight": 0.3, **options}
    if kind == "fixed":
        return reference.fixed_skip_lstm(
            inputs, weights, state, skip=num_states, **options
        )
    return reference.attention_lstm(
        inputs, weights, state, num_states=num_states, scoring=kind, **options
    )


def by_name(results):
    """What a layer returned, by the oracle's names."""
    outputs, *rest = results
    extras = rest.pop() if isinstance(rest[-1], dict) else {}
    return {"outputs": outputs, "states": rest, **extras}


def call(built, inputs, state=None, **options):
    """Calls a layer that returns everything; results in NumPy."""
    dtype = built.compute_dtype
    results = built(
        ops.convert_to_tensor(cases.cast(inputs, dtype)),
        initial_state=cases.cast(state, dtype),
        **options,
    )
    return keras.tree.map_structure(
        lambda x: cases.to_numpy(ops.cast(x, cases.EXACT_DTYPE)),
        by_name(results),
    )


def assert_agrees(found, expected, tolerance=2e-5):
    """Everything found against the oracle's dictionary."""
    for name in set(found) - {"states"}:
        np.testing.assert_allclose(
            found[name], expected[name], atol=tolerance, err_msg=name
        )
    pairs = zip(
        cases.filled_slots(found["states"]), expected["states"], strict=True
    )
    for index, (left, right) in enumerate(pairs):
        np.testing.assert_allclose(
            left, right, atol=tolerance, err_msg=f"state {index}"
        )
