"""A small language model with weights made by NumPy, and its oracle.

All sizes differ. Below is a plain LSTM, on top a dynamic skip LSTM.
"""

import cases
import keras
import numpy as np
import reference

import dsl
from dsl.datasets import streams
from dsl.training import loop, schedules
from dsl.training.optimizers import GroupedOptimizer
from dsl.training.streams import StreamTrainer

WORDS, EMBEDDING, LOWER, UPPER, ACTIONS = 11, 5, 6, 4, 3
BATCH, STEPS = 2, 7


def random_weights(seed=42, num_actions=ACTIONS):
    """All weights by layer and name; the agent takes all its distances."""
    rng = np.random.default_rng(seed)
    lower = cases.random_weights(1, seed + 1, EMBEDDING, LOWER)
    upper = cases.random_weights(num_actions, seed + 2, LOWER, UPPER)
    if num_actions > 1:
        upper["policy_output_kernel"] *= 3.0
        upper["policy_output_bias"] -= upper["policy_output_bias"]
    return {
        "embedding": rng.normal(size=(WORDS, EMBEDDING)),
        "lower": lower,
        "upper": upper,
        "softmax_kernel": rng.normal(size=(UPPER, WORDS)),
        "softmax_bias": rng.normal(size=WORDS),
    }


def build(
    weights=None,
    num_actions=ACTIONS,
    dropout=0.0,
    cls=None,
    embedding=None,
    **options,
):
    """The model; `options` are the top layer's.

    An `embedding` that is no table keeps its weights.
    """
    sequences = {"return_sequences": True, "return_state": True}
    options = {
        "skip_weight": 0.3,
        "estimator": "reinforce",
        "seed": 5,
        **options,
    }
    layers = [
        dsl.LSTM(LOWER, **sequences),
        dsl.DynamicSkipLSTM(
            UPPER,
            num_actions,
            policy_units=cases.POLICY_UNITS,
            return_policy=num_actions > 1,
            **sequences,
            **options,
        ),
    ]
    model = (cls or dsl.LanguageModel)(
        WORDS,
        layers,
        EMBEDDING if embedding is None else None,
        dropout=dropout,
        seed=3,
        embedding=embedding,
    )
    model.build((BATCH, STEPS))
    if weights is None:
        weights = random_weights(num_actions=num_actions)
    set_weights(model, weights)
    return model


def set_weights(model, weights):
    """Gives each variable the weight of its name."""
    lower, upper = model.recurrent_layers
    cases.set_weights(lower, weights["lower"])
    cases.set_weights(upper, weights["upper"])
    if model.embedding_units is not None:
        model.embedding.embeddings.assign(weights["embedding"])
    model.softmax_kernel.assign(weights["softmax_kernel"])
    model.softmax_bias.assign(weights["softmax_bias"])


def text(length=BATCH * STEPS, seed=4):
    """Word ids, int32 `(length,)`."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, WORDS, length).astype("int32")


def batches(count, seed=4, steps=STEPS):
    """Consecutive segments of a text, as pairs of inputs and targets."""
    rows = text(BATCH * (count * steps + 1), seed).reshape(BATCH, -1)
    starts = range(0, count * steps, steps)
    return [
        (rows[:, s : s + steps], rows[:, s + 1 : s + steps + 1]) for s in starts
    ]


def oracle(
    tokens,
    states=None,
    weights=None,
    num_actions=ACTIONS,
    skip_weight=0.3,
    **options,
):
    """What the model returns, by loops over NumPy.

    Returns:
        The dict of `reference.dynamic_skip_lstm` with `logits` those of the
        words, `observed`, and the flat list `states`.
    """
    if weights is None:
        weights = random_weights(num_actions=num_actions)
    lower, upper = (None, None) if states is None else (states[:2], states[2:])
    hidden, h, c = reference.lstm(
        weights["embedding"][tokens], weights["lower"], lower
    )
    result = reference.dynamic_skip_lstm(
        hidden,
        weights["upper"],
        upper,
        num_actions=num_actions,
        skip_weight=skip_weight,
        **options,
    )
    logits = result["outputs"] @ weights["softmax_kernel"]
    return {
        **result,
        "logits": logits + weights["softmax_bias"],
        "states": [h, c, *result["states"]],
        "observed": result["observations"],
    }


def nll(logits, targets):
    """-log p of each target, `(batch, time)`."""
    found = np.zeros(targets.shape)
    for at in np.ndindex(*targets.shape):
        found[at] = -reference.log_softmax(logits[at])[targets[at]]
    return found


def assert_states(found, expected, atol=1e-5):
    """Compares flat lists of states; empty slots do not count."""
    found = [cases.to_numpy(state) for state in found]
    pairs = [
        *zip(found[:2], expected[:2], strict=True),
        *zip(cases.filled_slots(found[2:]), expected[2:], strict=True),
    ]
    for index, (left, right) in enumerate(pairs):
        np.testing.assert_allclose(
            left, right, atol=atol, err_msg=f"state {index}"
        )


def trainer(
    model,
    signal=None,
    optimizer=None,
    keep_buffer=True,
    graph=False,
    steps=STEPS,
    **options,
):
    """A built trainer; by default nothing is learned.

    A few steps take less time than to compile them: only with `graph` they
    are. `options` are the `StreamTrainer`'s.
    """
    made = StreamTrainer(model, BATCH, signal, keep_buffer, **options)
    made.compile(
        optimizer=optimizer or GroupedOptimizer(keras.optimizers.SGD(0.0)),
        run_eagerly=not graph,
        jit_compile=graph and keras.backend.backend() == "jax",
    )
    made.build((BATCH, steps))
    made.optimizer.build(made.trainable_variables)
    return made


def fit(
    trainer,
    tokens,
    run,
    steps=STEPS,
    max_epochs=1,
    schedule=None,
    finish_epoch=dict,
    monitor="perplexity",
    **options,
):
    """Trains on a text, from the last checkpoint of the run if there is one.

    Without a validation it is the training's perplexity that counts.

    Returns:
        What was kept of each epoch, a list of dicts.
    """
    if schedule is None:
        rate = float(trainer.optimizer.learning_rate)
        schedule = schedules.Schedule(rate, factor=1.0, constant_epochs=1)
    rows = streams.batch(tokens, trainer.batch_size)
    segments = streams.Segments(rows, steps)
    progress = loop.resume(trainer, run, schedule)
    loop.fit(
        trainer,
        trainer.language_model,
        lambda epoch: segments,
        finish_epoch,
        schedule,
        run,
        progress,
        monitor=monitor,
        max_epochs=max_epochs,
        **options,
    )
    return progress.entries
