"""The language model."""

import math

import cases
import keras
import numpy as np
import pytest
import small_models
from keras import ops
from small_models import ACTIONS, BATCH, LOWER, STEPS, UPPER, WORDS

import dsl
from dsl.experiment import kinds
from dsl.models import cross_entropy
from dsl.policy.acting import Acting
from language_modeling import model as building
from language_modeling.task import TASK

TOKENS = small_models.text().reshape(BATCH, STEPS)
SLOTS = (ACTIONS - 1) * UPPER
STATE_SIZES = [LOWER, LOWER, UPPER, UPPER, SLOTS, SLOTS, 1]


def some_states(seed=8):
    """States that hold something, one row with a full buffer."""
    rng = np.random.default_rng(seed)
    lower = [rng.normal(size=(BATCH, LOWER)) for _ in range(2)]
    return [*lower, *cases.random_state(ACTIONS, counts=(2, 9))]


def call(model, tokens=TOKENS, states=None, **arguments):
    """The model's result in NumPy."""
    if states is not None:
        states = cases.cast(states, "float32")
    found = model(ops.array(tokens), states=states, **arguments)
    return keras.tree.map_structure(
        lambda x: None if x is None else cases.to_numpy(x), found
    )


@pytest.mark.backend
@pytest.mark.parametrize("states", [None, some_states()], ids=["new", "given"])
def test_it_is_the_oracle(states):
    model = small_models.build()
    look_back = cases.random_look_back(ACTIONS, batch=BATCH, steps=STEPS)
    found = call(model, states=states, acting=Acting(look_back=look_back))
    right = small_models.oracle(TOKENS, states, look_back=look_back)
    np.testing.assert_allclose(found["logits"], right["logits"], atol=1e-4)
    np.testing.assert_allclose(found["observed"], right["observed"], atol=1e-5)
    small_models.assert_states(found["states"], right["states"])
    for name in ("log_prob", "entropy", "look_back"):
        np.testing.assert_allclose(
            found["policy"][name], right[name], atol=1e-5, err_msg=name
        )
    assert len(set(found["policy"]["look_back"].flat)) == ACTIONS


def test_shapes():
    model = small_models.build()
    assert model.state_sizes == STATE_SIZES
    found = call(model, acting=Acting(3, action_selection="sampled"))
    assert found["logits"].shape == (3 * BATCH, STEPS, WORDS)
    assert found["observed"].shape == (3 * BATCH, STEPS, LOWER + UPPER)
    for name in ("log_prob", "entropy", "look_back"):
        assert found["policy"][name].shape == (3 * BATCH, STEPS)
    rows = [BATCH] * 2 + [3 * BATCH] * 5
    assert [state.shape for state in found["states"]] == list(
        zip(rows, STATE_SIZES, strict=True)
    )


def test_a_model_without_an_agent_has_no_policy():
    found = call(small_models.build(num_actions=1))
    assert found["policy"] == {} and "observed" not in found
    assert len(found["states"]) == 4
    right = small_models.oracle(TOKENS, num_actions=1)
    np.testing.assert_allclose(found["logits"], right["logits"], atol=1e-4)


def test_one_long_segment_is_two_short_ones():
    weights = small_models.random_weights()
    weights["upper"]["policy_output_bias"][0] -= 3.0
    model = small_models.build(weights)
    tokens = small_models.text(BATCH * 2 * STEPS).reshape(BATCH, -1)
    whole = call(model, tokens)
    first = call(model, tokens[:, :STEPS])
    second = call(model, tokens[:, STEPS:], first["states"])
    np.testing.assert_allclose(
        whole["logits"],
        np.concatenate([first["logits"], second["logits"]], axis=1),
        atol=1e-5,
    )
    np.testing.assert_array_equal(
        whole["policy"]["look_back"][:, STEPS:], second["policy"]["look_back"]
    )
    # The buffer of the first segment is in use.
    assert second["policy"]["look_back"][:, 0].min() > 1
    small_models.assert_states(whole["states"], second["states"])


def test_greedy_rollouts_all_equal_the_single_run():
    model = small_models.build()
    states = some_states()
    single = call(model, states=states)
    double = call(model, states=states, acting=Acting(2))
    for key in ("logits", "observed", "policy"):
        for left, right in zip(
            keras.tree.flatten(double[key]),
            keras.tree.flatten(single[key]),
            strict=True,
        ):
            np.testing.assert_allclose(
                left, np.concatenate([right, right]), atol=1e-6, err_msg=key
            )
    for left, right in zip(double["states"], single["states"], strict=True):
        copies = len(left) // BATCH
        np.testing.assert_allclose(left, np.tile(right, (copies, 1)), atol=1e-6)


def test_actions_are_drawn_in_training_unless_told():
    model = small_models.build()
    tokens = small_models.text(BATCH * 40).reshape(BATCH, -1)

    def look_back(training=False, **how):
        found = call(model, tokens, training=training, acting=Acting(**how))
        return found["policy"]["look_back"]

    greedy = look_back()
    np.testing.assert_array_equal(look_back(), greedy)
    np.testing.assert_array_equal(
        look_back(training=True, action_selection="greedy"), greedy
    )
    assert np.any(look_back(training=True) != greedy)
    assert np.any(look_back(action_selection="sampled") != greedy)


