"""Choosing a past state, and the gradients that teach the choice."""

import cases
import keras
import numpy as np
import pytest
import reference
from gradients import gradients
from keras import ops

from dsl import choices, policy


@pytest.mark.parametrize("empty_slots", choices.EMPTY_SLOTS)
def test_selectable_distances(empty_slots):
    counts = np.arange(7.0, dtype="float32")
    allowed = policy.selectable(ops.array(counts), 5, empty_slots)
    expected = [
        reference.selectable_distances(count, 5, empty_slots)
        for count in counts
    ]
    np.testing.assert_array_equal(allowed, expected)


def test_filled_distances():
    counts = np.arange(8.0, dtype="float32").reshape(2, 4)
    found = cases.to_numpy(policy.filled(ops.array(counts), 3))
    for at in np.ndindex(2, 4):
        expected = reference.selectable_distances(counts[at], 3, "mask")
        np.testing.assert_array_equal(found[at], expected)


def test_restricted_logits_leave_a_distribution_over_the_rest():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 4)).astype("float32")
    allowed = rng.random((6, 4)) < 0.5
    allowed[:, 2] = True
    restricted = policy.restrict(ops.array(logits), ops.array(allowed))
    found = cases.to_numpy(ops.softmax(restricted))
    entropy = cases.to_numpy(policy.entropy(restricted))
    for row in range(6):
        log_p = reference.log_softmax(
            np.where(allowed[row], logits[row], -np.inf)
        )
        np.testing.assert_allclose(found[row], np.exp(log_p), atol=1e-6)
        expected = reference.entropy_of(log_p)
        np.testing.assert_allclose(entropy[row], expected, atol=1e-5)


def test_log_prob_and_entropy():
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=3.0, size=(4, 6, 5)).astype("float32")
    actions = rng.integers(0, 5, (4, 6))
    log_prob = cases.to_numpy(policy.log_prob(logits, ops.array(actions)))
    entropy = cases.to_numpy(policy.entropy(ops.array(logits)))
    for at in np.ndindex(4, 6):
        log_p = reference.log_softmax(logits[at].astype("float64"))
        np.testing.assert_allclose(log_prob[at], log_p[actions[at]], atol=1e-5)
        expected = reference.entropy_of(log_p)
        np.testing.assert_allclose(entropy[at], expected, atol=1e-5)


def test_gumbel_noise_draws_from_the_softmax():
    draws = 40_000
    logits = np.array([0.5, -1.0, 1.5, 0.0], "float32")
    seed = keras.random.SeedGenerator(7)
    noise = cases.to_numpy(policy.gumbel_noise((draws, 4), "float32", seed))
    assert np.all(np.isfinite(noise))
    # Mean and variance of the standard Gumbel distribution.
    assert abs(noise.mean() - np.euler_gamma) < 0.02
    assert abs(noise.var() - np.pi**2 / 6.0) < 0.05
    counts = np.bincount(np.argmax(logits + noise, axis=1), minlength=4)
    expected = draws * reference.softmax(logits)
    # 16.27 is the 0.999 quantile of chi-square with three degrees.
    assert np.sum((counts - expected) ** 2 / expected) < 16.27


@pytest.mark.backend
@pytest.mark.parametrize(
    "shares",
    [[1.0], [1, 0, 0], [0, 0, 3], [0, 2, 0, 2], [0.2, 0.5, 0.3], [1] * 7],
)
def test_random_distances_have_the_shares_asked_for(shares):
    found = cases.to_numpy(
        policy.random_look_back(
            shares, (40, 500), keras.random.SeedGenerator(8)
        )
    )
    assert (found.dtype, found.shape) == (np.int32, (40, 500))
    counts = np.bincount(found.ravel(), minlength=len(shares) + 1)
    assert counts[0] == 0 and len(counts) == len(shares) + 1
    wanted = np.array(shares) / np.sum(shares)
    assert not counts[1:][wanted == 0].any()
    deviation = np.sqrt(wanted * (1 - wanted) * 20_000)
    assert np.all(np.abs(counts[1:] - 20_000 * wanted) <= 4 * deviation)
    # Neighbours in time and in the batch know nothing of each other.
    if len(shares) == 7:
        for left, right in (
            (found[1:], found[:-1]),
            (found[:, 1:], found[:, :-1]),
        ):
            assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 0.03


@pytest.mark.parametrize(
    ("uniform", "expected"),
    [
        (0.0, 2),
        (0.2499999, 2),
        (0.25, 4),
        (0.4999999, 4),
        (0.5, 5),
        (0.9999999, 5),
    ],
)
def test_edges_of_the_shares(uniform, expected, monkeypatch):
    """Each draw falls into one interval, a share of nothing into none."""
    monkeypatch.setattr(
        keras.random, "uniform", lambda *_, **__: ops.full((1,), uniform)
    )
    found = policy.random_look_back([0, 0.5, 0, 0.5, 1, 0], (1,), None)
    assert cases.to_numpy(found).tolist() == [expected]


