"""Training on streams, scoring and schedules, against loops over NumPy."""

import functools
import math

import cases
import keras
import numpy as np
import pytest
import reference
import small_models
from gradients import gradients
from keras import ops
from small_models import ACTIONS, BATCH, STEPS, WORDS

import dsl
from dsl import evaluation, schedules, training
from dsl.datasets import streams
from dsl.optimizers import GroupedOptimizer, is_policy
from dsl.policy_signal import PolicySignal

FIRST, SECOND = small_models.batches(2)


def greedy_trainer(signal=None, optimizer=None, **options):
    """A trainer whose agent takes the most probable action in training too."""
    model = small_models.build(action_selection="greedy")
    return small_models.trainer(model, signal, optimizer, **options)


def carried(trainer):
    return [cases.to_numpy(state) for state in trainer.carried.states]


def run(trainer, batch):
    """One training pass without an update: the loss and the outputs."""
    x, y = batch
    outputs = trainer(ops.array(x), training=True)
    loss = trainer.compute_loss(x, ops.array(y), outputs, training=True)
    return float(loss), keras.tree.map_structure(cases.to_numpy, outputs)


def test_states_are_carried_from_segment_to_segment_and_reset():
    trainer = greedy_trainer()
    states = None
    for x, y in (FIRST, SECOND):
        loss = trainer.train_on_batch(x, y)
        right = small_models.oracle(x, states)
        nll = small_models.nll(right["logits"], y)
        np.testing.assert_allclose(loss, nll.sum(1).mean(), rtol=1e-4)
        states = right["states"]
        small_models.assert_states(carried(trainer), states)
    # Scoring a batch or calling the model moves nothing.
    trainer.test_on_batch(*FIRST)
    trainer.predict_on_batch(FIRST[0])
    small_models.assert_states(carried(trainer), states)
    trainer.carried.reset()
    assert not any(state.any() for state in carried(trainer))
    right = small_models.nll(small_models.oracle(FIRST[0])["logits"], FIRST[1])
    loss = trainer.train_on_batch(*FIRST)
    np.testing.assert_allclose(loss, right.sum(1).mean(), rtol=1e-4)


def test_the_first_rollout_is_carried_on():
    signal = PolicySignal(num_rollouts=3)
    trainer = small_models.trainer(small_models.build(), signal)
    run(trainer, FIRST)
    before = carried(trainer)
    _, outputs = run(trainer, SECOND)
    look_back = np.split(outputs["policy"]["look_back"], 3)
    assert np.any(look_back[0] != look_back[1])
    assert np.any(look_back[0] != look_back[2])
    right = small_models.oracle(SECOND[0], before, look_back=look_back[0])
    small_models.assert_states(carried(trainer), right["states"])


def test_without_the_buffer_only_h_and_c_are_carried():
    trainer = greedy_trainer(keep_buffer=False)
    states = None
    for batch in (FIRST, SECOND):
        trainer.train_on_batch(*batch)
        right = small_models.oracle(batch[0], states)["states"]
        states = [*right[:4], *(np.zeros_like(state) for state in right[4:])]
        small_models.assert_states(carried(trainer), states)
        assert not any(state.any() for state in carried(trainer)[4:])


def test_without_the_buffer_a_plain_model_carries_everything():
    model = small_models.build(num_actions=1)
    trainer = small_models.trainer(model, keep_buffer=False)
    trainer.train_on_batch(*FIRST)
    right = small_models.oracle(FIRST[0], num_actions=1)["states"]
    for left, state in zip(carried(trainer), right, strict=True):
        np.testing.assert_allclose(left, state, atol=1e-5)


