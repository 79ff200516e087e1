"""What the dynamic skip is compared with, as the top of a language model."""

import functools

import cases
import keras
import numpy as np
import pytest
import readers
import reference
import small_models
from small_models import BATCH, STEPS, WORDS
from small_runs import uncompiled

import dsl
from dsl.experiment import kinds
from dsl.scoring.streams import score
from dsl.training.optimizers import GroupedOptimizer
from language_modeling import model as building
from language_modeling.task import TASK

EMBEDDING, LOWER, UPPER = 6, cases.FEATURES, cases.UNITS
TEXT = small_models.text(24, seed=9)

each_kind = pytest.mark.parametrize("kind", readers.KINDS)


def random_weights(kind):
    """All weights by layer and name."""
    rng = np.random.default_rng(53)
    return {
        "embedding": rng.normal(size=(WORDS, EMBEDDING)),
        "lower": cases.random_weights(1, 54, EMBEDDING, LOWER),
        "upper": readers.random_weights(kind),
        "softmax_kernel": rng.normal(size=(UPPER, WORDS)),
        "softmax_bias": rng.normal(size=WORDS),
    }


def build(kind, **options):
    """Two recurrent layers, the upper one of the kind, with these weights."""
    lower = dsl.LSTM(LOWER, return_sequences=True, return_state=True)
    layers = [lower, readers.layer(kind, **options)]
    model = dsl.LanguageModel(WORDS, layers, EMBEDDING)
    model.build((BATCH, STEPS))
    small_models.set_weights(model, random_weights(kind))
    return model


def oracle(kind, tokens, states=None):
    """What the model returns, by loops over NumPy."""
    weights = random_weights(kind)
    lower, upper = (None, None) if states is None else (states[:2], states[2:])
    hidden, h, c = reference.lstm(
        weights["embedding"][tokens], weights["lower"], lower
    )
    found = readers.oracle(kind, hidden, weights["upper"], upper)
    logits = found["outputs"] @ weights["softmax_kernel"]
    return {
        **found,
        "logits": logits + weights["softmax_bias"],
        "states": [h, c, *found["states"]],
    }


def some_states():
    """States that hold something, one row with a full buffer."""
    lower = cases.random_state(1, seed=55, counts=(2, 9), units=LOWER)
    return [*lower, *cases.random_state(3, counts=(2, 9))]


@pytest.mark.backend
@pytest.mark.parametrize("states", [None, some_states()], ids=["new", "given"])
@each_kind
def test_the_model_is_the_oracle(kind, states):
    tokens = small_models.text().reshape(BATCH, STEPS)
    given = None if states is None else cases.cast(states, "float32")
    found = build(kind)(keras.ops.array(tokens), states=given)
    right = oracle(kind, tokens, states)
    assert found["policy"] == {} and "observed" not in found
    np.testing.assert_allclose(found["logits"], right["logits"], atol=1e-4)
    small_models.assert_states(found["states"], right["states"])
    if kind == "fixed":
        assert "attention" not in found
        return
    np.testing.assert_allclose(
        found["attention"], right["attention"], atol=1e-5
    )


@pytest.mark.parametrize(
    ("kind", "keep_buffer"),
    [(kind, True) for kind in readers.KINDS] + [("fixed", False)],
)
def test_states_are_carried_from_segment_to_segment(kind, keep_buffer):
    trainer = small_models.trainer(build(kind), keep_buffer=keep_buffer)
    states = None
    for x, y in small_models.batches(2):
        outputs = trainer(keras.ops.array(x), training=True)
        loss = trainer.compute_loss(x, y, outputs, training=True)
        right = oracle(kind, x, states)
        nll = small_models.nll(right["logits"], y)
        np.testing.assert_allclose(loss, nll.sum(1).mean(), rtol=1e-4)
        states = right["states"]
        if not keep_buffer:
            states = [*states[:4], *(np.zeros_like(x) for x in states[4:])]
        carried = [cases.to_numpy(state) for state in trainer.carried.states]
        small_models.assert_states(carried, states)
    assert trainer.read_statistics()["entropy"] == 0.0
    trainer.begin_epoch()
    assert not any(cases.to_numpy(x).any() for x in trainer.carried.states)


