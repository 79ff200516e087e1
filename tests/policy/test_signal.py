"""REINFORCE against the exact gradient, all action sequences enumerated.

The dynamic skip LSTM starts from a filled buffer: with empty slots masked,
the first two steps of a sequence have nothing to choose.
"""

import functools

import cases
import keras
import numpy as np
import pytest
import reference
from gradients import gradients
from keras import ops

from dsl.policy import gradient
from dsl.policy.signal import PolicySignal

STEPS, NUM_ACTIONS, BETA = 3, 2, 0.7
TOLERANCE = {"float32": 2e-5, "float64": 2e-6}[cases.EXACT_DTYPE]
SEQUENCES = reference.all_look_backs(STEPS, NUM_ACTIONS)
WEIGHTS = cases.random_weights(NUM_ACTIONS, seed=70)
STATE = cases.random_state(NUM_ACTIONS, 71, counts=(9,))
INPUTS = cases.random_inputs(72, batch=1, steps=STEPS)
TARGETS = np.array([2, 0, 1])
HEAD = np.random.default_rng(73).normal(size=(cases.UNITS, 3))


def rows(value, count):
    return np.repeat(value, count, axis=0)


def oracle(weights, look_back, observations=None):
    """The oracle's result for one row a sequence of distances."""
    count = len(look_back)
    return reference.dynamic_skip_lstm(
        rows(INPUTS, count),
        weights,
        tuple(rows(part, count) for part in STATE),
        num_actions=NUM_ACTIONS,
        skip_weight=0.3,
        look_back=look_back,
        observations=observations,
    )


def rewards(outputs):
    """r_t = log p(y_t), from a fixed softmax over the outputs."""
    r_t = np.zeros(outputs.shape[:2])
    for b, t in np.ndindex(*r_t.shape):
        log_p = reference.log_softmax(outputs[b, t] @ HEAD)
        r_t[b, t] = log_p[TARGETS[t]]
    return r_t


ORACLE = oracle(WEIGHTS, SEQUENCES)
R_T = 4.0 * rewards(ORACLE["outputs"])
G_T = reference.rewards_to_go(R_T)
PI = np.exp(ORACLE["log_prob"].sum(axis=1))


@functools.cache
def exact(entropy_weight=0.0):
    """d/d theta of E[R] + beta H, by enumeration and difference quotients.

    What a sequence of actions leads to does not depend on the policy.
    """

    def objective(weights):
        now = oracle(weights, SEQUENCES, ORACLE["observations"])
        return reference.expected_return(
            now["log_prob"], R_T.sum(axis=1), entropy_weight
        )

    return reference.policy_gradient(objective, WEIGHTS)


def by_layer(loss, look_back=SEQUENCES):
    """Gradients of a loss on the layer's policy, by name of the weight.

    Args:
        loss: Function of the policy's dictionary.
        look_back: Forced distances, one row a sequence.
    """
    layer = cases.dynamic(NUM_ACTIONS, WEIGHTS, dtype=cases.EXACT_DTYPE)
    count = len(look_back)

    def function():
        *_, chosen = layer(
            ops.array(rows(INPUTS, count)),
            initial_state=[ops.array(rows(part, count)) for part in STATE],
            look_back=ops.array(look_back.astype("int32")),
        )
        return loss(
            {
                name: ops.cast(value, cases.EXACT_DTYPE)
                for name, value in chosen.items()
            }
        )

    variables = layer.trainable_variables
    _, found, _ = gradients(function, variables)
    names = [variable.name for variable in variables]
    return dict(zip(names, found, strict=True))


def assert_policy_gradient(found, expected, factor=1.0):
    """`found` is that of a loss, and descends where `expected` ascends."""
    for name in reference.LSTM_WEIGHTS:
        np.testing.assert_array_equal(found[name], 0.0 * found[name])
    for name in reference.POLICY_WEIGHTS:
        assert np.abs(expected[name]).max() > 1e-3
        np.testing.assert_allclose(
            -found[name],
            factor * expected[name],
            atol=TOLERANCE,
            err_msg=name,
        )


