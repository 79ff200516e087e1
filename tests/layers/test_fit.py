"""What a user of Keras writes learns where to connect: plain `fit`."""

import cases
import keras
import numpy as np
import pytest

import dsl

SYMBOLS, LENGTH = 4, 5
SHAPE = (LENGTH, SYMBOLS)
AGENT = {"num_actions": 4, "policy_units": 32}


def pointed_numbers(count, seed):
    """Four digits and a pointer to one of them, one-hot; the digit."""
    rng = np.random.default_rng(seed)
    digits = rng.integers(0, SYMBOLS, (count, LENGTH))
    label = digits[np.arange(count), digits[:, -1] % (LENGTH - 1)]
    return np.eye(SYMBOLS, dtype="float32")[digits], label


def last_entropy(layer, inputs):
    """Mean entropy in nats of the choice at the pointer, of at most log 4."""
    probe = dsl.DynamicSkipLSTM(24, **AGENT, return_policy=True)
    probe.build(inputs.shape)
    probe.set_weights(layer.get_weights())
    _, policy = probe(inputs)
    return float(np.mean(cases.to_numpy(policy["entropy"])[:, -1]))


def by_default():
    return dsl.DynamicSkipLSTM(24, **AGENT)


def cell_in_rnn():
    return keras.layers.RNN(dsl.DynamicSkipLSTMCell(24, **AGENT))


def by_reinforce():
    return dsl.DynamicSkipLSTM(24, **AGENT, estimator="reinforce")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(by_default, marks=pytest.mark.backend),
        pytest.param(cell_in_rnn, marks=pytest.mark.backend),
        by_reinforce,
    ],
)
def test_the_policy_learns(make):
    inputs, labels = pointed_numbers(1024, 0)
    unseen, right = pointed_numbers(512, 1)
    layer = make()
    model = keras.Sequential(
        [keras.Input(SHAPE), layer, keras.layers.Dense(SYMBOLS)]
    )
    if make is by_reinforce:
        model = dsl.Reinforce(model)
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=keras.backend.backend() == "jax",
    )
    before = last_entropy(layer, unseen)
    model.fit(inputs, labels, batch_size=64, epochs=10, verbose=0)
    loss, accuracy = model.evaluate(unseen, right, verbose=0)
    # The plain LSTM has 0.63 after as many epochs.
    assert accuracy > 0.95 and loss < 0.2
    assert before > 1.2 and last_entropy(layer, unseen) < 0.25 * before


def small_model(masking=False, **options):
    """An outer and an inner layer that choose, and a readout a step."""
    first = [keras.layers.Masking()] if masking else []
    options = {"policy_units": 6, "estimator": "reinforce", **options}
    layers = [
        dsl.DynamicSkipLSTM(4, 3, return_sequences=True, **options),
        dsl.DynamicSkipLSTM(3, 2, return_sequences=True, **options),
        keras.layers.Dense(2),
    ]
    inputs = keras.Input((None, cases.FEATURES))
    return keras.Sequential([inputs, *first, *layers])


class Halves(keras.losses.Loss):
    """A loss of one's own, of both signs."""

    def call(self, y_true, y_pred):
        return keras.ops.mean(y_pred - y_true, axis=-1) / 2.0


MASK = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 1, 1]], "float32")
LOSSES = {
    "mean": ("mse", None, lambda error: (error**2).mean(-1) / 15),
    "sum": (
        keras.losses.MeanSquaredError(reduction="sum"),
        None,
        lambda error: (error**2).mean(-1),
    ),
    "own": (Halves(), None, lambda error: error.mean(-1) / 30),
    "weighted": (
        "mse",
        MASK * 3.0,
        lambda error: (error**2).mean(-1) * MASK * 3.0 / 15,
    ),
    "mean of weights": (
        keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"),
        MASK * 3.0,
        lambda error: (error**2).mean(-1) * MASK / MASK.sum(),
    ),
    "masked": (
        "mse",
        None,
        lambda error: (error**2).mean(-1) * MASK / MASK.sum(),
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.backend)
        if name == "masked"
        else name
        for name in LOSSES
    ],
)
def test_the_loss_is_that_of_the_task_and_of_the_choices(name):
    """By its formula, from what the layers return if they are asked."""
    given, weights, per_step = LOSSES[name]
    inputs = cases.random_inputs().astype("float32")
    labels = np.random.default_rng(3).normal(size=(3, 5, 2)).astype("float32")
    mask = MASK > 0 if name == "masked" else None
    if mask is not None:
        inputs = inputs * MASK[:, :, None]
    model = dsl.Reinforce(
        small_model(masking=mask is not None),
        policy_weight=0.7,
        entropy_weight=0.3,
    )
    model.compile(loss=given)
    *_, first, second, readout = model.model.layers
    generators = [first.cell.seed_generator, second.cell.seed_generator]
    seeds = [np.array(one.state) for one in generators]
    outputs = model(inputs, training=True)
    found = model.compute_loss(inputs, labels, outputs, weights)
    for one, seed in zip(generators, seeds, strict=True):
        one.state.assign(seed)
    hidden, told = inputs, []
    for layer in (first, second):
        layer.return_policy = True
        hidden, policy = layer(hidden, mask=mask, training=True)
        told.append({k: cases.to_numpy(x) for k, x in policy.items()})
    error = cases.to_numpy(readout(hidden)) - labels
    of_rows = per_step(error).sum(1)
    log_prob, entropy = (
        sum(one[key].sum(1) for one in told) for key in ("log_prob", "entropy")
    )
    reward = -3.0 * of_rows
    baseline = (reward.sum() - reward) / 2.0
    expected = of_rows.sum() - np.mean(
        0.7 * log_prob * (reward - baseline) + 0.3 * entropy
    )
    np.testing.assert_allclose(float(found), expected, rtol=1e-4)
    assert abs(expected - of_rows.sum()) > 0.1