def test_no_gradient_crosses_segments():
    """The second segment's gradient is that of a start from given states."""
    trainer = greedy_trainer()
    trainer.train_on_batch(*FIRST)
    states = [ops.array(state) for state in carried(trainer)]
    model = trainer.language_model
    variables = model.recurrent_layers[0].trainable_variables
    x, y = (ops.array(part) for part in SECOND)

    def fixed():
        logits = model(x, states=states, action_selection="greedy")["logits"]
        return ops.mean(ops.sum(evaluation.token_nll(logits, y), axis=-1))

    def of_the_trainer():
        outputs = trainer(x, training=True)
        return trainer.compute_loss(x, y, outputs, training=True)

    _, expected, _ = gradients(fixed, variables)
    _, found, _ = gradients(of_the_trainer, variables)
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)


def value_of(signal, observed):
    """V(e) of the learned baseline."""
    first, second = (
        [cases.to_numpy(weight) for weight in layer.trainable_variables]
        for layer in signal.value.layers
    )
    hidden = np.tanh(observed @ first[0] + first[1])
    return (hidden @ second[0] + second[1])[..., 0]


def signal_loss(signal, result, targets, running=None):
    """The agent's loss by its formula, and the returns."""
    nll = small_models.nll(result["logits"], targets)
    r_t = {
        "log_likelihood": -nll,
        "probability": np.exp(-nll),
        "correct": np.where(result["logits"].argmax(-1) == targets, 1.0, -1.0),
    }[signal.reward]
    r_t = r_t - signal.sequence_entropy_weight * result["log_prob"]
    g_t = reference.rewards_to_go(r_t, signal.discount)
    baseline, extra = 0.0, 0.0
    if signal.baseline == "batch_mean":
        baseline = g_t.mean(0)
    if signal.baseline == "running_mean":
        baseline = g_t.mean(0) if running is None else running
    if signal.baseline == "leave_one_out":
        grouped = g_t.reshape(signal.num_rollouts, BATCH, STEPS)
        baseline = np.zeros_like(grouped)
        for rollout in range(signal.num_rollouts):
            others = np.delete(grouped, rollout, axis=0)
            baseline[rollout] = others.mean(0)
        baseline = baseline.reshape(g_t.shape)
    if signal.baseline == "value":
        baseline = value_of(signal, result["observed"])
        extra = 0.5 * np.square(baseline - g_t).sum(1).mean()
    policy_loss = -(result["log_prob"] * (g_t - baseline)).sum(1).mean()
    entropy = result["entropy"].sum(1).mean()
    loss = signal.policy_weight * policy_loss + extra
    return loss - signal.entropy_weight * entropy, g_t


def tiled_states(states, rollouts):
    return [np.tile(state, (rollouts, 1)) for state in states]


SIGNALS = [
    dict(
        baseline="leave_one_out",
        num_rollouts=3,
        discount=0.8,
        policy_weight=50.0,
    ),
    dict(baseline="batch_mean", reward="probability", policy_weight=9.0),
    dict(baseline="batch_mean", num_rollouts=2, entropy_weight=0.7),
    dict(baseline="running_mean", discount=0.0, num_rollouts=2),
    dict(baseline="value", value_units=3, policy_weight=0.25),
    dict(baseline="none", reward="correct", num_rollouts=2),
    dict(baseline="none", sequence_entropy_weight=0.6, entropy_weight=0.2),
]


@pytest.mark.parametrize("options", SIGNALS, ids=lambda o: o["baseline"])
def test_loss_is_task_plus_agent(options):
    signal = PolicySignal(**options)
    trainer = small_models.trainer(small_models.build(), signal)
    rollouts, states, running = signal.num_rollouts, None, None
    for x, y in (FIRST, SECOND):
        loss, outputs = run(trainer, (x, y))
        # The oracle follows the actions that were drawn.
        right = small_models.oracle(
            np.tile(x, (rollouts, 1)),
            states and tiled_states(states, rollouts),
            look_back=outputs["policy"]["look_back"],
        )
        targets = np.tile(y, (rollouts, 1))
        task = small_models.nll(right["logits"], targets).sum(1).mean()
        agent, g_t = signal_loss(signal, right, targets, running)
        assert abs(agent) > 0.02
        np.testing.assert_allclose(loss - task, agent, atol=1e-3)
        mean = g_t.mean(0)
        running = mean if running is None else 0.95 * running + 0.05 * mean
        states = [state[:BATCH] for state in right["states"]]
    if signal.baseline == "running_mean":
        np.testing.assert_allclose(signal.mean_t, running, rtol=1e-4)
        run_without_training = trainer.test_on_batch(*FIRST)
        assert np.isfinite(run_without_training)
        np.testing.assert_allclose(signal.mean_t, running, rtol=1e-4)