@pytest.mark.parametrize(
    ("flags", "parameters"),
    [
        ("--model lstm", 19_775_200),
        ("--policy_units 50", 19_840_505),
        ("--policy_units 200", 20_036_405),
        ("--model fixed_skip --skip 3", 19_775_200),
        ("--model fixed_skip --skip 5", 19_775_200),
        # The network of the attention is as large as the agent.
        ("--model attention --policy_units 50", 19_840_505),
    ],
)
def test_parameter_counts_of_the_paper(flags, parameters):
    """2 x 650 units, 10,000 words, K = 5, dynamic layer on top."""
    args = TASK.parse(["--preset", "medium", *flags.split()])
    model = building.build_model(args, 10_000)
    assert model.count_params() == parameters


@pytest.mark.parametrize("model", kinds.MODELS)
def test_an_untrained_model_is_uniform(model):
    args = TASK.parse(
        f"--model {model} --rnn_size 8 --param_init 1e-4 --dropout 0".split()
    )
    model = building.build_model(args, 1000)
    tokens = np.arange(40).reshape(2, 20) * 25
    found = cross_entropy.token_nll(model(tokens)["logits"], tokens)
    np.testing.assert_allclose(found, math.log(1000), atol=1e-3)


def test_weights_start_within_param_init():
    args = TASK.parse("--rnn_size 8 --param_init 0.25".split())
    model = building.build_model(args, 50)
    drawn = set()
    for variable in model.trainable_variables:
        value = cases.to_numpy(variable)
        if "policy" in variable.path:
            continue
        assert 0.2 < np.abs(value).max() <= 0.25, variable.path
        drawn.add(value.flat[0].item())
    assert len(drawn) == 9  # no two weights start from the same draws


class Echo(keras.layers.Layer):
    """A recurrent layer that puts out what it reads."""

    def __init__(self, units):
        super().__init__()
        self.cell = type("Cell", (), {"output_size": units})
        self.state_size = [1]
        self.return_sequences = self.return_state = True

    def call(self, x, initial_state=None, training=False):
        return x, *initial_state


def echo_logits(training, seed=3, calls=1):
    """E[w] = 1 through two layers that change nothing and dropout of 1/2."""
    words = 60
    model = dsl.LanguageModel(
        words, [Echo(words), Echo(words)], words, dropout=0.5, seed=seed
    )
    model.build((2, 9))
    model.embedding.embeddings.assign(np.ones((words, words)))
    model.softmax_kernel.assign(np.eye(words))
    model.softmax_bias.assign(np.zeros(words))
    tokens = np.zeros((2, 9), "int32")
    found = [call(model, tokens, training=training) for _ in range(calls)]
    return [result["logits"] for result in found]


@pytest.mark.backend
def test_dropout_on_word_vectors_and_after_each_layer():
    first, second = echo_logits(training=True, calls=2)
    # Three independent masks, each of which scales what it keeps by 2.
    assert set(np.unique(first)) == {0.0, 8.0}
    kept = first > 0
    assert abs(kept.mean() - 1 / 8) < 0.05
    # Anew at each position, in each row, at each call.
    positions = kept.reshape(18, -1)
    for at in range(18):
        for other in range(at):
            assert np.any(positions[at] != positions[other])
    assert np.any(first != second)


def test_no_dropout_in_inference():
    np.testing.assert_array_equal(*echo_logits(training=False), 1.0)


def test_rollouts_share_their_dropout():
    """They differ by their actions alone: not at all, if these are forced."""
    model = small_models.build(dropout=0.5)
    look_back = cases.random_look_back(ACTIONS, batch=BATCH, steps=STEPS)
    first, second = (
        call(model, training=True, acting=Acting(3, look_back=look_back))
        for _ in range(2)
    )
    for found in (first["logits"], first["observed"]):
        one, *others = np.split(found, 3)
        for other in others:
            np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.any(first["logits"] != second["logits"])


def test_the_seed_decides_the_dropout():
    first, again = (echo_logits(training=True)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = echo_logits(training=True, seed=30)[0]
    assert np.any(first != other)


def layer(cls=dsl.LSTM, **options):
    options = {"return_sequences": True, "return_state": True, **options}
    return cls(4, **options)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "at least one layer. Received: \\[\\]"),
        ([layer(return_state=False)], "return_state=True. Received: 'lstm"),
        ([layer(return_sequences=False)], "return_sequences=True and"),
        (
            [layer(dsl.DynamicSkipLSTM, return_policy=True), layer()],
            "only the last layer may return its policy or attention",
        ),
    ],
)
def test_layers_that_cannot_be_stacked(layers, message):
    with pytest.raises(ValueError, match=message):
        dsl.LanguageModel(11, layers, embedding_units=3)


def test_config_round_trip_and_saved_model(tmp_path):
    model = small_models.build(
        dropout=0.25, observation="mean", empty_slots="zeros"
    )
    states = some_states()
    expected = call(model, states=states)
    model.save(tmp_path / "model.keras")
    again = dsl.LanguageModel.from_config(model.get_config())
    again.build((BATCH, STEPS))
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    for copy in (again, keras.models.load_model(tmp_path / "model.keras")):
        assert copy.dropouts[0].rate == 0.25
        found = call(copy, states=states)
        for left, right in zip(
            keras.tree.flatten(found),
            keras.tree.flatten(expected),
            strict=True,
        ):
            np.testing.assert_array_equal(left, right)
