"""Random cases for the recurrent layers: all sizes differ, nothing is zero."""

import keras
import numpy as np
from keras import ops

import dsl
from dsl.policy import choosing

# On JAX float64 is an option of the whole process, off by default.
EXACT_DTYPE = "float32" if keras.backend.backend() == "jax" else "float64"
EXACT = {"float32": 1e-4, "float64": 1e-6}[EXACT_DTYPE]

BATCH, STEPS, FEATURES, UNITS, POLICY_UNITS = 3, 5, 5, 4, 6

MASKS = {
    "none": None,
    "right": np.array([[True] * 5, [True] * 3 + [False] * 2, [False] * 5]),
    "left": np.array(
        [[True] * 5, [False] * 2 + [True] * 3, [False] * 4 + [True]]
    ),
    "holes": np.array(
        [
            [True, False, False, True, True],
            [False, True, True, False, True],
            [True] * 5,
        ]
    ),
}


def random_weights(
    num_actions, seed=0, features=FEATURES, units=UNITS, positions=0
):
    """The weights of a dynamic skip LSTM, by their names."""
    rng = np.random.default_rng(seed)
    shapes = {
        "kernel": (features, 4 * units),
        "recurrent_kernel": (units, 4 * units),
        "bias": (4 * units,),
    }
    if num_actions > 1:
        shapes["policy_kernel"] = (features + units, POLICY_UNITS)
        shapes["policy_bias"] = (POLICY_UNITS,)
        shapes["policy_output_kernel"] = (POLICY_UNITS, num_actions)
        shapes["policy_output_bias"] = (num_actions,)
    if positions:
        shapes["policy_position_kernel"] = (positions, POLICY_UNITS)
    weights = {
        name: rng.normal(scale=0.8, size=shape)
        for name, shape in shapes.items()
    }
    if num_actions > 1:
        # A policy that leaves some doubt.
        weights["policy_output_kernel"] *= 0.3
        weights["policy_output_bias"] *= 0.3
    return weights


def random_inputs(seed=1, batch=BATCH, steps=STEPS, features=FEATURES):
    """x, `(batch, steps, features)`."""
    return np.random.default_rng(seed).normal(size=(batch, steps, features))


def random_state(num_actions, seed=2, counts=(2, 9, 0), units=UNITS):
    """A flat state of one row a count; slots not yet filled are zero."""
    rng = np.random.default_rng(seed)
    h = rng.normal(scale=0.5, size=(len(counts), units))
    c = rng.normal(scale=0.9, size=(len(counts), units))
    if num_actions == 1:
        return h, c
    slots = (len(counts), num_actions - 1, units)
    past_h = rng.normal(scale=0.5, size=slots)
    past_c = rng.normal(scale=0.9, size=slots)
    for row, count in enumerate(counts):
        past_h[row, max(count - 1, 0) :] = 0.0
        past_c[row, max(count - 1, 0) :] = 0.0
    flat = (len(counts), (num_actions - 1) * units)
    return (
        h,
        c,
        past_h.reshape(flat),
        past_c.reshape(flat),
        np.array(counts, float)[:, None],
    )


def quiet_where_masked(state, mask):
    """Sets h to zero in rows that start masked.

    What `keras.layers.RNN` puts out before the first unmasked step depends on
    the backend: zeros on TensorFlow, the initial h on JAX.
    """
    if mask is None:
        return state
    return (state[0] * mask[:, :1], *state[1:])


def random_look_back(num_actions, seed=3, batch=BATCH, steps=STEPS):
    """Distances in 1..K, int32 `(batch, steps)`."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, num_actions + 1, (batch, steps)).astype("int32")


def fix_noise(monkeypatch, noise):
    """Makes every draw the given Gumbel noise `(batch, steps, K)`.

    A layer draws for all steps at once, time first; a cell draws step by
    step.
    """
    steps = iter(np.swapaxes(noise, 0, 1))

    def gumbel_noise(shape, dtype, seed):
        del seed
        drawn = np.swapaxes(noise, 0, 1) if len(shape) == 3 else next(steps)
        assert tuple(shape) == drawn.shape
        return ops.convert_to_tensor(drawn.astype(dtype))

    monkeypatch.setattr(choosing, "gumbel_noise", gumbel_noise)


def set_weights(layer, weights):
    """Gives each trainable variable the weight of its name."""
    found = {variable.name for variable in layer.trainable_variables}
    assert found == set(weights)
    for variable in layer.trainable_variables:
        variable.assign(weights[variable.name])


def to_numpy(value):
    """A tensor as a NumPy array."""
    return keras.ops.convert_to_numpy(value)


def cast(value, dtype):
    """An array or a tuple of arrays in a dtype; None stays None."""
    if value is None:
        return None
    if isinstance(value, (tuple, list)):
        return [cast(item, dtype) for item in value]
    return np.asarray(value, dtype)


def filled_slots(states):
    """Flat states with zeros in the slots that hold no past state yet."""
    if len(states) == 2:
        return states
    h, c, past_h, past_c, count = (np.array(state) for state in states)
    units = h.shape[-1]
    for past in (past_h, past_c):
        slots = past.reshape(len(past), -1, units)
        for row, taken in enumerate(count[:, 0]):
            slots[row, max(int(taken) - 1, 0) :] = 0.0
    return [h, c, past_h, past_c, count]


def dynamic(num_actions, weights=None, features=FEATURES, **options):
    """A built layer that returns everything, with the weights given."""
    options = {
        "skip_weight": 0.3,
        "policy_units": POLICY_UNITS,
        "estimator": "reinforce",
        "return_sequences": True,
        "return_state": True,
        "return_policy": True,
        **options,
    }
    layer = dsl.DynamicSkipLSTM(UNITS, num_actions, **options)
    layer.build((None, None, features))
    if weights is None:
        weights = random_weights(
            num_actions,
            features=features,
            positions=options.get("policy_positions", 0),
        )
    set_weights(layer, weights)
    return layer


def call(layer, inputs, state=None, **arguments):
    """Calls a layer that returns everything; results by the oracle's names."""
    dtype = layer.compute_dtype
    outputs, *states, policy = layer(
        ops.convert_to_tensor(cast(inputs, dtype)),
        initial_state=cast(state, dtype),
        **arguments,
    )
    named = {"outputs": outputs, **policy}
    named = {name: to_numpy(value) for name, value in named.items()}
    named["states"] = [to_numpy(value) for value in states]
    return named


def assert_agrees(result, expected, tolerance=2e-5):
    """Outputs, states, log-probabilities, entropies and distances."""
    np.testing.assert_array_equal(result["look_back"], expected["look_back"])
    for name in ("outputs", "log_prob", "entropy"):
        np.testing.assert_allclose(
            result[name], expected[name], atol=tolerance, err_msg=name
        )
    assert len(result["states"]) == len(expected["states"])
    pairs = zip(filled_slots(result["states"]), expected["states"], strict=True)
    for index, (found, right) in enumerate(pairs):
        np.testing.assert_allclose(
            found, right, atol=tolerance, err_msg=f"state {index}"
        )