def test_a_single_row_has_no_baseline():
    model = dsl.Reinforce(small_model(), entropy_weight=0.0)
    model.compile("sgd", "mse", jit_compile=False)
    inputs, labels = cases.random_inputs(batch=1), np.ones((1, 5, 2))
    model(inputs)
    before = model.model.layers[0].get_weights()
    model.fit(inputs, labels, verbose=0)
    for old, new in zip(
        before, model.model.layers[0].get_weights(), strict=True
    ):
        assert np.abs(old - new).max() > 0.0


def test_evaluation_and_saved_models(tmp_path):
    inputs = cases.random_inputs().astype("float32")
    labels = np.zeros((3, 5, 2), "float32")
    model = dsl.Reinforce(small_model(), 0.5, 0.2)
    model.compile("sgd", "mse", jit_compile=False)
    before = model.get_weights()
    model.fit(inputs, labels, verbose=0)
    moved = [
        np.abs(new - old).max()
        for new, old in zip(model.get_weights(), before, strict=True)
    ]
    assert all(change > 0.0 for change in moved)
    found = model.evaluate(inputs, labels, verbose=0)
    outputs = cases.to_numpy(model(inputs))
    np.testing.assert_allclose(found, np.mean(outputs**2), rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(cases.to_numpy(loaded(inputs)), outputs)
    assert (loaded.policy_weight, loaded.entropy_weight) == (0.5, 0.2)
    config = model.get_config()
    for _ in range(2):  # It leaves the configuration as it is.
        dsl.Reinforce.from_config(config)


def test_a_model_of_the_library():
    """Its logits count; its top layer may return its policy or not."""
    symbols = np.random.default_rng(1).integers(0, 7, (3, 5))
    layer = dsl.DynamicSkipLSTM(
        4,
        3,
        policy_units=6,
        estimator="reinforce",
        return_sequences=True,
        return_state=True,
        return_policy=True,
    )
    model = dsl.Reinforce(dsl.SequenceClassifier(7, 2, [layer]))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"], jit_compile=False)
    model(symbols)
    before = layer.get_weights()
    model.fit(symbols, np.array([0, 1, 1]), verbose=0)
    for old, new in zip(before, layer.get_weights(), strict=True):
        assert np.abs(old - new).max() > 0.0
    assert model.predict(symbols, verbose=0).shape == (3, 2)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    with pytest.raises(ValueError, match="told by from_logits=True"):
        model.fit(symbols, np.array([0, 1, 1]), verbose=0)


@pytest.mark.parametrize(
    "loss", [["mse"], {"out": "mse"}, None], ids=["list", "dict", "none"]
)
def test_a_loss_that_is_not_one(loss):
    model = dsl.Reinforce(small_model())
    model.compile("sgd", loss, jit_compile=False)
    inputs, labels = cases.random_inputs(), np.zeros((3, 5, 2))
    outputs = model(inputs, training=True)
    with pytest.raises(ValueError, match="`loss` must be one loss. Received"):
        model.compute_loss(inputs, labels, outputs)


@pytest.mark.parametrize("weights", [(-1.0, 0.0), ("1", 0.0), (1.0, None)])
def test_weights_out_of_range(weights):
    with pytest.raises(ValueError, match="_weight` is .* Received"):
        dsl.Reinforce(small_model(), *weights)


def test_a_model_that_does_not_choose():
    model = dsl.Reinforce(small_model(estimator="straight_through"))
    model.compile("sgd", "mse", jit_compile=False)
    with pytest.raises(ValueError, match="must hold a dsl.DynamicSkipLSTM"):
        model.fit(cases.random_inputs(), np.zeros((3, 5, 2)), verbose=0)


def test_a_policy_that_cannot_learn_says_so():
    layer = by_reinforce()
    inputs = np.zeros((2, *SHAPE), "float32")
    with pytest.warns(UserWarning, match="does not learn: .* dsl.Reinforce"):
        layer(inputs, training=True)
    layer(inputs)
    layer.trainable = False
    layer(inputs, training=True)
    cell = dsl.DynamicSkipLSTMCell(4, estimator="reinforce")
    with pytest.warns(UserWarning, match="does not learn: .* dsl.Reinforce"):
        keras.layers.RNN(cell)(inputs, training=True)
    sequences = {"return_sequences": True, "return_state": True}
    layer = dsl.DynamicSkipLSTM(
        4, estimator="reinforce", return_policy=True, **sequences
    )
    model = dsl.SequenceClassifier(7, 2, [layer])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=False)
    symbols, labels = np.zeros((2, 5), "int32"), np.zeros(2, "int32")
    outputs = model(symbols, training=True)
    with pytest.warns(UserWarning, match="does not learn: .* dsl.Reinforce"):
        model.compute_loss(symbols, labels, outputs)
