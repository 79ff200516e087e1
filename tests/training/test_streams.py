"""Training on streams, against loops over NumPy."""

import functools

import cases
import keras
import numpy as np
import pytest
import reference
import small_models
from gradients import gradients
from keras import ops
from small_models import ACTIONS, BATCH, STEPS

from dsl.models import cross_entropy
from dsl.policy import choosing
from dsl.policy.acting import Acting
from dsl.policy.signal import PolicySignal
from dsl.training.optimizers import GroupedOptimizer, is_policy

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


def test_a_plain_model_predicts_too():
    trainer = small_models.trainer(small_models.build(num_actions=1))
    found = trainer.predict_on_batch(FIRST[0])
    assert found["logits"].shape == (BATCH, STEPS, small_models.WORDS)


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


@pytest.mark.parametrize("reward", ["log_likelihood", "correct"])
def test_words_are_learned_from_the_task_rollouts_alone(reward):
    """The others reach the agent, and nothing else."""
    ((x, _),) = small_models.batches(1, steps=30)
    x = ops.array(x)

    def build(**options):
        signal = PolicySignal(
            num_rollouts=2, baseline="leave_one_out", reward=reward
        )
        return small_models.trainer(small_models.build(), signal, **options)

    def found(**options):
        trainer = build(**options)
        variables = trainer.language_model.trainable_variables

        def loss():
            outputs = trainer(x, training=True)
            return trainer.compute_loss(x, y, outputs, training=True)

        return gradients(loss, variables)[1]

    _, outputs = run(build(), (x, x))  # the same draws
    look_back = np.split(outputs["policy"]["look_back"], 2)
    assert np.any(look_back[0] != look_back[1])
    # What the first rollout predicts, and the second not everywhere.
    y = ops.array(outputs["logits"][:BATCH].argmax(axis=-1).astype("int32"))
    model = small_models.build()

    def of_the_first():
        logits = model(x, acting=Acting(look_back=look_back[0]))["logits"]
        return ops.mean(ops.sum(cross_entropy.token_nll(logits, y), axis=-1))

    _, expected, _ = gradients(of_the_first, model.trainable_variables)
    one, both = found(task_rollouts=1), found()
    for n, variable in enumerate(model.trainable_variables):
        right = expected[n]
        if is_policy(variable):
            right = both[n]
            assert np.abs(right).max() > 1e-3
        else:
            assert np.abs(both[n] - right).max() > 1e-4
        np.testing.assert_allclose(one[n], right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("signal", "options"),
    [
        (None, {}),
        ({"num_rollouts": 2, "baseline": "leave_one_out"}, {}),
        ({"num_rollouts": 3, "baseline": "batch_mean"}, {"task_rollouts": 2}),
        ({"estimator": "straight_through"}, {}),
    ],
    ids=["no signal", "rollouts", "task rollouts", "straight-through"],
)
def test_logits_in_blocks_change_nothing(signal, options):
    x, y = (ops.array(part) for part in FIRST)

    def found(**more):
        estimator = (signal or {}).get("estimator", "reinforce")
        model = small_models.build(estimator=estimator)
        made = signal and PolicySignal(**signal)
        trainer = small_models.trainer(model, made, **options, **more)
        seen = []

        def loss():
            outputs = trainer(x, training=True)
            seen.extend(outputs)
            return trainer.compute_loss(x, y, outputs, training=True)

        variables = trainer.trainable_variables
        value, derivatives, _ = gradients(loss, variables)
        return value, derivatives, seen

    value, derivatives, seen = found(most_logits=5 * small_models.WORDS)
    expected, right, whole = found()
    assert "hidden" in seen and "logits" not in seen
    assert "logits" in whole and "hidden" not in whole
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for one, other in zip(derivatives, right, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_blocks_train_and_count_as_whole_segments_do():
    def made(**options):
        optimizer = GroupedOptimizer(keras.optimizers.SGD(0.5))
        return greedy_trainer(None, optimizer, **options)

    trainers = [made(), made(most_logits=30, graph=True)]
    for batch in (FIRST, SECOND):
        losses = [trainer.train_on_batch(*batch) for trainer in trainers]
        np.testing.assert_allclose(*losses, rtol=1e-5)
    whole, blocked = (one.read_statistics() for one in trainers)
    assert whole["perplexity"] == pytest.approx(blocked["perplexity"], 1e-5)
    losses = [
        trainer.compute_loss(None, FIRST[1], trainer(FIRST[0]), training=False)
        for trainer in trainers
    ]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_a_reward_that_needs_all_logits_has_them():
    signal = PolicySignal(reward="correct")
    trainer = greedy_trainer(signal, most_logits=1)
    _, outputs = run(trainer, FIRST)
    assert "logits" in outputs


def test_task_rollouts_are_some_of_the_rollouts():
    with pytest.raises(ValueError, match="task_rollouts=3 of 2"):
        greedy_trainer(PolicySignal(num_rollouts=2), task_rollouts=3)


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
        greedy = Acting(action_selection="greedy")
        logits = model(x, states=states, acting=greedy)["logits"]
        return ops.mean(ops.sum(cross_entropy.token_nll(logits, y), axis=-1))

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


@pytest.mark.parametrize(
    "options",
    [
        {"baseline": "value"},
        pytest.param(
            {"baseline": "leave_one_out", "num_rollouts": 2},
            marks=pytest.mark.backend,
        ),
    ],
    ids=lambda options: options["baseline"],
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
    trainer.begin_epoch()
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


def test_statistics_are_means_over_the_epoch_so_far():
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
    # Reading them moves nothing.
    assert trainer.read_statistics() == found
    trainer.begin_epoch()
    assert not cases.to_numpy(trainer.statistics).any()
    assert not any(state.any() for state in carried(trainer))
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


# Distances that are not the agent's to choose.


def adam():
    return GroupedOptimizer(
        keras.optimizers.SGD(0.5), keras.optimizers.Adam(0.05), max_norm=5.0
    )


def of_the_agent(trainer):
    """Its weights, and what its optimizer remembers of each."""
    found = [v for v in trainer.trainable_variables if is_policy(v)]
    adam = trainer.optimizer.policy_optimizer
    if adam is not None:
        found += [v for v in adam.variables if len(v.shape)]
    return [cases.to_numpy(variable) for variable in found]


def of_the_model(trainer):
    variables = trainer.trainable_variables
    return [cases.to_numpy(v) for v in variables if not is_policy(v)]


def moved(before, after):
    return [
        not np.array_equal(left, right)
        for left, right in zip(before, after, strict=True)
    ]


def test_random_distances_take_the_place_of_the_agents():
    shares = [0.5, 0.0, 1.5]
    trainer = small_models.trainer(
        small_models.build(dropout=0.3),
        optimizer=GroupedOptimizer(keras.optimizers.SGD(0.5)),
        look_back_shares=shares,
        seed=11,
    )
    agent, model = of_the_agent(trainer), of_the_model(trainer)
    seed = keras.random.SeedGenerator(11)
    shape, taken = (BATCH, STEPS), np.zeros(ACTIONS)
    for count, batch in enumerate(small_models.batches(4), 1):
        trainer.train_on_batch(*batch)
        drawn = choosing.random_look_back(shares, shape, seed)
        drawn = cases.to_numpy(drawn)
        if count == 1:
            # Distances beyond the start of the text are those of step 1.
            drawn = np.where(drawn > np.arange(STEPS), 1, drawn)
        taken += [np.mean(drawn == k + 1) for k in range(ACTIONS)]
        np.testing.assert_allclose(
            trainer.read_statistics()["histogram"], taken / count, atol=1e-6
        )
    assert taken[1] == 0.0 and taken[2] > taken[0] > 0.0
    assert not any(moved(agent, of_the_agent(trainer)))
    assert all(moved(model, of_the_model(trainer)))
    # Scoring a batch is greedy, as ever.
    states = carried(trainer)
    trained = trainer.language_model.get_weights()
    loss = trainer.test_on_batch(*FIRST)
    other = small_models.trainer(small_models.build())
    other.language_model.set_weights(trained)
    for variable, value in zip(other.carried.states, states, strict=True):
        variable.assign(value)
    np.testing.assert_allclose(loss, other.test_on_batch(*FIRST), rtol=1e-5)


def test_random_distances_at_a_share_of_the_steps():
    """The same ones in all rollouts; the agent learns from the others."""
    shares, share = [0.5, 0.0, 1.5], 0.4
    trainer = small_models.trainer(
        small_models.build(),
        PolicySignal(baseline="leave_one_out", num_rollouts=2),
        adam(),
        look_back_shares=shares,
        random_share=share,
        seed=12,
    )
    agent, seed = of_the_agent(trainer), keras.random.SeedGenerator(12)
    own, differ = [], 0
    for batch in small_models.batches(6):
        _, outputs = run(trainer, batch)
        drawn = cases.to_numpy(
            choosing.random_look_back(shares, (BATCH, STEPS), seed)
        )
        uniform = cases.to_numpy(
            keras.random.uniform((BATCH, STEPS), seed=seed)
        )
        drawn = np.tile(np.where(uniform < share, drawn, 0), (2, 1))
        np.testing.assert_array_equal(outputs["free"], drawn == 0)
        taken = np.array(outputs["policy"]["look_back"])
        # At the start of the text not all distances are there to be taken.
        imposed = (drawn > 0) & (drawn <= np.arange(STEPS))
        np.testing.assert_array_equal(taken[imposed], drawn[imposed])
        own.append(np.mean(drawn == 0))
        first, second = np.split(np.where(drawn == 0, taken, 0), 2)
        differ += np.sum(first != second)
    assert 0.4 < np.mean(own) < 0.8 and differ > 0
    trainer.train_on_batch(*FIRST)
    assert all(moved(agent, of_the_agent(trainer)))


def test_random_distances_wait_for_the_start_of_the_policy():
    trainer = small_models.trainer(
        small_models.build(),
        PolicySignal(),
        look_back_shares=[0.0, 1.0, 1.0],
        random_share=0.5,
        policy_start=1,
    )
    free = []
    for batch in (FIRST, SECOND):
        _, outputs = run(trainer, batch)
        free.append(np.mean(outputs["free"]))
        if len(free) == 1:
            assert np.all(np.array(outputs["policy"]["look_back"]) == 1)
    assert free[0] == 0.0 < free[1] < 1.0


def test_the_share_of_random_distances_is_checked():
    with pytest.raises(ValueError, match="share of steps.*1.5"):
        small_models.trainer(small_models.build(), random_share=1.5)


def test_the_previous_state_alone_is_the_plain_lstm():
    """Outputs, gradients and the steps that follow."""
    weights = small_models.random_weights()
    plain = {
        **weights,
        "upper": {
            name: value
            for name, value in weights["upper"].items()
            if "policy" not in name
        },
    }
    losses, ends = [], []
    for actions, these, options in (
        (ACTIONS, weights, {"look_back_shares": [1, 0, 0]}),
        (1, plain, {}),
    ):
        trainer = small_models.trainer(
            small_models.build(these, actions, skip_weight=1.0),
            optimizer=GroupedOptimizer(keras.optimizers.SGD(0.5)),
            **options,
        )
        losses.append([trainer.train_on_batch(*x) for x in (FIRST, SECOND)])
        ends.append([*of_the_model(trainer), *carried(trainer)[:4]])
    np.testing.assert_allclose(*losses, rtol=1e-6)
    for left, right in zip(*ends, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


LATE = [
    dict(baseline="value", value_units=3),
    dict(baseline="leave_one_out", num_rollouts=2, entropy_weight=0.5),
    dict(estimator="straight_through", entropy_weight=0.5),
]


@pytest.mark.parametrize("options", LATE, ids=str)
def test_a_late_agent_neither_chooses_nor_learns_before_its_time(options):
    estimator = options.get("estimator", "reinforce")
    trainer = small_models.trainer(
        small_models.build(estimator=estimator),
        PolicySignal(**options),
        adam(),
        policy_start=2,
    )
    before, model = of_the_agent(trainer), of_the_model(trainer)
    batches = small_models.batches(4)
    for batch in batches[:2]:
        # Measuring is no update.
        trainer.test_on_batch(*batch)
        trainer.train_on_batch(*batch)
        histogram = trainer.read_statistics()["histogram"]
        np.testing.assert_allclose(histogram, [1.0, 0.0, 0.0], atol=1e-6)
    assert not any(moved(before, of_the_agent(trainer)))
    assert all(moved(model, of_the_model(trainer)))
    trainer.begin_epoch()
    trainer.train_on_batch(*batches[2])
    assert trainer.read_statistics()["histogram"][0] < 0.9
    assert all(moved(before, of_the_agent(trainer)))


def test_a_late_agent_trains_the_model_as_the_previous_state_would():
    """What its loss adds before its time is exactly nothing."""
    ends = []
    for signal, options in (
        (PolicySignal(baseline="batch_mean"), {"policy_start": 2}),
        (None, {"look_back_shares": [1, 0, 0]}),
    ):
        trainer = small_models.trainer(
            small_models.build(), signal, adam(), **options
        )
        for batch in (FIRST, SECOND):
            trainer.train_on_batch(*batch)
        ends.append(of_the_model(trainer))
    for left, right in zip(*ends, strict=True):
        np.testing.assert_array_equal(left, right)


def test_steps_that_the_agent_did_not_choose_teach_it_nothing():
    trainer = small_models.trainer(
        small_models.build(), PolicySignal(num_rollouts=2), policy_start=1
    )
    free = []
    for batch in (FIRST, SECOND):
        _, outputs = run(trainer, batch)
        free.append(outputs["free"])
    for found, value in zip(free, (0.0, 1.0), strict=True):
        np.testing.assert_array_equal(found, np.full((2 * BATCH, STEPS), value))
    without = greedy_trainer(PolicySignal())
    assert "free" not in run(without, FIRST)[1]


def test_the_running_mean_of_a_late_agent_starts_with_its_first_returns():
    signal = PolicySignal(baseline="running_mean", discount=0.0)
    trainer = small_models.trainer(small_models.build(), signal, policy_start=1)
    run(trainer, FIRST)
    states = carried(trainer)
    _, outputs = run(trainer, SECOND)
    right = small_models.oracle(
        SECOND[0], states, look_back=outputs["policy"]["look_back"]
    )
    nll = small_models.nll(right["logits"], SECOND[1])
    np.testing.assert_allclose(
        cases.to_numpy(signal.mean_t), -nll.mean(0), rtol=1e-4
    )