@pytest.mark.backend
@pytest.mark.parametrize(
    "options",
    [dict(baseline="value"), dict(baseline="leave_one_out", num_rollouts=2)],
    ids=lambda o: o["baseline"],
)
def test_the_compiled_step_reports_this_loss(options):
    """Same seed, same draws: in a graph, and one by one."""
    trainer = small_models.trainer(
        small_models.build(dropout=0.3), PolicySignal(**options), graph=True
    )
    seeds = [v for v in trainer.variables if "seed" in v.path]
    before = [cases.to_numpy(seed) for seed in seeds]
    assert before
    loss, _ = run(trainer, FIRST)
    kept = [*seeds, *trainer.carried.states, trainer.statistics]
    after = [cases.to_numpy(variable) for variable in kept]
    for seed, value in zip(seeds, before, strict=True):
        seed.assign(value)
    trainer.carried.reset()
    trainer.read_statistics()
    np.testing.assert_allclose(trainer.train_on_batch(*FIRST), loss, rtol=1e-5)
    for variable, value in zip(kept, after, strict=True):
        np.testing.assert_allclose(variable, value, atol=1e-5)


def test_straight_through_leaves_only_the_entropy():
    signal = PolicySignal("straight_through", entropy_weight=0.5)
    model = small_models.build(estimator="straight_through")
    loss, outputs = run(small_models.trainer(model, signal), FIRST)
    right = small_models.oracle(
        FIRST[0], look_back=outputs["policy"]["look_back"]
    )
    task = small_models.nll(right["logits"], FIRST[1]).sum(1).mean()
    entropy = right["entropy"].sum(1).mean()
    np.testing.assert_allclose(loss, task - 0.5 * entropy, rtol=1e-4)


def test_in_inference_the_loss_is_greedy_and_moves_no_statistics():
    signal = PolicySignal(baseline="running_mean")
    trainer = small_models.trainer(small_models.build(dropout=0.5), signal)
    right = small_models.oracle(FIRST[0])
    task = small_models.nll(right["logits"], FIRST[1]).sum(1).mean()
    agent, _ = signal_loss(signal, right, FIRST[1])
    loss = trainer.test_on_batch(*FIRST)
    np.testing.assert_allclose(loss, task + agent, rtol=1e-4)
    assert np.isnan(cases.to_numpy(signal.mean_t)).all()
    assert not cases.to_numpy(trainer.statistics).any()


def loss_gradients(signal, estimator="reinforce"):
    """Gradients of the whole loss by name, with greedy actions."""
    model = small_models.build(action_selection="greedy", estimator=estimator)
    trainer = small_models.trainer(model, signal)
    variables = [
        *model.trainable_variables,
        *trainer.signal.trainable_variables,
    ]
    variables = [v for v in variables if v is not model.embedding.embeddings]
    x, y = (ops.array(part) for part in FIRST)

    def loss():
        outputs = trainer(x, training=True)
        return trainer.compute_loss(x, y, outputs, training=True)

    _, found, _ = gradients(loss, variables)
    return [(is_policy(v), g) for v, g in zip(variables, found, strict=True)]


