"""The classifier of sequences, and its training."""

import cases
import keras
import numpy as np
import pytest
import reference
from gradients import gradients
from keras import ops

import dsl
from dsl.policy.acting import Acting
from dsl.policy.signal import PolicySignal
from dsl.scoring.sequences import (
    ClassifierScorer,
    choices_by_step,
    choices_by_symbol,
    hops_back,
)
from dsl.training.optimizers import GroupedOptimizer
from dsl.training.sequences import ClassifierTrainer

SYMBOLS, CLASSES, BATCH, STEPS, ACTIONS = 7, 3, 4, 5, 3
RNG = np.random.default_rng(90)
WEIGHTS = cases.random_weights(ACTIONS, 91, SYMBOLS)
READOUT = RNG.normal(size=(cases.UNITS, CLASSES)), RNG.normal(size=CLASSES)
X = RNG.integers(0, SYMBOLS, (BATCH, STEPS)).astype("int32")
Y = RNG.integers(0, CLASSES, BATCH).astype("int32")


def build(num_actions=ACTIONS, **options):
    options = {
        "action_selection": "greedy",
        "estimator": "reinforce",
        "seed": 4,
        **options,
    }
    layer = dsl.DynamicSkipLSTM(
        cases.UNITS,
        num_actions,
        policy_units=cases.POLICY_UNITS,
        skip_weight=0.3,
        return_sequences=True,
        return_state=True,
        return_policy=num_actions > 1,
        **options,
    )
    model = dsl.SequenceClassifier(SYMBOLS, CLASSES, [layer])
    model.build((BATCH, STEPS))
    wanted = {name: WEIGHTS[name] for name in reference.LSTM_WEIGHTS}
    cases.set_weights(layer, WEIGHTS if num_actions > 1 else wanted)
    for variable, value in zip(model.readout.weights, READOUT, strict=True):
        variable.assign(value)
    return model


def oracle(symbols=X, look_back=None):
    found = reference.dynamic_skip_lstm(
        np.eye(SYMBOLS)[symbols],
        WEIGHTS,
        num_actions=ACTIONS,
        skip_weight=0.3,
        look_back=look_back,
    )
    return {
        **found,
        "logits": found["outputs"][:, -1] @ READOUT[0] + READOUT[1],
    }


def nll_of(logits, labels):
    log_p = np.array([reference.log_softmax(row) for row in logits])
    return -log_p[np.arange(len(labels)), labels]


@pytest.mark.backend
@pytest.mark.parametrize("forced", [False, True])
def test_equals_the_oracle(forced):
    look_back = None
    if forced:
        look_back = cases.random_look_back(ACTIONS, batch=BATCH, steps=STEPS)
    found = build()(ops.array(X), acting=Acting(look_back=look_back))
    right = oracle(look_back=look_back)
    np.testing.assert_allclose(found["logits"], right["logits"], atol=2e-5)
    np.testing.assert_array_equal(
        found["policy"]["look_back"], right["look_back"]
    )
    np.testing.assert_allclose(
        found["observed"], right["observations"], atol=2e-5
    )


def test_rollouts_are_rows_of_their_own():
    model = build(action_selection="sampled")
    found = model(ops.array(X), acting=Acting(num_rollouts=2))
    assert tuple(found["logits"].shape) == (2 * BATCH, CLASSES)
    chosen = cases.to_numpy(found["policy"]["look_back"])
    right = oracle(np.tile(X, (2, 1)), chosen)
    np.testing.assert_allclose(found["logits"], right["logits"], atol=2e-5)
    assert np.any(chosen[:BATCH] != chosen[BATCH:])


def test_a_layer_without_a_choice():
    found = build(num_actions=1)(ops.array(X))
    hidden, *_ = reference.lstm(np.eye(SYMBOLS)[X], WEIGHTS)
    right = hidden[:, -1] @ READOUT[0] + READOUT[1]
    np.testing.assert_allclose(found["logits"], right, atol=2e-5)
    assert found["policy"] == {} and "observed" not in found