@each_kind
def test_a_score_tells_what_was_attended_to(kind):
    with uncompiled():
        found = score(build(kind), TEXT, num_streams=2, segment=6)
    rows = TEXT.reshape(2, 12)
    right = oracle(kind, rows[:, :-1])
    nll = small_models.nll(right["logits"], rows[:, 1:])
    np.testing.assert_allclose(found["nll"][0], nll, atol=1e-4)
    if kind == "fixed":
        assert not found["look_back"].any() and "attention" not in found
        return
    attention = right["attention"]
    np.testing.assert_allclose(found["attention"][0], attention, atol=1e-5)
    np.testing.assert_array_equal(
        found["look_back"][0], 1 + attention.argmax(axis=-1)
    )
    assert len(set(found["look_back"].flat)) == 3


@each_kind
def test_every_weight_learns(kind):
    trainer = small_models.trainer(
        build(kind), optimizer=GroupedOptimizer(keras.optimizers.SGD(0.1))
    )
    before = trainer.language_model.get_weights()
    trainer.train_on_batch(*small_models.batches(1)[0])
    after = trainer.language_model.get_weights()
    for old, new in zip(before, after, strict=True):
        assert np.abs(new - old).max() > 0.0


def test_only_the_last_layer_may_return_its_attention():
    layers = [readers.layer("content"), readers.layer("fixed")]
    with pytest.raises(ValueError, match="Received: return_attention=True in"):
        dsl.LanguageModel(WORDS, layers, EMBEDDING)


# From flags.


def parse(flags):
    tiny = "--rnn_size 8 --batch_size 2 --num_unroll_steps 7 --dropout 0.3"
    return TASK.parse([*tiny.split(), *flags.split()])


@functools.cache
def trained(flags):
    """Losses of two updates, and all that there is after them, with names."""
    args = parse(flags)
    model = building.build_model(args, WORDS)
    trainer = building.build_trainer(args, model)
    trainer.run_eagerly = True
    losses = [trainer.train_on_batch(*x) for x in small_models.batches(2)]
    variables = [*trainer.variables, *trainer.optimizer.variables]
    return losses, [(v.name, cases.to_numpy(v)) for v in variables]


@pytest.mark.parametrize(
    "flags", ["--model fixed_skip --skip 1", "--model attention --n_actions 1"]
)
def test_one_past_state_is_the_plain_model_to_the_bit(flags):
    losses, variables = trained("--model lstm")
    found, others = trained(flags)
    assert found == losses
    for (name, value), (other, right) in zip(others, variables, strict=True):
        assert name == other
        np.testing.assert_array_equal(value, right, err_msg=name)


@pytest.mark.parametrize(
    ("flags", "cls", "wanted"),
    [
        (
            "--model fixed_skip --skip 3 --lamda 0.5",
            dsl.FixedSkipLSTM,
            {"skip": 3, "skip_weight": 0.5},
        ),
        ("--model fixed_skip", dsl.FixedSkipLSTM, {"skip": 5}),
        (
            "--model attention --n_actions 4 --policy_units 6 --lamda 0.25",
            dsl.AttentionLSTM,
            {"num_states": 4, "attention_units": 6, "skip_weight": 0.25},
        ),
        (
            "--model attention",
            dsl.AttentionLSTM,
            {"num_states": 5, "attention_units": 50, "return_attention": True},
        ),
    ],
)
def test_flags_reach_the_top_layer(flags, cls, wanted):
    args = parse(f"{flags} --rnn_layers 3 --forget_bias 0.5")
    model = building.build_model(args, WORDS)
    *plain, top = model.recurrent_layers
    assert [type(layer) for layer in plain] == [dsl.LSTM] * 2
    assert type(top) is cls and (top.units, top.forget_bias) == (8, 0.5)
    assert {key: getattr(top, key) for key in wanted} == wanted
    assert kinds.connects(args) == (cls is dsl.AttentionLSTM)
    assert not kinds.chooses(args)
