"""One reward at the end of a sequence, and whose choices earned it."""

import cases
import numpy as np
import pytest
import reference
from gradients import gradients
from keras import ops

from dsl.policy import credit, gradient
from dsl.policy.signal import PolicySignal

STEPS, NUM_ACTIONS = 4, 2
SEQUENCES = reference.all_look_backs(STEPS, NUM_ACTIONS)
STATE = cases.random_state(NUM_ACTIONS, 81, counts=(9,))
INPUTS = cases.random_inputs(82, batch=1, steps=STEPS)


def path_of(look_back):
    """Steps through which the last state is reached, by walking back."""
    weight, at = np.zeros(len(look_back)), len(look_back) - 1
    while at >= 0:
        weight[at] = 1.0
        if look_back[at] == 0:
            break
        at -= look_back[at]
    return weight


def test_the_path_leads_back_from_the_end():
    rng = np.random.default_rng(0)
    look_back = rng.integers(1, 6, (50, 9))
    look_back[:5, 3] = 0  # a masked step
    found = cases.to_numpy(credit.path_weight(ops.array(look_back)))
    expected = [path_of(row) for row in look_back]
    assert 0.2 < np.mean(expected) < 0.8
    np.testing.assert_array_equal(found, expected)


def test_choices_off_the_path_are_noise_alone():
    """Where the policy sees the inputs alone, path credit is exact.

    lambda is 1: what the last state is depends on its path and on no other
    choice. The gradient of E[R] by enumeration of all sequences.
    """
    weights = cases.random_weights(NUM_ACTIONS, seed=80)
    weights["policy_kernel"][cases.FEATURES :] = 0.0
    count = len(SEQUENCES)
    oracle = reference.dynamic_skip_lstm(
        np.repeat(INPUTS, count, axis=0),
        weights,
        tuple(np.repeat(part, count, axis=0) for part in STATE),
        num_actions=NUM_ACTIONS,
        skip_weight=1.0,
        look_back=SEQUENCES,
    )
    rewards = 20.0 * oracle["outputs"][:, -1, 0]
    pi = np.exp(oracle["log_prob"].sum(axis=1))
    np.testing.assert_allclose(pi.sum(), 1.0, rtol=1e-9)
    layer = cases.dynamic(
        NUM_ACTIONS, weights, skip_weight=1.0, dtype=cases.EXACT_DTYPE
    )
    variables = [v for v in layer.trainable_variables if "policy" in v.name]

    def chosen():
        return layer(
            ops.array(np.repeat(INPUTS, count, axis=0)),
            initial_state=[ops.array(np.repeat(x, count, 0)) for x in STATE],
            look_back=ops.array(SEQUENCES.astype("int32")),
        )[-1]

    def exactly():
        log_prob = ops.cast(chosen()["log_prob"], cases.EXACT_DTYPE)
        return -ops.sum(ops.exp(ops.sum(log_prob, 1)) * ops.array(rewards))

    def along(weight):
        def loss():
            found = chosen()
            path = credit.path_weight(found["look_back"])
            path = path if weight is None else weight * ops.ones_like(path)
            return gradient.reinforce_loss(
                ops.cast(found["log_prob"], cases.EXACT_DTYPE),
                ops.array(np.repeat(rewards[:, None], STEPS, 1)),
                ops.cast(path, cases.EXACT_DTYPE)
                * ops.array(count * pi[:, None]),
            )

        return loss

    _, expected, _ = gradients(exactly, variables)
    for weight in (None, 1.0):
        _, found, _ = gradients(along(weight), variables)
        for variable, left, right in zip(
            variables, found, expected, strict=True
        ):
            np.testing.assert_allclose(
                left, right, atol=cases.EXACT, err_msg=variable.name
            )
    assert max(np.abs(right).max() for right in expected) > 0.05


def test_rewards_at_the_end_are_zeros_before():
    found = credit.at_end(ops.array([[3.0, 4.0], [5.0, 6.0]]), 4)
    np.testing.assert_array_equal(found, [[0, 0, 3, 4], [0, 0, 5, 6]])
    whole = ops.array([[1.0, 2.0]])
    np.testing.assert_array_equal(credit.at_end(whole, 2), whole)


@pytest.mark.parametrize("offset", [0.0, 0.3, 1.0])
def test_an_offset_damps_the_score(offset):
    """The gradient shrinks by pi / (pi + offset)."""
    log_prob = ops.array(np.log([[0.9, 0.1, 0.5]]))
    point = cases.cast([cases.to_numpy(log_prob)], cases.EXACT_DTYPE)
    value, _, (found,) = gradients(
        lambda x: ops.sum(gradient.offset_log_prob(x, offset)), [], point
    )
    pi = np.array([0.9, 0.1, 0.5])
    np.testing.assert_allclose(value, np.log(pi + offset).sum(), rtol=1e-5)
    np.testing.assert_allclose(found[0], pi / (pi + offset), rtol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("reward", ["log_likelihood", "correct"])
@pytest.mark.parametrize("kind", ["all", "path"])
def test_the_signal_of_an_episode(reward, kind):
    """-mean over rows of sum over credited t of log(pi + eps) (R - b)."""
    rng = np.random.default_rng(9)
    nll = rng.uniform(0.1, 3.0, (3, 1))
    correct = np.array([[True], [False], [True]])
    shape = (3, STEPS)
    chosen = {
        "log_prob": np.log(rng.uniform(0.1, 0.9, shape)),
        "entropy": np.zeros(shape),
        "look_back": rng.integers(1, 4, shape).astype("int32"),
    }
    signal = PolicySignal(
        reward=reward,
        baseline="batch_mean",
        credit=kind,
        probability_offset=0.5,
        policy_weight=0.1,
    )
    signal.build(shape)
    found = signal(
        ops.array(nll),
        {key: ops.array(value) for key, value in chosen.items()},
        None,
        correct_t=ops.array(correct),
    )
    earned = -nll if reward == "log_likelihood" else 2.0 * correct - 1.0
    earned = earned - earned.mean()
    path = [path_of(row) for row in chosen["look_back"]]
    weight = np.array(path) if kind == "path" else 1.0
    score = weight * np.log(np.exp(chosen["log_prob"]) + 0.5)
    np.testing.assert_allclose(
        found, -0.1 * (score * earned).sum(1).mean(), rtol=1e-5
    )


def test_an_unknown_credit_is_named():
    with pytest.raises(ValueError, match="credit.*Received: credit='some'"):
        PolicySignal(credit="some")
