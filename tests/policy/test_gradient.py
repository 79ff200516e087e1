"""Rewards, returns, baselines and losses, each against its equation."""

import cases
import numpy as np
import pytest
import reference
from gradients import gradients
from keras import ops

from dsl import choices
from dsl.policy import gradient


def test_rewards():
    nll_t = np.array([[0.1, 2.0, 0.0]], "float32")
    correct_t = np.array([[True, False, True]])
    found = gradient.reward("log_likelihood", ops.array(nll_t))
    np.testing.assert_allclose(found, -nll_t)
    found = gradient.reward("probability", ops.array(nll_t))
    np.testing.assert_allclose(found, np.exp(-nll_t), rtol=1e-6)
    found = gradient.reward("correct", ops.array(nll_t), ops.array(correct_t))
    np.testing.assert_allclose(found, [[1.0, -1.0, 1.0]])


@pytest.mark.parametrize("kind", sorted({*choices.REWARDS} - {"correct"}))
def test_rewards_carry_no_gradient(kind):
    """That of being correct has none to carry."""

    def loss(nll_t):
        return ops.sum(gradient.reward(kind, nll_t)) + 0.0 * ops.sum(nll_t)

    _, _, (found,) = gradients(loss, [], [np.array([[0.3, 0.4]])])
    np.testing.assert_array_equal(found, np.zeros((1, 2)))


@pytest.mark.parametrize("kind", ["log-likelihood", "correct"])
def test_bad_reward(kind):
    with pytest.raises(ValueError, match="`kind` must be one of"):
        gradient.reward(kind, ops.zeros((2, 3)))


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9, 1.0])
def test_reward_to_go(discount):
    r_t = np.random.default_rng(3).normal(size=(3, 7))
    found = gradient.reward_to_go(ops.array(r_t), discount)
    expected = reference.rewards_to_go(r_t, discount)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_running_mean_starts_with_the_first_batch():
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=(2, 5, 3)).astype("float32")
    baseline = ops.array(np.full(3, np.nan, "float32"))
    baseline = gradient.running_mean(baseline, ops.array(first), decay=0.9)
    np.testing.assert_allclose(baseline, first.mean(axis=0), rtol=1e-5)
    baseline = gradient.running_mean(baseline, ops.array(second), decay=0.9)
    expected = 0.9 * first.mean(axis=0) + 0.1 * second.mean(axis=0)
    np.testing.assert_allclose(baseline, expected, rtol=1e-5, atol=1e-6)


def test_batch_mean():
    return_t = np.random.default_rng(5).normal(size=(4, 3))
    found = cases.to_numpy(gradient.batch_mean(ops.array(return_t)))
    expected = [sum(return_t[b, t] for b in range(4)) / 4.0 for t in range(3)]
    np.testing.assert_allclose(found, [expected], rtol=1e-6)


def test_leave_one_out_is_the_mean_of_the_other_rollouts():
    rollouts, batch, steps = 3, 2, 4
    return_t = np.random.default_rng(6).normal(size=(6, 4))
    found = cases.to_numpy(gradient.leave_one_out(ops.array(return_t), 3))
    for r in range(rollouts):
        for b in range(batch):
            others = [
                return_t[other * batch + b]
                for other in range(rollouts)
                if other != r
            ]
            np.testing.assert_allclose(
                found[r * batch + b], sum(others) / 2.0, rtol=1e-6
            )
    assert found.shape == (rollouts * batch, steps)


def test_leave_one_out_needs_two_rollouts():
    with pytest.raises(ValueError, match="at least 2 rollouts.*Received"):
        gradient.leave_one_out(ops.zeros((2, 3)), 1)


def test_losses_are_sums_over_time_and_means_over_the_batch():
    rng = np.random.default_rng(7)
    log_prob_t, advantage_t, weight_t = rng.normal(size=(3, 4, 5))
    found = [0.0, 0.0, 0.0]
    for b, t in np.ndindex(4, 5):
        weight = weight_t[b, t] / 4.0
        found[0] -= weight * log_prob_t[b, t] * advantage_t[b, t]
        found[1] += weight * log_prob_t[b, t]
        error = log_prob_t[b, t] - advantage_t[b, t]
        found[2] += weight * error**2 / 2.0
    args = [ops.array(x) for x in (log_prob_t, advantage_t, weight_t)]
    np.testing.assert_allclose(
        gradient.reinforce_loss(*args), found[0], rtol=1e-5
    )
    np.testing.assert_allclose(
        gradient.entropy_bonus(args[0], args[2]), found[1], rtol=1e-5
    )
    np.testing.assert_allclose(gradient.value_loss(*args), found[2], rtol=1e-5)
    ones = np.ones((4, 5))
    np.testing.assert_allclose(
        gradient.reinforce_loss(*args[:2]),
        gradient.reinforce_loss(*args[:2], ops.array(ones)),
        rtol=1e-6,
    )


def test_the_advantage_and_the_return_carry_no_gradient():
    rng = np.random.default_rng(8)
    first, second = rng.normal(size=(2, 4, 5))
    for loss in (gradient.reinforce_loss, gradient.value_loss):
        _, _, found = gradients(loss, [], [first, second])
        assert np.abs(found[0]).max() > 0.01
        np.testing.assert_array_equal(found[1], np.zeros((4, 5)))


def test_annealing_is_linear_and_then_constant():
    steps = [0.0, 5.0, 10.0, 99.0]
    found = [float(gradient.annealed(2.0, 1.0, step, 10)) for step in steps]
    assert found == [2.0, 1.5, 1.0, 1.0]
    assert float(gradient.annealed(2.0, 1.0, 7.0, 0)) == 2.0