def surrogate(advantage_t):
    """sum_a pi(a) L(a), L the REINFORCE loss of one sequence."""
    # The loss is a mean over rows: each row weighs pi(a) times their number.
    weight_t = rows(PI[:, None], 1) * len(PI) * np.ones((1, STEPS))

    def loss(chosen):
        return gradient.reinforce_loss(
            chosen["log_prob"], ops.array(advantage_t), ops.array(weight_t)
        )

    return loss


@pytest.mark.backend
def test_the_probabilities_of_all_sequences_sum_to_one():
    assert len(PI) == NUM_ACTIONS**STEPS
    np.testing.assert_allclose(PI.sum(), 1.0, rtol=1e-12)
    assert PI.min() > 0.01


def test_the_exact_gradient_by_the_framework_is_the_same():
    """d/d theta of sum_a pi(a) R(a), differentiated as it stands."""

    def loss(chosen):
        pi = ops.exp(ops.sum(chosen["log_prob"], axis=1))
        return -ops.sum(pi * ops.array(R_T.sum(axis=1)))

    assert_policy_gradient(by_layer(loss), exact())


@pytest.mark.backend
@pytest.mark.parametrize("reward", ["total", "to go"])
def test_reinforce_without_a_baseline(reward):
    """Rewards of the past are noise, and nothing but noise."""
    returns = {"total": R_T.sum(axis=1, keepdims=True) + 0.0 * R_T}
    returns["to go"] = gradient.reward_to_go(ops.array(R_T))
    found = by_layer(surrogate(cases.to_numpy(returns[reward])))
    assert_policy_gradient(found, exact())


@pytest.mark.backend
def test_baselines_leave_the_expectation_unchanged():
    observed = ORACLE["observations"]
    baselines = {
        # Whatever the past batches were: numbers that no action changes.
        "running mean": cases.to_numpy(
            gradient.running_mean(
                ops.array(np.array([0.3, -2.0, 1.0])),
                ops.array(G_T),
                decay=0.9,
            )
        ),
        # Any function of e_t, which no action from t on can change.
        "learned value": np.sin(3.0 * observed.sum(axis=-1)) + observed[..., 7],
    }
    for name, baseline in baselines.items():
        found = by_layer(surrogate(G_T - baseline))
        assert_policy_gradient(found, exact())
        assert np.abs(baseline).max() > 0.1, name


@pytest.mark.backend
def test_a_baseline_that_sees_the_action_changes_it():
    """The check of the checks: this must be noticed."""
    found = by_layer(surrogate(G_T - 0.5 * G_T))
    with pytest.raises(AssertionError):
        assert_policy_gradient(found, exact())


@pytest.mark.backend
@pytest.mark.parametrize("baseline", ["leave one out", "batch mean"])
def test_baselines_from_independent_rollouts(baseline):
    """Two rollouts, all pairs enumerated.

    The mean of the *other* rollout changes nothing. The mean of both contains
    the rollout's own return, which scales the gradient by 1 - 1/2 and leaves
    its direction.
    """
    n = len(PI)
    first, second = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    pairs = np.concatenate([first.ravel(), second.ravel()])  # rollout-major
    returns = G_T[pairs]
    if baseline == "leave one out":
        factor = 1.0
        means = cases.to_numpy(gradient.leave_one_out(ops.array(returns), 2))
    else:
        factor = 0.5
        batches = ops.array(returns.reshape(2, n * n * STEPS))
        means = cases.to_numpy(gradient.batch_mean(batches))
        means = np.concatenate([means, means]).reshape(returns.shape)
    probability = PI[first.ravel()] * PI[second.ravel()]
    weight_t = np.concatenate([probability, probability])[:, None]
    weight_t = n * n * weight_t * np.ones((1, STEPS))

    def loss(chosen):
        return gradient.reinforce_loss(
            ops.take(chosen["log_prob"], ops.array(pairs), axis=0),
            ops.array(returns - means),
            ops.array(weight_t),
        )

    assert_policy_gradient(by_layer(loss), exact(), factor)


@pytest.mark.backend
def test_entropy_of_the_sequence_as_part_of_the_reward():
    """The poster's objective, E[R] + beta H(a_1:T), exactly."""
    reward_t = gradient.soft_reward(
        ops.array(R_T), ops.array(ORACLE["log_prob"]), BETA
    )
    return_t = cases.to_numpy(gradient.reward_to_go(reward_t))
    found = by_layer(surrogate(return_t))
    assert_policy_gradient(found, exact(BETA))
    # The "-1" of the poster's formula is a baseline.
    found = by_layer(surrogate(return_t - BETA))
    assert_policy_gradient(found, exact(BETA))