def test_the_task_teaches_no_agent_and_the_agent_teaches_no_lstm():
    task = loss_gradients(PolicySignal(policy_weight=0.0))
    both = loss_gradients(
        PolicySignal(policy_weight=3.0, entropy_weight=0.5, baseline="value")
    )
    assert [agent for agent, _ in task].count(True) == 4
    for (agent, of_task), (_, of_both) in zip(task, both[:12], strict=True):
        if agent:
            assert not of_task.any() and of_both.any()
        else:
            assert of_task.any()
            np.testing.assert_array_equal(of_both, of_task)
    # The learned baseline is the agent's, too.
    assert len(both) == 16
    assert all(agent and gradient.any() for agent, gradient in both[12:])


def test_the_agents_loss_does_not_reach_the_word_vectors():
    """After one step of gradient descent they are where the task puts them."""
    moved = []
    for weight in (0.0, 5.0):
        trainer = greedy_trainer(
            PolicySignal(policy_weight=weight),
            GroupedOptimizer(keras.optimizers.SGD(0.5)),
        )
        trainer.train_on_batch(*FIRST)
        embedding = trainer.language_model.embedding.embeddings
        moved.append(cases.to_numpy(embedding))
    np.testing.assert_array_equal(*moved)
    assert np.any(
        moved[0] != np.float32(small_models.random_weights()["embedding"])
    )


@functools.cache
def changes(max_norm=None, policy_rate=None, policy_weight=1.0):
    """What one step of gradient descent adds to the weights."""
    own = policy_rate and keras.optimizers.SGD(policy_rate)
    trainer = greedy_trainer(
        PolicySignal(policy_weight=policy_weight, baseline="value"),
        GroupedOptimizer(keras.optimizers.SGD(1.0), own, max_norm=max_norm),
    )
    for layer in trainer.signal.value.layers:
        layer.kernel.assign(np.full(layer.kernel.shape, 0.05))
    variables = trainer.trainable_variables
    before = [cases.to_numpy(variable) for variable in variables]
    trainer.train_on_batch(*FIRST)
    found = [
        cases.to_numpy(variable) - value
        for variable, value in zip(variables, before, strict=True)
    ]
    agent = [
        change
        for change, variable in zip(found, variables, strict=True)
        if is_policy(variable)
    ]
    model = [
        change
        for change, variable in zip(found, variables, strict=True)
        if not is_policy(variable)
    ]
    assert len(agent) == 8 and len(model) == 9
    return model, agent


def assert_scaled(found, expected, scale):
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, scale * right, rtol=1e-3, atol=1e-6)


def test_the_agents_own_optimizer_is_outside_of_the_clip():
    model, agent = changes()
    norm = reference.global_norm(model)
    assert norm > 1.0
    clipped_model, own_agent = changes(max_norm=0.5, policy_rate=0.1)
    assert_scaled(clipped_model, model, 0.5 / norm)
    assert_scaled(own_agent, agent, 0.1)


def test_a_shared_optimizer_clips_model_and_agent_together():
    model, agent = changes()
    norm = reference.global_norm([*model, *agent])
    clipped_model, clipped_agent = changes(max_norm=0.5)
    assert_scaled(clipped_model, model, 0.5 / norm)
    assert_scaled(clipped_agent, agent, 0.5 / norm)


def test_entropy_weight_is_annealed_by_training_steps():
    signal = PolicySignal(
        policy_weight=0.0,
        entropy_weight=0.9,
        final_entropy_weight=0.1,
        entropy_steps=4,
    )
    trainer = greedy_trainer(signal)
    right = small_models.oracle(FIRST[0])
    task = small_models.nll(right["logits"], FIRST[1]).sum(1).mean()
    entropy = right["entropy"].sum(1).mean()
    assert entropy > 1.0
    for weight in (0.9, 0.7, 0.5, 0.3, 0.1, 0.1):
        # Measuring does not count as a step.
        for method in (trainer.test_on_batch, trainer.train_on_batch):
            trainer.carried.reset()
            loss = method(*FIRST)
            found = (task - loss) / entropy
            np.testing.assert_allclose(found, weight, atol=1e-4)


