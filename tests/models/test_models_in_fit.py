"""Both models as any model of Keras: compile, fit, evaluate, predict."""

import keras
import numpy as np
import pytest
from keras import ops

import dsl

pytestmark = pytest.mark.backend

WORDS, CLASSES, STEPS = 7, 7, 4
RNG = np.random.default_rng(3)
X = RNG.integers(0, WORDS, (32, STEPS)).astype("int32")
# TensorFlow needs no XLA for this, which takes longer than all else.
JIT = keras.config.backend() == "jax"
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

TOPS = {
    "plain": (dsl.LSTM, {}),
    "policy": (
        dsl.DynamicSkipLSTM,
        {
            "num_actions": 2,
            "return_policy": True,
            "estimator": "straight_through",
        },
    ),
}


def build(kind, top):
    """A model, and labels that it can learn: the last word, or each word."""
    make, options = TOPS[top]
    layer = make(16, return_sequences=True, return_state=True, **options)
    if kind == "language":
        return dsl.LanguageModel(WORDS, [layer], embedding_units=8), X
    return dsl.SequenceClassifier(WORDS, CLASSES, [layer]), X[:, -1]


@pytest.mark.parametrize(
    ("kind", "top"), [("language", "plain"), ("classifier", "policy")]
)
def test_it_learns_in_plain_fit(kind, top):
    model, labels = build(kind, top)
    model.compile(
        keras.optimizers.Adam(0.05),
        loss=LOSS,
        metrics=["accuracy"],
        jit_compile=JIT,
    )
    history = model.fit(X, labels, epochs=12, batch_size=16, verbose=0).history
    assert history["loss"][-1] < 0.3 * history["loss"][0]
    assert history["accuracy"][-1] > 0.9
    found = model.evaluate(X, labels, batch_size=16, verbose=0)
    logits = model.predict(X, batch_size=16, verbose=0)["logits"]
    right = keras.losses.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    )
    right = float(ops.mean(right))
    hits = np.mean(np.argmax(logits, axis=-1) == labels)
    np.testing.assert_allclose(found, [right, hits], rtol=1e-4)


@pytest.mark.parametrize("kind", ["language", "classifier"])
def test_labels_and_losses_may_name_the_logits(kind):
    plain, labels = build(kind, "plain")
    plain.compile("sgd", loss=LOSS, jit_compile=JIT)
    named = type(plain).from_config(plain.get_config())
    named.compile("sgd", loss={"logits": LOSS}, jit_compile=JIT)
    for model in (plain, named):
        model.build(X.shape)
    named.set_weights(plain.get_weights())
    expected = plain.evaluate(X, labels, batch_size=16, verbose=0)
    found = named.evaluate(X, {"logits": labels}, batch_size=16, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_ids_of_another_type():
    model, labels = build("classifier", "plain")
    model.compile("sgd", loss=LOSS, jit_compile=JIT)
    expected = model.evaluate(X, labels, verbose=0)
    found = model.evaluate(X.astype("float32"), labels, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_weights_of_examples():
    model, labels = build("classifier", "plain")
    model.compile("sgd", loss=LOSS, jit_compile=JIT)
    weights = np.zeros(len(X), "float32")
    weights[:2] = 1.0
    found = model.evaluate(
        X, labels, sample_weight=weights, batch_size=32, verbose=0
    )
    logits = model.predict(X, verbose=0)["logits"]
    right = keras.losses.sparse_categorical_crossentropy(
        labels[:2], logits[:2], from_logits=True
    )
    # Keras divides by the batch, not by the weights.
    np.testing.assert_allclose(found, float(ops.sum(right)) / 32, rtol=1e-4)


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        keras.losses.SparseCategoricalCrossentropy(),
        keras.losses.sparse_categorical_crossentropy,
        {"logits": "categorical_crossentropy"},
    ],
)
def test_a_loss_of_probabilities_is_refused(loss):
    model, labels = build("classifier", "plain")
    model.compile("sgd", loss=loss, jit_compile=JIT)
    with pytest.raises(ValueError, match="logits.*from_logits=True.*Received"):
        model.train_on_batch(X, labels)