@pytest.mark.backend
def test_entropy_bonus_needs_the_entropies_to_come():
    """Bonus plus entropies of later steps in the reward is exact too.

    The bonus alone ignores that an action changes later decisions.
    """
    entropy_t = ORACLE["entropy"]
    weight_t = len(PI) * PI[:, None] * np.ones((1, STEPS))
    later = reference.rewards_to_go(entropy_t) - entropy_t

    def total(advantage_t):
        reinforce = surrogate(advantage_t)

        def loss(chosen):
            return reinforce(chosen) - BETA * gradient.entropy_bonus(
                chosen["entropy"], ops.array(weight_t)
            )

        return loss

    found = by_layer(total(G_T + BETA * later))
    assert_policy_gradient(found, exact(BETA))
    with pytest.raises(AssertionError):
        assert_policy_gradient(by_layer(total(G_T)), exact(BETA))


def expected_signal_gradient(signal, **arguments):
    """sum_a pi(a) of the gradient of the signal for one sequence a."""
    total = None
    for index, look_back in enumerate(SEQUENCES):
        nll_t = ops.cast(-R_T[index : index + 1], "float32")
        observed = ORACLE["observations"][index : index + 1]

        def loss(chosen, nll_t=nll_t, observed=observed):
            chosen = {
                name: ops.cast(chosen[name], "float32")
                for name in ("log_prob", "entropy")
            }
            value = signal(
                nll_t, chosen, ops.cast(observed, "float32"), **arguments
            )
            return ops.cast(value, cases.EXACT_DTYPE)

        found = by_layer(loss, look_back[None])
        found = {name: PI[index] * value for name, value in found.items()}
        if total is not None:
            found = {name: total[name] + found[name] for name in found}
        total = found
    return total


@pytest.mark.backend
@pytest.mark.parametrize("baseline", ["none", "running_mean", "value"])
def test_the_signal_follows_the_exact_gradient(baseline):
    signal = PolicySignal(
        baseline=baseline, sequence_entropy_weight=BETA, value_units=7
    )
    signal.build((1, STEPS), (1, STEPS, cases.FEATURES + cases.UNITS))
    signal.built = True
    if baseline == "running_mean":
        signal.mean_t.assign([0.5, -1.0, 2.0])
    found = expected_signal_gradient(signal)
    for name in reference.POLICY_WEIGHTS:
        np.testing.assert_allclose(
            -found[name], exact(BETA)[name], atol=2e-5, err_msg=name
        )


@pytest.mark.backend
def test_the_running_mean_used_is_the_one_before_the_action():
    signal = PolicySignal(baseline="running_mean")
    signal.build((1, STEPS))
    signal.built = True
    signal.mean_t.assign([0.5, -1.0, 2.0])
    log_prob = np.array([[-0.3, -0.6, -0.9]], "float32")
    nll_t = np.array([[1.0, 2.0, 3.0]], "float32")
    chosen = {
        "log_prob": ops.array(log_prob),
        "entropy": ops.zeros((1, STEPS)),
    }
    found = signal(ops.array(nll_t), chosen, None, training=True)
    advantage = np.array([[-6.0, -5.0, -3.0]]) - [[0.5, -1.0, 2.0]]
    np.testing.assert_allclose(
        float(found), -np.sum(log_prob * advantage), rtol=1e-5
    )
    assert np.all(cases.to_numpy(signal.mean_t) != [0.5, -1.0, 2.0])


@pytest.mark.backend
def test_a_shorter_sequence_has_the_last_of_the_running_means():
    signal = PolicySignal(baseline="running_mean")
    signal.build((1, 3))
    signal.built = True
    signal.mean_t.assign([0.5, -1.0, 2.0])
    chosen = {
        "log_prob": ops.array([[-0.3, -0.6]]),
        "entropy": ops.zeros((1, 2)),
    }
    found = signal(ops.array([[1.0, 2.0]]), chosen, None, training=True)
    # Returns -3 and -2.
    assert float(found) == pytest.approx(0.3 * (-3 + 1) + 0.6 * (-2 - 2))
    np.testing.assert_allclose(
        cases.to_numpy(signal.mean_t), [0.5, -1.1, 1.8], rtol=1e-6
    )


