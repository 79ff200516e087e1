"""What each weight is before the first step, as its layer documents it."""

import math
import statistics

import cases
import keras
import numpy as np
import pytest

import dsl
from language_modeling import model as language_building
from language_modeling import task as language_task
from number_prediction import model as number_building
from number_prediction import task as number_task

pytestmark = pytest.mark.backend

FEATURES, UNITS, HIDDEN, STATES = 40, 50, 60, 30


def values(layer):
    """The trainable weights by name, the layer's own name left out."""
    found = {}
    for variable in layer.trainable_variables:
        assert variable.name not in found
        found[variable.name] = cases.to_numpy(variable)
    return found


def check_draws(value, cdf):
    """That the empirical distribution is this one, and nothing is repeated.

    By the largest distance of the two (Kolmogorov and Smirnov), which exceeds
    1.95 / sqrt(n) once in a thousand times.
    """
    drawn = np.sort(value.ravel())
    assert drawn.size > 1000 and len(np.unique(drawn)) > 0.99 * drawn.size
    steps = np.arange(drawn.size + 1) / drawn.size
    expected = np.array([cdf(x) for x in drawn])
    distance = max(
        np.abs(expected - steps[1:]).max(), np.abs(expected - steps[:-1]).max()
    )
    assert distance < 1.95 / math.sqrt(drawn.size)


def normal(stddev):
    """N(0, stddev)."""
    return lambda value: check_draws(
        value, statistics.NormalDist(0.0, stddev).cdf
    )


def few_normal(stddev):
    """The same of too few values for their distribution to be seen."""

    def check(value):
        assert 0.7 * stddev < value.std() < 1.4 * stddev
        assert abs(value.mean()) < 0.5 * stddev

    return check


def uniform(limit):
    """Uniform in [-limit, limit]."""

    def check(value):
        assert np.abs(value).max() <= limit
        check_draws(value, lambda x: (x + limit) / (2.0 * limit))

    return check


def few_uniform(limit):
    """The same of few values."""

    def check(value):
        assert 0.8 * limit < np.abs(value).max() <= limit

    return check


def glorot(value):
    """Uniform as wide as the sizes of a kernel say (Glorot & Bengio 2010)."""
    uniform(math.sqrt(6.0 / sum(value.shape)))(value)


def constant(*right):
    def check(value):
        right_shape = np.broadcast_to(np.float32(right), value.shape)
        np.testing.assert_array_equal(value, right_shape)

    return check


