"""Several rollouts, symbolic outputs, and calls that must be refused."""

import keras
import numpy as np
import pytest
from keras import ops

import dsl
from dsl import policy_signal
from dsl.optimizers import GroupedOptimizer
from language_modeling import settings

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")


def to_numpy(x):
    return np.array(ops.convert_to_numpy(x))


@pytest.mark.backend
@pytest.mark.parametrize("num_actions", [1, 3])
def test_rollouts_with_every_dropout_have_rows_of_their_own(num_actions):
    layer = dsl.DynamicSkipLSTM(
        6,
        num_actions=num_actions,
        dropout=0.2,
        recurrent_dropout=0.3,
        return_policy=True,
        return_state=True,
        seed=1,
    )
    *outputs, chosen = layer(X, num_rollouts=2, training=True)
    assert {x.shape[0] for x in outputs} == {6}
    assert {tuple(x.shape) for x in chosen.values()} == {(6, 5)}


def test_rollouts_share_their_dropout():
    layer = dsl.DynamicSkipLSTM(
        6,
        num_actions=3,
        return_sequences=True,
        return_state=True,
        return_policy=True,
        seed=1,
    )
    model = dsl.LanguageModel(11, [layer], 4, dropout=0.5, seed=2)
    tokens = np.arange(10).reshape(2, 5)
    outputs = model(
        tokens,
        training=True,
        num_rollouts=2,
        look_back=np.full((2, 5), 2),
    )
    first, second = np.split(to_numpy(outputs["logits"]), 2)
    np.testing.assert_array_equal(first, second)
    plain = model(tokens, training=False, look_back=np.full((2, 5), 2))
    assert np.abs(first - to_numpy(plain["logits"])).max() > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_symbolic_outputs_are_what_arrives(dtype):
    layer = dsl.DynamicSkipLSTM(
        6, num_actions=3, return_policy=True, return_state=True, dtype=dtype
    )
    symbolic = layer(keras.Input((5, 4), batch_size=3), num_rollouts=2)
    real = layer(X, num_rollouts=2)
    pairs = zip(
        keras.tree.flatten(symbolic), keras.tree.flatten(real), strict=True
    )
    for expected, found in pairs:
        assert tuple(expected.shape) == tuple(found.shape)
        assert expected.dtype == keras.backend.standardize_dtype(found.dtype)


@pytest.mark.backend
def test_a_backward_run_is_replayed_from_its_reversed_look_back():
    layer = dsl.DynamicSkipLSTM(
        6, num_actions=3, go_backwards=True, return_policy=True, seed=1
    )
    output, chosen = layer(X, action_selection="sampled")
    look_back = to_numpy(chosen["look_back"])
    assert len(np.unique(look_back)) > 1
    replayed, _ = layer(X, look_back=look_back[:, ::-1])
    np.testing.assert_allclose(to_numpy(output), to_numpy(replayed), atol=1e-6)


@pytest.mark.parametrize(
    "call, message",
    [
        ({"action_selection": "smapled"}, "`action_selection` must be one of"),
        ({"num_rollouts": 0}, "`num_rollouts` is the number of rollouts"),
        ({"initial_state": [X[:, 0]]}, "sizes \\[6, 6, 12, 12, 1\\]"),
        ({"look_back": np.ones((3, 4))}, "shape \\(batch, time\\)"),
    ],
)
def test_impossible_calls_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        dsl.DynamicSkipLSTM(6, num_actions=3)(X, **call)


def layer_without_sequences():
    return [dsl.LSTM(3, return_state=True)]


def policy_below_the_top():
    options = {"return_sequences": True, "return_state": True}
    return [
        dsl.DynamicSkipLSTM(3, return_policy=True, **options),
        dsl.LSTM(3, **options),
    ]


@pytest.mark.parametrize(
    "layers, message",
    [
        (list, "at least one layer"),
        (layer_without_sequences, "return_sequences=True"),
        (policy_below_the_top, "only the last layer"),
    ],
)
def test_layers_that_cannot_be_stacked_are_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        dsl.LanguageModel(5, layers(), 3)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_rollouts": 0}, "`num_rollouts`"),
        ({"discount": 1.5}, "`discount`"),
        ({"reward": "praise"}, "`reward`"),
    ],
)
def test_impossible_signals_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        policy_signal.PolicySignal(**options)


def test_a_signal_survives_its_configuration():
    signal = policy_signal.PolicySignal(
        baseline="value", discount=0.5, entropy_weight=0.1
    )
    config = keras.saving.serialize_keras_object(signal)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == signal.get_config()


def test_a_compiled_model_is_saved_with_its_grouped_optimizer(tmp_path):
    model = keras.Sequential(
        [keras.Input((5, 4)), dsl.LSTM(6), keras.layers.Dense(2)]
    )
    optimizer = GroupedOptimizer(
        keras.optimizers.SGD(0.5, momentum=0.9), max_norm=1.0
    )
    model.compile(optimizer, loss="mse")
    y = np.ones((3, 2), "float32")
    model.fit(X, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    model.fit(X, y, verbose=0, shuffle=False)
    loaded.fit(X, y, verbose=0, shuffle=False)
    for a, b in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), atol=1e-6)


def test_a_published_figure_belongs_to_its_own_settings():
    args = settings.parse_args(["--preset", "small", "--model", "lstm"])
    figures = {
        "valid_perplexity": None,
        "test_perplexity": 114.5,
        "source": "Zaremba et al. 2014, non-regularized LSTM",
    }
    nothing = dict.fromkeys(figures)
    assert settings.reference(args, "ptb") == (figures, 13)
    assert settings.reference(args, "generated") == (nothing, 13)
    args.seed = 1
    assert settings.reference(args, "ptb") == (figures, 13)
    args.max_epochs = 3
    assert settings.reference(args, "ptb") == (nothing, 13)