def test_straight_through_is_hard_forward_and_soft_backward():
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(6, 4))
    noise = rng.gumbel(size=(6, 4))
    coefficients = rng.normal(size=(6, 4))
    actions = np.argmax(logits + noise, axis=-1)
    temperature = 0.7
    hard = policy.straight_through(
        ops.array(logits), ops.array(noise), ops.array(actions), temperature
    )
    np.testing.assert_array_equal(hard, np.eye(4)[actions])

    def loss(logits):
        return ops.sum(
            coefficients
            * policy.straight_through(
                logits, ops.array(noise), ops.array(actions), temperature
            )
        )

    def soft(point):
        return sum(
            coefficients[row]
            @ reference.softmax((point["l"][row] + noise[row]) / temperature)
            for row in range(6)
        )

    _, _, (found,) = gradients(loss, [], [logits])
    expected = reference.policy_gradient(soft, {"l": logits}, ("l",))["l"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_rewards():
    nll_t = np.array([[0.1, 2.0, 0.0]], "float32")
    correct_t = np.array([[True, False, True]])
    found = policy.reward("log_likelihood", ops.array(nll_t))
    np.testing.assert_allclose(found, -nll_t)
    found = policy.reward("probability", ops.array(nll_t))
    np.testing.assert_allclose(found, np.exp(-nll_t), rtol=1e-6)
    found = policy.reward("correct", ops.array(nll_t), ops.array(correct_t))
    np.testing.assert_allclose(found, [[1.0, -1.0, 1.0]])


@pytest.mark.parametrize("kind", choices.REWARDS)
def test_rewards_carry_no_gradient(kind):
    correct_t = ops.array([[True, False]])

    def loss(nll_t):
        return ops.sum(policy.reward(kind, nll_t, correct_t)) + 0.0 * ops.sum(
            nll_t
        )

    _, _, (found,) = gradients(loss, [], [np.array([[0.3, 0.4]])])
    np.testing.assert_array_equal(found, np.zeros((1, 2)))


@pytest.mark.parametrize("kind", ["log-likelihood", "correct"])
def test_bad_reward(kind):
    with pytest.raises(ValueError, match="`kind` must be one of"):
        policy.reward(kind, ops.zeros((2, 3)))


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9, 1.0])
def test_reward_to_go(discount):
    r_t = np.random.default_rng(3).normal(size=(3, 7))
    found = policy.reward_to_go(ops.array(r_t), discount)
    expected = reference.rewards_to_go(r_t, discount)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_running_mean_starts_with_the_first_batch():
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=(2, 5, 3)).astype("float32")
    baseline = ops.array(np.full(3, np.nan, "float32"))
    baseline = policy.running_mean(baseline, ops.array(first), decay=0.9)
    np.testing.assert_allclose(baseline, first.mean(axis=0), rtol=1e-5)
    baseline = policy.running_mean(baseline, ops.array(second), decay=0.9)
    expected = 0.9 * first.mean(axis=0) + 0.1 * second.mean(axis=0)
    np.testing.assert_allclose(baseline, expected, rtol=1e-5, atol=1e-6)


def test_batch_mean():
    return_t = np.random.default_rng(5).normal(size=(4, 3))
    found = cases.to_numpy(policy.batch_mean(ops.array(return_t)))
    expected = [sum(return_t[b, t] for b in range(4)) / 4.0 for t in range(3)]
    np.testing.assert_allclose(found, [expected], rtol=1e-6)


def test_leave_one_out_is_the_mean_of_the_other_rollouts():
    rollouts, batch, steps = 3, 2, 4
    return_t = np.random.default_rng(6).normal(size=(6, 4))
    found = cases.to_numpy(policy.leave_one_out(ops.array(return_t), 3))
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
        policy.leave_one_out(ops.zeros((2, 3)), 1)


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
        policy.reinforce_loss(*args), found[0], rtol=1e-5
    )
    np.testing.assert_allclose(
        policy.entropy_bonus(args[0], args[2]), found[1], rtol=1e-5
    )
    np.testing.assert_allclose(policy.value_loss(*args), found[2], rtol=1e-5)
    ones = np.ones((4, 5))
    np.testing.assert_allclose(
        policy.reinforce_loss(*args[:2]),
        policy.reinforce_loss(*args[:2], ops.array(ones)),
        rtol=1e-6,
    )


def test_the_advantage_and_the_return_carry_no_gradient():
    rng = np.random.default_rng(8)
    first, second = rng.normal(size=(2, 4, 5))
    for loss in (policy.reinforce_loss, policy.value_loss):
        _, _, found = gradients(loss, [], [first, second])
        assert np.abs(found[0]).max() > 0.01
        np.testing.assert_array_equal(found[1], np.zeros((4, 5)))


def test_annealing_is_linear_and_then_constant():
    steps = [0.0, 5.0, 10.0, 99.0]
    found = [float(policy.annealed(2.0, 1.0, step, 10)) for step in steps]
    assert found == [2.0, 1.5, 1.0, 1.0]
    assert float(policy.annealed(2.0, 1.0, 7.0, 0)) == 2.0
