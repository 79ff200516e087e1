"""Arguments that people give to `keras.layers.LSTM`, given to two layers.

The numbers must be Keras', also of layers that keep several states: the share
of the chosen one is too small to be seen.
"""

import cases
import keras
import numpy as np
import pytest

import dsl

LAYERS = {
    "dynamic": (dsl.DynamicSkipLSTM, {"num_actions": 3, "skip_weight": 1e-12}),
    "attention": (dsl.AttentionLSTM, {"num_states": 3, "skip_weight": 1e-12}),
}
X = cases.random_inputs(steps=4).astype("float32")
WORDS = np.array([[3, 1, 2, 0], [4, 0, 0, 0], [1, 2, 3, 4]])


def normal(seed):
    return keras.initializers.RandomNormal(stddev=0.5, seed=seed)


@pytest.fixture(params=LAYERS)
def make(request):
    return LAYERS[request.param][0]


@pytest.fixture(params=LAYERS)
def both(request):
    """Makes a layer and Keras', with equal weights wherever it is built."""
    cls, several = LAYERS[request.param]

    def make(units=cases.UNITS, **options):
        options = {
            "kernel_initializer": normal(1),
            "recurrent_initializer": normal(2),
            "bias_initializer": normal(3),
            **options,
        }
        ours = cls(units, **several, **options)
        return ours, keras.layers.LSTM(units, **options)

    return make


def assert_same(ours, theirs):
    """That all that Keras' layer gives comes first from the other one."""
    if not isinstance(theirs, (list, tuple)):
        ours, theirs = [ours], [theirs]
    for left, right in zip(ours, theirs, strict=False):
        left, right = cases.to_numpy(left), cases.to_numpy(right)
        assert left.shape == right.shape and right.any()
        np.testing.assert_allclose(left, right, atol=2e-6)
    assert len(ours) >= len(theirs)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True},
        {"return_state": True},
        {"return_sequences": True, "return_state": True},
        {"go_backwards": True, "return_sequences": True},
        {"unroll": True, "return_sequences": True},
        {"use_bias": False, "return_state": True},
        {"unit_forget_bias": False},
        {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
        {"implementation": 1},
    ],
    ids=lambda options: " ".join(options) or "plain",
)
def test_arguments_mean_what_they_mean_in_keras(both, options):
    ours, theirs = both(**options)
    assert_same(ours(X), theirs(X))


@pytest.mark.parametrize("zero_output_for_mask", [False, True])
@pytest.mark.parametrize("how", ["embedding", "masking"])
def test_masks_of_other_layers(both, how, zero_output_for_mask):
    first, inputs = keras.layers.Masking(-1.0), X.copy()
    inputs[WORDS == 0] = -1.0
    if how == "embedding":
        first, inputs = keras.layers.Embedding(5, 6, mask_zero=True), WORDS
    found = []
    for layer in both(
        return_sequences=True, zero_output_for_mask=zero_output_for_mask
    ):
        model = keras.Sequential([first, layer, keras.layers.Identity()])
        found.append(model(inputs))
    assert_same(*found)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
def test_merge_modes_of_bidirectional(both, merge_mode):
    found = [
        keras.layers.Bidirectional(layer, merge_mode=merge_mode)(X)
        for layer in both(return_sequences=True)
    ]
    assert_same(*found)


def test_layers_over_time_and_cells_in_a_loop(both):
    """`TimeDistributed` of a sequence of sequences, and `RNN` of the cell."""
    ours, theirs = both()
    inputs = np.stack([X, 2.0 * X], axis=1)
    found = [
        keras.layers.TimeDistributed(layer)(inputs) for layer in (ours, theirs)
    ]
    assert_same(*found)
    assert_same(keras.layers.RNN(ours.cell)(X), theirs(X))


@pytest.mark.parametrize("all_states", [False, True])
def test_a_decoder_starts_where_the_encoder_ended(both, all_states):
    """The model of Keras' example of sequence to sequence."""
    found = []
    for encoder, decoder in zip(
        both(return_state=True), both(return_sequences=True), strict=True
    ):
        source, target = (keras.Input((None, cases.FEATURES)) for _ in "ab")
        _, *states = encoder(source)
        if not all_states:
            states = states[:2]
        outputs = decoder(target, initial_state=states)
        model = keras.Model([source, target], outputs)
        found.append(model([X, X[:, ::-1]]))
    assert_same(*found)


@keras.saving.register_keras_serializable(package="tests")
def bent(x):
    return x / (1.0 + abs(x))


def test_a_custom_activation_is_saved(both, tmp_path):
    ours, theirs = both(activation=bent)
    model = keras.Sequential([keras.Input(X.shape[1:]), ours])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].activation is bent
    assert_same(loaded(X), theirs(X))


@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")
def test_regularizers_and_constraints(both):
    l2, most = keras.regularizers.L2(0.1), keras.constraints.MaxNorm(0.01)
    options = {
        "kernel_regularizer": l2,
        "recurrent_regularizer": l2,
        "bias_regularizer": l2,
        "activity_regularizer": l2,
        "kernel_constraint": most,
        "recurrent_constraint": most,
        "bias_constraint": keras.constraints.NonNeg(),
    }
    losses = []
    for layer in both(**options):
        model = keras.Sequential([layer])
        model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
        model(X)
        losses.append([float(loss) for loss in layer.losses])
        model.train_on_batch(X, np.ones((len(X), cases.UNITS), "float32"))
        for kernel in (layer.cell.kernel, layer.cell.recurrent_kernel):
            norms = np.linalg.norm(cases.to_numpy(kernel), axis=0)
            assert 0.0 < norms.max() < 0.0101
        assert cases.to_numpy(layer.cell.bias).min() >= 0.0
    assert len(losses[0]) == len(losses[1]) == 4
    np.testing.assert_allclose(*map(sorted, losses), rtol=1e-5)


@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout"])
def test_a_seed_fixes_dropout(make, name):
    def draws(seed):
        layer = make(cases.UNITS, seed=seed, **{name: 0.5})
        layer.build(X.shape)
        for n, variable in enumerate(layer.trainable_variables):
            variable.assign(normal(n)(variable.shape))
        return [cases.to_numpy(layer(X, training=True)) for _ in range(2)]

    first, second = draws(7)
    assert np.abs(first - second).max() > 1e-3
    for one, other in zip((first, second), draws(7), strict=True):
        np.testing.assert_array_equal(one, other)
    other = draws(8)[0]
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize("name", ["time_major", "unrolled"])
def test_arguments_that_keras_does_not_know(make, name):
    for cls in (make, keras.layers.LSTM):
        with pytest.raises(ValueError, match=f"keyword.*'{name}'"):
            cls(4, **{name: True})