def learner(**options):
    return small_models.trainer(
        small_models.build(dropout=0.0),
        PolicySignal(**options),
        GroupedOptimizer(
            keras.optimizers.SGD(0.5), keras.optimizers.Adam(1e-2), max_norm=5.0
        ),
        graph=True,
    )


def test_a_repeated_text_is_learned():
    trainer = learner(baseline="leave_one_out", num_rollouts=2)
    tokens = np.tile([1, 4, 2, 9, 7], 60)
    steps = []
    first = training.train_epoch(
        trainer, tokens, STEPS, on_step=lambda *step: steps.append(step)
    )
    # 300 tokens are 2 streams of 150: 21 segments of 7.
    assert first["steps"] == 21
    assert [step[:2] for step in steps] == [(n, 21) for n in range(1, 22)]
    assert steps[-1][2] < 0.3 * steps[0][2]
    second = training.train_epoch(trainer, tokens, STEPS)
    assert second["perplexity"] < 1.5 < first["perplexity"]
    found = evaluation.score(trainer.language_model, tokens)
    assert math.exp(found["nll"].mean()) < 1.5


def test_an_epoch_starts_from_reset_states_and_may_end_early():
    trainer = greedy_trainer()
    tokens = small_models.text(2 * (5 * STEPS + 1))
    found = [
        training.train_epoch(trainer, tokens, STEPS, max_steps=3)
        for _ in range(2)
    ]
    assert [epoch["steps"] for epoch in found] == [3, 3]
    assert found[0]["perplexity"] == found[1]["perplexity"]
    rows = tokens.reshape(2, -1)
    right = small_models.oracle(rows[:, : 3 * STEPS])
    nll = small_models.nll(right["logits"], rows[:, 1 : 3 * STEPS + 1])
    np.testing.assert_allclose(
        found[0]["perplexity"], np.exp(nll.mean()), rtol=1e-4
    )
    rate = 3 * 2 * STEPS / found[0]["seconds"]
    assert found[0]["tokens_per_second"] == pytest.approx(rate)


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_diverged_loss_ends_the_epoch(value):
    """NaN; or infinite, where the words to come have probability 0."""
    trainer = greedy_trainer()
    bias = trainer.language_model.softmax_bias
    seen = []

    def spoil(step, steps, loss):
        seen.append(step)
        if step == 2:
            bias.assign([0.0] + [value] * (WORDS - 1))

    tokens = small_models.text(2 * (5 * STEPS + 1))
    with pytest.raises(
        training.DivergedError, match=f"loss={abs(value)} at step 3"
    ):
        training.train_epoch(trainer, tokens, STEPS, on_step=spoil)
    assert seen == [1, 2]


def test_statistics_are_means_since_they_were_last_read():
    trainer = greedy_trainer(PolicySignal())
    nll, entropy, look_back, states = [], [], [], None
    for x, y in (FIRST, SECOND):
        trainer.train_on_batch(x, y)
        right = small_models.oracle(x, states)
        states = right["states"]
        nll.append(small_models.nll(right["logits"], y))
        entropy.append(right["entropy"])
        look_back.append(right["look_back"])
    found = trainer.read_statistics()
    np.testing.assert_allclose(
        found["perplexity"], np.exp(np.mean(nll)), rtol=1e-4
    )
    np.testing.assert_allclose(found["entropy"], np.mean(entropy), rtol=1e-4)
    taken = [np.mean(np.array(look_back) == k + 1) for k in range(ACTIONS)]
    assert min(taken) > 0.0
    np.testing.assert_allclose(found["histogram"], taken, atol=1e-6)
    trainer.carried.reset()
    trainer.train_on_batch(*FIRST)
    anew = trainer.read_statistics()
    np.testing.assert_allclose(
        anew["perplexity"], np.exp(np.mean(nll[0])), rtol=1e-4
    )
    np.testing.assert_allclose(anew["entropy"], entropy[0].mean(), rtol=1e-4)