def test_save_and_load(tmp_path):
    model = build()
    expected = model(ops.array(X))["logits"]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(ops.array(X))["logits"], expected)
    assert loaded.get_config() == model.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3, []), "`num_symbols` is the size.*Received: num_symbols=0"),
        ((3, True, []), "`num_classes` is.*Received: num_classes=True"),
        ((3, 3, []), "at least one layer"),
        ((3, 3, [keras.layers.LSTM(2)]), "needs return_sequences=True"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        dsl.SequenceClassifier(*arguments)


def trainer(model, signal=None, **options):
    made = ClassifierTrainer(model, BATCH, signal, **options)
    made.compile(
        GroupedOptimizer(
            keras.optimizers.SGD(0.0), signal and keras.optimizers.SGD(0.0)
        ),
        run_eagerly=True,
    )
    made.build((BATCH, STEPS))
    return made


def test_the_loss_is_that_of_the_task_and_of_the_agent():
    signal = PolicySignal(
        baseline="batch_mean", entropy_weight=0.2, policy_weight=0.5
    )
    made = trainer(build(), signal, task_weight=0.1)
    loss = made.train_on_batch(X, Y)
    right = oracle()
    nll = nll_of(right["logits"], Y)
    advantage = nll.mean() - nll
    agent = -(right["log_prob"].sum(1) * advantage).mean()
    entropy = right["entropy"].sum(1).mean()
    np.testing.assert_allclose(
        loss, 0.1 * nll.mean() + 0.5 * agent - 0.2 * entropy, rtol=1e-4
    )
    made.train_on_batch(X, Y)
    found = made.read_statistics()
    np.testing.assert_allclose(found["loss"], nll.mean(), rtol=1e-4)
    np.testing.assert_allclose(
        found["accuracy"], np.mean(right["logits"].argmax(1) == Y)
    )
    np.testing.assert_allclose(
        found["entropy"], right["entropy"].mean(), rtol=1e-4
    )
    made.begin_epoch()
    assert not cases.to_numpy(made.statistics).any()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_compiled_trainer_takes_sequences_of_several_lengths(jit_compile):
    def losses(**compiled):
        signal = PolicySignal(baseline="running_mean", credit="path")
        made = trainer(build(), signal)
        for name, value in compiled.items():
            setattr(made, name, value)
        # XLA compiles each of them anew.
        lengths = (STEPS, STEPS - 2, STEPS - 1)[: 2 if jit_compile else 3]
        return [made.train_on_batch(X[:, -n:], Y) for n in lengths]

    found = losses(run_eagerly=False, jit_compile=jit_compile)
    np.testing.assert_allclose(found, losses(), rtol=1e-5)


def test_the_agent_alone_learns_from_the_reward():
    made = trainer(build(action_selection="auto"), PolicySignal(credit="path"))
    variables = made.trainable_variables

    def task_alone():
        outputs = made(ops.array(X), training=True)
        return ops.mean(outputs["logits"] ** 2)

    def agent_alone():
        outputs = made(ops.array(X), training=True)
        nll = ops.ones((BATCH, 1))
        return made.signal(nll, outputs["policy"], outputs["observed"])

    for loss, of_agent in ((task_alone, False), (agent_alone, True)):
        _, found, _ = gradients(loss, variables)
        for variable, gradient in zip(variables, found, strict=True):
            moved = gradient is not None and np.any(gradient)
            assert moved == (("policy" in variable.name) == of_agent)


def test_distances_can_be_imposed_in_training():
    look_back = np.array(
        cases.random_look_back(ACTIONS, batch=BATCH, steps=STEPS)
    )
    seen = []

    def impose(symbols, seed):
        seen.append(cases.to_numpy(symbols))
        return ops.array(look_back)

    made = trainer(build(), impose=impose, seed=1)
    loss = made.train_on_batch(X, Y)
    right = nll_of(oracle(look_back=look_back)["logits"], Y).mean()
    np.testing.assert_allclose(loss, right, rtol=1e-4)
    np.testing.assert_array_equal(seen[0], X)
    greedy = nll_of(oracle()["logits"], Y).mean()
    np.testing.assert_allclose(made.test_on_batch(X, Y), greedy, rtol=1e-4)
    assert abs(greedy - right) > 1e-3


@pytest.mark.parametrize("batch_size", [3, 100])
def test_scores_are_those_of_the_oracle(batch_size):
    model = build()
    scorer = ClassifierScorer(model)
    found = scorer.score(X, Y, batch_size=batch_size)
    right = oracle()
    np.testing.assert_allclose(
        found["nll"], nll_of(right["logits"], Y)[None], rtol=1e-4
    )
    np.testing.assert_array_equal(
        found["correct"], [right["logits"].argmax(1) == Y]
    )
    np.testing.assert_array_equal(found["look_back"], [right["look_back"]])
    forced = cases.random_look_back(ACTIONS, batch=BATCH, steps=STEPS)
    found = scorer.score(X, Y, look_back=forced)
    right = oracle(look_back=forced)
    np.testing.assert_allclose(
        found["nll"], nll_of(right["logits"], Y)[None], rtol=1e-4
    )


def test_sampled_scores_depend_on_their_seed_alone():
    model = build()
    before = [cases.to_numpy(v) for v in model.variables]
    scorer = ClassifierScorer(model, "sampled")
    first = scorer.score(X, Y, copies=3, seed=1)
    again = scorer.score(X, Y, copies=3, seed=1)
    other = scorer.score(X, Y, copies=3, seed=2)
    assert first["nll"].shape == (3, BATCH)
    np.testing.assert_array_equal(first["nll"], again["nll"])
    assert np.any(first["nll"] != other["nll"])
    assert np.any(first["look_back"][0] != first["look_back"][1])
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_scorer_sees_what_the_model_has_learned_since(jit_compile):
    model = build()
    scorer = ClassifierScorer(model, jit_compile=jit_compile)
    before = scorer.score(X, Y)
    model.readout.bias.assign_add(np.arange(CLASSES))
    after = scorer.score(X, Y)
    assert np.all(before["nll"] != after["nll"])
    anew = ClassifierScorer(model).score(X, Y)
    np.testing.assert_allclose(after["nll"], anew["nll"], rtol=1e-5)


def test_a_scorer_is_compiled_once(monkeypatch):
    model = build()
    scorer = ClassifierScorer(model, jit_compile=True)
    calls, call = [], scorer.call

    def counted(*arguments, **options):
        calls.append(1)
        return call(*arguments, **options)

    monkeypatch.setattr(scorer, "call", counted)
    scorer.score(X, Y)
    traced = len(calls)
    assert traced > 0
    scorer.score(X, Y, copies=3)
    assert len(calls) == traced


@pytest.mark.backend
def test_choices_by_symbol():
    found = choices_by_symbol(
        np.array([0, 2, 2, 0]), np.array([[1, 3, 3, 2], [1, 3, 1, 1]]), 4, 3
    )
    np.testing.assert_allclose(
        found, [[0.75, 0.25, 0], [0, 0, 0], [0.25, 0, 0.75], [0, 0, 0]]
    )


def test_choices_by_step():
    look_back = np.array([[[1, 2, 1], [1, 1, 3]], [[1, 2, 3], [1, 2, 3]]])
    np.testing.assert_allclose(
        choices_by_step(look_back, 3),
        [[1, 0, 0], [0.25, 0.75, 0], [0.25, 0, 0.75]],
    )


def test_hops_back_to_a_state():
    look_back = np.array([[1, 1, 2, 1, 2]] * 6 + [[1, 1, 1, 1, 4]])
    found = hops_back(look_back, np.array([4, 3, 2, 1, 0, -1, 1]))
    # 4 -> 2 -> 0 -> the start; 4 -> 0.
    np.testing.assert_array_equal(found, [0, -1, 1, -1, 2, 3, -1])
    with pytest.raises(ValueError, match="at least 1. Received: 0"):
        hops_back(np.zeros((2, 3), int), np.zeros(2))


MASK = np.arange(STEPS) < np.array([[5], [2], [4], [1]])


@pytest.mark.backend
@pytest.mark.parametrize("side", ["right", "left"])
def test_a_masked_sequence_is_a_shorter_one(side):
    model, mask = build(), MASK if side == "right" else MASK[:, ::-1]
    found = model(ops.array(X), mask=ops.array(mask))
    for row in range(BATCH):
        right = model(ops.array(X[row : row + 1, mask[row]]))
        np.testing.assert_allclose(
            cases.to_numpy(found["logits"])[row],
            cases.to_numpy(right["logits"])[0],
            atol=1e-5,
        )
        np.testing.assert_array_equal(
            cases.to_numpy(found["policy"]["look_back"])[row, mask[row]],
            cases.to_numpy(right["policy"]["look_back"])[0],
        )


def test_the_mask_of_its_inputs_is_its_mask():
    """In a functional model, of what another layer has masked."""

    class Padding(keras.layers.Layer):
        supports_masking = True

        def call(self, symbols):
            return symbols + 0

        def compute_mask(self, symbols, mask=None):
            return ops.not_equal(symbols, 0)

    model, symbols = build(), np.where(MASK, np.maximum(X, 1), 0)
    inputs = keras.Input((STEPS,), dtype="int32")
    whole = keras.Model(inputs, model(Padding()(inputs))["logits"])
    right = model(ops.array(symbols), mask=ops.array(MASK))["logits"]
    np.testing.assert_allclose(
        whole.predict_on_batch(symbols), cases.to_numpy(right), atol=1e-6
    )
    free = cases.to_numpy(model(ops.array(symbols))["logits"])
    assert np.abs(free - cases.to_numpy(right)).max() > 1e-2


@pytest.mark.parametrize("made", [dsl.LSTM, keras.layers.LSTM])
def test_both_directions_are_read_at_their_ends(made, tmp_path):
    options = {"return_sequences": True, "return_state": True}
    layers = [
        keras.layers.Bidirectional(made(cases.UNITS, **options))
        for _ in range(2)
    ]
    model = dsl.SequenceClassifier(SYMBOLS, CLASSES, layers)
    logits = model(ops.array(X), mask=ops.array(MASK))["logits"]
    last = keras.layers.Bidirectional(keras.layers.LSTM(cases.UNITS))
    x, *_ = layers[0](np.eye(SYMBOLS, dtype="float32")[X], mask=MASK)
    last.build(x.shape)
    last.set_weights(layers[1].get_weights())
    np.testing.assert_allclose(
        cases.to_numpy(logits),
        cases.to_numpy(model.readout(last(x, mask=MASK))),
        atol=1e-5,
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        cases.to_numpy(loaded(ops.array(X))["logits"]),
        cases.to_numpy(model(ops.array(X))["logits"]),
    )