def signal_case():
    """nll, log-probabilities, entropies, and which choices are the agent's."""
    rng = np.random.default_rng(74)
    nll_t, entropy_t = rng.uniform(0.1, 2.0, size=(2, 4, 5))
    log_prob_t = -rng.uniform(0.1, 2.0, size=(4, 5))
    weight_t = (np.arange(5) < np.array([[5], [3], [1], [4]])).astype(float)
    return nll_t, log_prob_t, entropy_t, weight_t


def call_signal(signal, nll_t, log_prob_t, entropy_t, weight_t, **arguments):
    if not signal.built:
        signal.build(nll_t.shape)
        signal.built = True
    chosen = {
        "log_prob": ops.cast(log_prob_t, "float32"),
        "entropy": ops.cast(entropy_t, "float32"),
    }
    return float(
        signal(
            ops.cast(nll_t, "float32"),
            chosen,
            None,
            weight_t=ops.cast(weight_t, "float32"),
            **arguments,
        )
    )


@pytest.mark.backend
@pytest.mark.parametrize("reward", ["log_likelihood", "probability"])
def test_the_signal_in_numbers(reward):
    """A step that was not the agent's still pays for the choices before."""
    case = nll_t, log_prob_t, entropy_t, weight_t = signal_case()
    signal = PolicySignal(
        reward=reward,
        discount=0.9,
        policy_weight=0.3,
        entropy_weight=0.2,
        sequence_entropy_weight=0.7,
    )
    r_t = -nll_t if reward == "log_likelihood" else np.exp(-nll_t)
    g_t = reference.rewards_to_go(r_t - 0.7 * log_prob_t * weight_t, 0.9)
    expected = 0.0
    for b, t in np.ndindex(4, 5):
        term = 0.3 * log_prob_t[b, t] * g_t[b, t] + 0.2 * entropy_t[b, t]
        expected -= weight_t[b, t] * term / 4.0
    assert call_signal(signal, *case) == pytest.approx(expected, rel=1e-5)


@pytest.mark.backend
def test_straight_through_needs_no_policy_loss():
    case = _, _, entropy_t, weight_t = signal_case()
    signal = PolicySignal(estimator="straight_through", entropy_weight=0.2)
    expected = -0.2 * np.sum(weight_t * entropy_t) / 4.0
    assert call_signal(signal, *case) == pytest.approx(expected, rel=1e-5)


@pytest.mark.backend
def test_the_entropy_weight_is_annealed_by_training_steps():
    case = _, _, entropy_t, weight_t = signal_case()
    signal = PolicySignal(
        estimator="straight_through",
        entropy_weight=1.0,
        final_entropy_weight=0.0,
        entropy_steps=2,
    )
    unit = -np.sum(weight_t * entropy_t) / 4.0
    call_signal(signal, *case)
    found = [call_signal(signal, *case, training=True) for _ in range(4)]
    assert found == pytest.approx([unit, unit / 2.0, 0.0, 0.0], abs=1e-5)


def test_a_signal_survives_its_configuration():
    signal = PolicySignal(baseline="value", discount=0.5, entropy_weight=0.1)
    config = keras.saving.serialize_keras_object(signal)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == signal.get_config()


@pytest.mark.backend
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"estimator": "ppo"}, "`estimator` must be one of.*'ppo'"),
        ({"reward": "nll"}, "`reward` must be one of.*'nll'"),
        ({"baseline": "critic"}, "`baseline` must be one of.*'critic'"),
        ({"num_rollouts": 0}, "`num_rollouts`"),
        ({"discount": 1.5}, "`discount`.*Received: discount=1.5"),
        ({"baseline": "leave_one_out"}, "at least 2 rollouts.*Received"),
        ({"policy_weight": -1.0}, "`policy_weight`.*policy_weight=-1.0"),
        ({"sequence_entropy_weight": float("nan")}, "weight=nan"),
        ({"probability_offset": -1}, "`probability_offset`.*offset=-1"),
        ({"final_entropy_weight": 0.1}, "`entropy_steps`.*entropy_steps=0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        PolicySignal(**arguments)