def test_statistics_of_a_plain_model():
    trainer = small_models.trainer(small_models.build(num_actions=1))
    trainer.train_on_batch(*FIRST)
    found = trainer.read_statistics()
    right = small_models.oracle(FIRST[0], num_actions=1)
    nll = small_models.nll(right["logits"], FIRST[1])
    np.testing.assert_allclose(
        found["perplexity"], np.exp(nll.mean()), rtol=1e-4
    )
    assert found["entropy"] == 0.0


TEXT = small_models.text(24, seed=9)


def single_pass(rows, **options):
    """The oracle in one pass over `(streams, n)`."""
    right = small_models.oracle(rows[:, :-1], **options)
    return small_models.nll(right["logits"], rows[:, 1:]), right


@pytest.mark.parametrize("segment", [5, 100])
def test_score_does_not_depend_on_the_segment(segment):
    model = small_models.build(dropout=0.5)
    found = evaluation.score(model, TEXT, segment=segment)
    right, record = single_pass(TEXT[None])
    assert found["nll"].shape == found["look_back"].shape == (1, 1, 23)
    assert found["nll"].dtype == np.float64
    np.testing.assert_allclose(found["nll"][0], right, atol=1e-4)
    np.testing.assert_array_equal(found["look_back"][0], record["look_back"])


def test_score_of_several_streams_with_whole_segments():
    # 24 tokens are 3 streams of 8: 7 targets each, 2 segments of 3.
    found = evaluation.score(
        small_models.build(),
        TEXT,
        num_streams=3,
        segment=3,
        whole_segments=True,
    )
    right, record = single_pass(TEXT.reshape(3, 8)[:, :7])
    assert found["nll"].shape == (1, 3, 6)
    np.testing.assert_allclose(found["nll"][0], right, atol=1e-4)
    np.testing.assert_array_equal(found["look_back"][0], record["look_back"])


def test_score_without_the_buffer_starts_each_segment_with_h_and_c():
    found = evaluation.score(
        small_models.build(), TEXT, segment=6, keep_buffer=False
    )
    states, right, look_back = None, [], []
    for start in range(0, 23, 6):
        part = TEXT[None, start : min(start + 7, 24)]
        nll, record = single_pass(part, states=states)
        right.append(nll)
        look_back.append(record["look_back"])
        last = record["states"]
        states = [*last[:4], *(np.zeros_like(state) for state in last[4:])]
    right, look_back = (np.concatenate(x, 1) for x in (right, look_back))
    np.testing.assert_allclose(found["nll"][0], right, atol=1e-4)
    np.testing.assert_array_equal(found["look_back"][0], look_back)
    assert np.any(single_pass(TEXT[None])[1]["look_back"] != look_back)


def test_copies_draw_actions_of_their_own():
    model = small_models.build()
    greedy = evaluation.score(model, TEXT, num_streams=2, copies=3)
    assert greedy["nll"].shape == (3, 2, 11)
    right, record = single_pass(TEXT.reshape(2, 12))
    for copy in range(3):
        np.testing.assert_allclose(greedy["nll"][copy], right, atol=1e-4)
        np.testing.assert_array_equal(
            greedy["look_back"][copy], record["look_back"]
        )
    drawn = evaluation.score(
        model, TEXT, num_streams=2, copies=3, action_selection="sampled"
    )
    for copy in range(3):
        look_back = drawn["look_back"][copy]
        assert np.any(look_back != drawn["look_back"][copy - 1])
        right, _ = single_pass(TEXT.reshape(2, 12), look_back=look_back)
        np.testing.assert_allclose(drawn["nll"][copy], right, atol=1e-4)