def gates(*each):
    """One constant a gate, in the order i, f, g, o."""

    def check(value):
        np.testing.assert_array_equal(value, np.repeat(each, len(value) // 4))

    return check


def orthogonal(value):
    """Rows of length 1 and at right angles: one for the kernel as a whole."""
    np.testing.assert_allclose(value @ value.T, np.eye(len(value)), atol=1e-5)


def gate_orthogonal(value):
    """One orthogonal matrix a gate, each another."""
    blocks = np.split(value, 4, axis=1)
    for n, block in enumerate(blocks):
        orthogonal(block)
        assert all(np.abs(block - other).max() > 0.1 for other in blocks[:n])


def first_row_zero(check):
    def check_rows(value):
        assert not value[0].any()
        check(value[1:])

    return check_rows


PLAIN = {
    "kernel": glorot,
    "recurrent_kernel": orthogonal,
    "bias": gates(0.0, 1.0, 0.0, 0.0),
}
POLICY = {
    "policy_kernel": normal(0.3),
    "policy_bias": constant(0.1),
    "policy_output_kernel": normal(0.3),
    "policy_output_bias": constant(0.1),
}
ATTENTION = {
    "attention_kernel": normal(0.3),
    "attention_bias": constant(0.1),
    "attention_output_kernel": normal(0.3),
    "attention_output_bias": constant(0.1),
}
CONTENT = {
    "attention_kernel": normal(0.3),
    "attention_bias": constant(0.1),
    "attention_output_kernel": few_normal(0.3),
}
RECURRENT = {
    "LSTM": (dsl.LSTM, {}, PLAIN),
    "fixed skip": (dsl.FixedSkipLSTM, {"skip": STATES}, PLAIN),
    "dynamic skip": (
        dsl.DynamicSkipLSTM,
        {"num_actions": STATES, "policy_units": HIDDEN},
        {**PLAIN, **POLICY},
    ),
    "dynamic skip near": (
        dsl.DynamicSkipLSTM,
        {
            "num_actions": STATES,
            "policy_units": HIDDEN,
            "previous_bias": 2.0,
            "policy_positions": 7,
        },
        {
            **PLAIN,
            **POLICY,
            "policy_output_bias": constant(
                2.0 + np.float32(0.1), *[0.1] * (STATES - 1)
            ),
            "policy_position_kernel": constant(0.0),
        },
    ),
    "attention": (
        dsl.AttentionLSTM,
        {"num_states": STATES, "attention_units": HIDDEN},
        {**PLAIN, **ATTENTION},
    ),
    "attention to content": (
        dsl.AttentionLSTM,
        {
            "num_states": STATES,
            "attention_units": HIDDEN,
            "scoring": "content",
        },
        {**PLAIN, **CONTENT},
    ),
}


def check_all(found, right):
    assert set(found) == set(right)
    for name, value in found.items():
        right[name](value)


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("case", RECURRENT)
def test_recurrent_layers(case, seed):
    cls, arguments, right = RECURRENT[case]
    layer = cls(UNITS, **arguments, seed=seed)
    layer.build((None, None, FEATURES))
    check_all(values(layer), right)


@pytest.mark.parametrize("case", RECURRENT)
def test_no_constant_is_added_to_the_forget_gate_by_default(case):
    cls, arguments, _ = RECURRENT[case]
    layer = cls(UNITS, **arguments)
    assert layer.forget_bias == 0.0
    assert layer.get_config()["unit_forget_bias"] is True


@pytest.mark.parametrize(
    "cls", [dsl.DynamicSkipLSTM, dsl.AttentionLSTM], ids=lambda x: x.__name__
)
def test_the_two_draws_of_a_network_differ(cls):
    """A seed that both kernels took would give both the same values."""
    layer = cls(UNITS, STATES, seed=1)
    layer.build((None, None, FEATURES))
    kernels = [
        value.ravel()[:1000]
        for name, value in values(layer).items()
        if "_kernel" in name and name != "recurrent_kernel"
    ]
    assert len(kernels) == 2
    assert abs(np.corrcoef(*kernels)[0, 1]) < 0.2


def test_the_highway_lets_most_pass():
    layer = dsl.Highway()
    layer.build((None, UNITS))
    check_all(
        values(layer),
        {
            "kernel": glorot,
            "bias": constant(0.0),
            "gate_kernel": glorot,
            "gate_bias": constant(0.0),
        },
    )
    assert layer.activation is keras.activations.relu
    # Of what is not transformed (the activation of 0 is 0) this share passes.
    layer.set_weights([np.zeros(weight.shape) for weight in layer.weights])
    passed = 1.0 - 1.0 / (1.0 + math.exp(2.0))
    np.testing.assert_allclose(layer(np.ones((1, UNITS))), passed, atol=1e-6)


def test_the_character_encoder():
    encoder = dsl.CharacterEncoder(
        200, 15, widths=(1, 2), feature_maps=(80, 60)
    )
    encoder.build()
    for highway in encoder.highways:
        assert highway.transform_bias == -2.0
        check_all(
            values(highway),
            {
                "kernel": uniform(0.05),
                "bias": few_uniform(0.05),
                "gate_kernel": uniform(0.05),
                "gate_bias": few_uniform(0.05),
            },
        )
    own = {variable.name: variable for variable in encoder._trainable_variables}
    check_all(
        {name: cases.to_numpy(value) for name, value in own.items()},
        {
            "embeddings": first_row_zero(uniform(0.05)),
            "bias_1": few_uniform(0.05),
            "bias_2": few_uniform(0.05),
            "kernel_1": uniform(0.05),
            "kernel_2": uniform(0.05),
        },
    )


def with_states(cls, *arguments, **options):
    return cls(*arguments, return_sequences=True, return_state=True, **options)


def test_the_language_model():
    model = dsl.LanguageModel(
        1100, [with_states(dsl.LSTM, UNITS)], embedding_units=FEATURES
    )
    model.build((2, 3))
    check_all(
        values(model),
        {
            **PLAIN,
            "embeddings": uniform(0.05),
            "softmax_kernel": uniform(0.05),
            "softmax_bias": uniform(0.05),
        },
    )


def test_the_classifier():
    model = dsl.SequenceClassifier(FEATURES, 30, [with_states(dsl.LSTM, UNITS)])
    model.build((2, 3))
    check_all(values(model.readout), {"kernel": glorot, "bias": constant(0.0)})


OF_TASKS = {
    "lstm": ("--model lstm", {}),
    "fixed_skip": ("--model fixed_skip --skip 3", {}),
    "attention": ("--model attention", ATTENTION),
    "dynamic_skip": ("--model dynamic_skip", POLICY),
}


@pytest.mark.parametrize("model", OF_TASKS)
def test_models_of_number_prediction(model):
    """Those of the published code: a block a gate, N(0, 0.3) and 0.1."""
    flags, network = OF_TASKS[model]
    flags += f" --rnn_size {UNITS} --symbols 40"
    if network:
        flags += f" --n_actions {STATES} --policy_units {HIDDEN}"
    if model == "dynamic_skip":
        flags += " --policy_positions 9 --previous_bias 0"
        network = {**network, "policy_position_kernel": constant(0.0)}
    args = number_task.TASK.parse(flags.split())
    classifier = number_building.build_model(args)
    (layer,) = classifier.recurrent_layers
    check_all(
        values(layer),
        {
            "kernel": glorot,
            "recurrent_kernel": gate_orthogonal,
            "bias": constant(0.0),
            **network,
        },
    )
    assert layer.forget_bias == args.forget_bias == 1.0
    check_all(
        values(classifier.readout),
        {"kernel": normal(0.3), "bias": constant(0.1)},
    )


@pytest.mark.parametrize("model", OF_TASKS)
def test_models_of_language_modeling(model):
    """All within --param_init, but for the agent or what attends."""
    flags, network = OF_TASKS[model]
    flags += f" --rnn_size {UNITS} --rnn_layers 2 --param_init 0.25"
    if network:
        flags += f" --n_actions {STATES} --policy_units {HIDDEN}"
    if model == "dynamic_skip":
        flags += " --previous_bias 0"
    args = language_task.TASK.parse(flags.split())
    built = language_building.build_model(args, 1100)
    drawn = set()
    for n, layer in enumerate(built.recurrent_layers):
        found = values(layer)
        check_all(
            found,
            {
                "kernel": uniform(0.25),
                "recurrent_kernel": uniform(0.25),
                "bias": few_uniform(0.25),
                **(network if n == 1 else {}),
            },
        )
        drawn |= {found[name].flat[0].item() for name in PLAIN}
        assert layer.forget_bias == args.forget_bias
    for weight in (
        built.embedding.embeddings,
        built.softmax_kernel,
        built.softmax_bias,
    ):
        value = cases.to_numpy(weight)
        uniform(0.25)(value)
        drawn.add(value.flat[0].item())
    assert len(drawn) == 2 * 3 + 3  # No two weights start from the same draws.
