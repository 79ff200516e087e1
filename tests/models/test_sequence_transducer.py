"""The transducer of bits, its training and its scores."""

import cases
import keras
import numpy as np
import pytest
import reference
from gradients import gradients
from keras import ops

import dsl
from dsl.models.cross_entropy import bit_nll
from dsl.policy.signal import PolicySignal
from dsl.scoring.transducers import TransducerScorer
from dsl.training.transducers import RECENT, TransducerTrainer

pytestmark = pytest.mark.backend

BITS, BATCH, STEPS, ACTIONS = 2, 3, 5, 3
RNG = np.random.default_rng(95)
X = cases.random_inputs().astype("float32")
Y = RNG.integers(0, 2, (BATCH, STEPS, BITS)).astype("float32")
WEIGHTS = cases.random_weights(ACTIONS)
READOUT = RNG.normal(size=(cases.UNITS, BITS)), RNG.normal(size=BITS)


def build(**options):
    layer = cases.dynamic(ACTIONS, WEIGHTS, seed=4, **options)
    model = dsl.SequenceTransducer(cases.FEATURES, BITS, [layer])
    model.build((None, None, cases.FEATURES))
    for variable, value in zip(model.readout.weights, READOUT, strict=True):
        variable.assign(value)
    return model


def oracle():
    found = reference.dynamic_skip_lstm(
        X, WEIGHTS, num_actions=ACTIONS, skip_weight=0.3
    )
    return found["outputs"] @ READOUT[0] + READOUT[1], found


def test_equals_the_oracle():
    logits, expected = oracle()
    found = build()(X)
    np.testing.assert_allclose(
        cases.to_numpy(found["logits"]), logits, atol=2e-5
    )
    np.testing.assert_array_equal(
        cases.to_numpy(found["policy"]["look_back"]), expected["look_back"]
    )


def test_the_loss_of_bits_and_its_gradient():
    """The cross-entropy of Keras, and p - y; finite wherever p is."""
    logits = np.array([[-3.0, 0.0, 2.5], [80.0, -80.0, 1.0]], "float32")
    targets = np.array([[0.0, 1.0, 0.001], [1.0, 1.0, 0.5]], "float32")

    def loss(logits):
        return ops.sum(bit_nll(logits, targets))

    _, _, (found,) = gradients(loss, [], [logits])
    p = 1 / (1 + np.exp(-logits.astype("float64")))
    np.testing.assert_allclose(found, p - targets, atol=1e-6)
    expected = keras.ops.binary_crossentropy(targets, logits, from_logits=True)
    np.testing.assert_allclose(
        cases.to_numpy(bit_nll(logits, targets)),
        cases.to_numpy(expected),
        rtol=1e-6,
    )


def trainer(signal=None, **options):
    model = build(**options)
    found = TransducerTrainer(model, BATCH, signal)
    optimizer = dsl.GroupedOptimizer(keras.optimizers.SGD(0.0))
    found.compile(optimizer, jit_compile=False)
    found.build((BATCH, STEPS, cases.FEATURES))
    return found


def test_what_is_counted_is_the_loss_of_the_last_batches():
    training = trainer(action_selection="greedy", trainable=True)
    logits, _ = oracle()
    expected = cases.to_numpy(bit_nll(logits, Y)).mean()
    assert training.read_statistics()["recent_loss"] == 0.0
    training.begin_epoch()
    for _ in range(2):
        assert float(training.train_on_batch(X, Y)) == pytest.approx(
            expected, rel=1e-5
        )
    other = 1 - Y
    training.begin_epoch()
    training.train_on_batch(X, other)
    more = cases.to_numpy(bit_nll(logits, other)).mean()
    found = training.read_statistics()
    assert found["loss"] == pytest.approx(more, rel=1e-5)
    # Two of the epoch before, and one.
    mean = (2 * expected + more) / 3
    assert found["recent_loss"] == pytest.approx(mean, rel=1e-5)
    assert training.recent.shape == (RECENT,)


def test_the_agent_is_rewarded_at_each_step(monkeypatch):
    """With a discount of 0, by the bits of its own step alone."""
    noise = np.zeros((BATCH, STEPS, ACTIONS))
    cases.fix_noise(monkeypatch, noise)
    signal = PolicySignal(discount=0.0)
    training = trainer(signal)
    logits, expected = oracle()
    nll = cases.to_numpy(bit_nll(logits, Y))
    loss = training.compute_loss(
        X, Y, training(X, training=True), training=True
    )
    reward = -nll.sum(axis=-1)
    policy = -(expected["log_prob"] * reward).sum(axis=1).mean()
    assert float(loss) == pytest.approx(nll.mean() + policy, rel=1e-4)


def test_scores_are_those_of_the_model():
    logits, expected = oracle()
    scorer = TransducerScorer(build())
    found = scorer.score(np.concatenate([X, X]), batch_size=4)
    np.testing.assert_allclose(found["logits"][:3], logits, atol=2e-5)
    np.testing.assert_allclose(found["logits"][3:], logits, atol=2e-5)
    np.testing.assert_array_equal(found["look_back"][3:], expected["look_back"])


@pytest.mark.parametrize("attends", [False, True])
def test_what_does_not_choose_reads_what_it_attends_to_most(attends):
    options = {"return_sequences": True, "return_state": True}
    if attends:
        layer = dsl.AttentionLSTM(4, 3, return_attention=True, **options)
    else:
        layer = dsl.LSTM(4, **options)
    model = dsl.SequenceTransducer(cases.FEATURES, BITS, [layer])
    model.build((None, None, cases.FEATURES))
    found = TransducerScorer(model).score(X)["look_back"]
    if attends:
        _, *_, read = layer(X)
        expected = 1 + cases.to_numpy(read["attention"]).argmax(axis=-1)
        np.testing.assert_array_equal(found, expected)
    else:
        assert not found.any()


def test_save_and_load(tmp_path):
    model = build()
    model(X)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        cases.to_numpy(again(X)["logits"]), cases.to_numpy(model(X)["logits"])
    )


def test_fit_with_a_loss_of_logits():
    model = build(estimator="straight_through")
    model.compile(
        "adam",
        keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,
    )
    history = model.fit(X, Y, epochs=2, verbose=0).history["loss"]
    assert history[1] < history[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 2), "`num_features` is the size of an input"),
        ((5, 1.5), "`num_outputs` is the logits of a step"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        dsl.SequenceTransducer(*arguments, [cases.dynamic(3)])
    with pytest.raises(ValueError, match="`layers` must hold at least one"):
        dsl.SequenceTransducer(5, 2, [])