def test_score_leaves_the_model_and_its_training_alone():
    trainer = greedy_trainer()
    trainer.train_on_batch(*FIRST)
    before = carried(trainer)
    weights = trainer.language_model.get_weights()
    evaluation.score(trainer.language_model, TEXT)
    for left, right in zip(carried(trainer), before, strict=True):
        np.testing.assert_array_equal(left, right)
    after = trainer.language_model.get_weights()
    for left, right in zip(after, weights, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("length", "batched"), [(73_760, 73_500), (82_430, 81_900)]
)
def test_how_many_tokens_the_published_protocol_scores(length, batched):
    """Validation and test text of the Penn Treebank."""
    layer = dsl.LSTM(1, return_sequences=True, return_state=True)
    model = dsl.LanguageModel(2, [layer], embedding_units=1)
    model.build((1, 1))
    tokens = np.arange(length) % 2
    found = evaluation.score(
        model, tokens, num_streams=20, segment=35, whole_segments=True
    )
    assert found["nll"].size == batched
    assert not found["look_back"].any()
    rows = streams.batch(tokens, 20)
    assert streams.count_segments(rows, 35) * 20 * 35 == batched


def rates(schedule, perplexities):
    """The rate of each epoch."""
    found = []
    for perplexity in perplexities:
        found.append(schedule.rate)
        schedule.finish_epoch(perplexity)
    return found


def test_rates_of_zaremba_small():
    schedule = schedules.Schedule(rate=1.0, factor=0.5, constant_epochs=4)
    found = rates(schedule, range(500, 513))
    assert found[:4] == [1.0] * 4
    np.testing.assert_allclose(found[4:], 0.5 ** np.arange(1, 10))


def test_rates_of_zaremba_medium():
    schedule = schedules.Schedule(rate=1.0, factor=1 / 1.2, constant_epochs=6)
    found = rates(schedule, [100.0] * 39)
    assert found[:6] == [1.0] * 6
    np.testing.assert_allclose(found[6:], 1.2 ** -np.arange(1.0, 34.0))


@pytest.mark.parametrize(
    ("factor", "constant", "last", "expected"),
    [(0.5, 4, 13, 0.5**9), (1 / 1.2, 6, 39, 1.2**-33)],
)
def test_fixed_decay(factor, constant, last, expected):
    found = [
        schedules.fixed_decay(
            2.0, epoch, factor=factor, constant_epochs=constant
        )
        for epoch in range(1, last + 1)
    ]
    assert found[:constant] == [2.0] * constant
    assert found[constant] == pytest.approx(2.0 * factor)
    assert found[-1] == pytest.approx(2.0 * expected)


def test_rates_that_wait_for_the_validation():
    schedule = schedules.Schedule(rate=1.0, factor=0.5, margin=1.0, floor=0.2)
    perplexities = [
        200.0,  # the first epoch sets the reference
        190.0,  # better by enough
        189.5,  # better by too little: decays, and 190 stays the reference
        189.0,  # better than 190 by just enough
        188.5,  # slow improvement decays
        188.2,  # still against 189: decays to the floor
        188.1,  # stays there
        150.0,
        400.0,
    ]
    found = rates(schedule, perplexities)
    expected = [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.2, 0.2, 0.2]
    np.testing.assert_allclose(found, expected)
    assert schedule.reference == 150.0 and schedule.epoch == 9


def test_conditional_decay_never_raises_the_rate():
    decay = dict(factor=0.5, margin=1.0, floor=0.005)
    assert schedules.conditional_decay(1.0, 90.0, None, **decay) == (1.0, 90.0)
    assert schedules.conditional_decay(1.0, 89.0, 90.0, **decay) == (1.0, 89.0)
    assert schedules.conditional_decay(1.0, 89.1, 90.0, **decay) == (0.5, 90.0)
    assert schedules.conditional_decay(0.006, 95.0, 90.0, **decay)[0] == 0.005
    assert schedules.conditional_decay(0.001, 95.0, 90.0, **decay)[0] == 0.001
