"""Choosing a past state."""

import cases
import keras
import numpy as np
import pytest
import reference
from gradients import gradients
from keras import ops

from dsl import choices
from dsl.policy import choosing
from dsl.slots import best_action


@pytest.mark.parametrize("empty_slots", choices.EMPTY_SLOTS)
def test_selectable_distances(empty_slots):
    counts = np.arange(7.0, dtype="float32")
    allowed = choosing.selectable(ops.array(counts), 5, empty_slots)
    expected = [
        reference.selectable_distances(count, 5, empty_slots)
        for count in counts
    ]
    np.testing.assert_array_equal(allowed, expected)


def test_filled_distances():
    counts = np.arange(8.0, dtype="float32").reshape(2, 4)
    found = cases.to_numpy(choosing.filled(ops.array(counts), 3))
    for at in np.ndindex(2, 4):
        expected = reference.selectable_distances(counts[at], 3, "mask")
        np.testing.assert_array_equal(found[at], expected)


def test_restricted_logits_leave_a_distribution_over_the_rest():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 4)).astype("float32")
    allowed = rng.random((6, 4)) < 0.5
    allowed[:, 2] = True
    restricted = choosing.restrict(ops.array(logits), ops.array(allowed))
    found = cases.to_numpy(ops.softmax(restricted))
    entropy = cases.to_numpy(choosing.entropy(restricted))
    for row in range(6):
        log_p = reference.log_softmax(
            np.where(allowed[row], logits[row], -np.inf)
        )
        np.testing.assert_allclose(found[row], np.exp(log_p), atol=1e-6)
        expected = reference.entropy_of(log_p)
        np.testing.assert_allclose(entropy[row], expected, atol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("num_actions", [1, 2, 3, 5])
def test_of_equal_scores_the_first_is_best(num_actions):
    values = [-1e9, -0.0, 0.0, 1.0, np.inf][-max(2, 8 // num_actions) :]
    grid = np.meshgrid(*[values] * num_actions)
    ties = np.stack([axis.ravel() for axis in grid], axis=-1)
    some = np.random.default_rng(2).normal(size=(50, num_actions))
    scores = np.concatenate([ties, some]).astype("float32")
    found = best_action(ops.array(scores))
    assert keras.backend.standardize_dtype(found.dtype) == "int32"
    np.testing.assert_array_equal(found, scores.argmax(axis=-1))
    shaped = best_action(ops.array(scores[:6].reshape(2, 3, -1)))
    np.testing.assert_array_equal(shaped, scores[:6].argmax(-1).reshape(2, 3))


@pytest.mark.backend
def test_where_no_score_is_a_number_there_is_an_action_too():
    scores = np.array([[1.0, np.nan, 2.0], [np.nan] * 3], "float32")
    found = cases.to_numpy(best_action(ops.array(scores)))
    assert np.all((found >= 0) & (found < 3))


def test_log_prob_and_entropy():
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=3.0, size=(4, 6, 5)).astype("float32")
    actions = rng.integers(0, 5, (4, 6))
    log_prob = cases.to_numpy(choosing.log_prob(logits, ops.array(actions)))
    entropy = cases.to_numpy(choosing.entropy(ops.array(logits)))
    for at in np.ndindex(4, 6):
        log_p = reference.log_softmax(logits[at].astype("float64"))
        np.testing.assert_allclose(log_prob[at], log_p[actions[at]], atol=1e-5)
        expected = reference.entropy_of(log_p)
        np.testing.assert_allclose(entropy[at], expected, atol=1e-5)


def test_gumbel_noise_draws_from_the_softmax():
    draws = 40_000
    logits = np.array([0.5, -1.0, 1.5, 0.0], "float32")
    seed = keras.random.SeedGenerator(7)
    noise = cases.to_numpy(choosing.gumbel_noise((draws, 4), "float32", seed))
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
        choosing.random_look_back(
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
        choosing.draws, "uniform", lambda *_: ops.full((1,), uniform)
    )
    found = choosing.random_look_back([0, 0.5, 0, 0.5, 1, 0], (1,), None)
    assert cases.to_numpy(found).tolist() == [expected]


def test_straight_through_is_hard_forward_and_soft_backward():
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(6, 4))
    noise = rng.gumbel(size=(6, 4))
    coefficients = rng.normal(size=(6, 4))
    actions = np.argmax(logits + noise, axis=-1)
    temperature = 0.7
    hard = choosing.straight_through(
        ops.array(logits), ops.array(noise), ops.array(actions), temperature
    )
    np.testing.assert_array_equal(hard, np.eye(4)[actions])

    def loss(logits):
        return ops.sum(
            coefficients
            * choosing.straight_through(
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


def test_noise_is_a_draw_or_nothing_or_a_forced_distance():
    count = ops.array([[0.0, 4.0, 2.0], [1.0, 9.0, 3.0]])
    forced = np.array([[3, 3, 0], [0, 2, 5]], "int32")
    seed = keras.random.SeedGenerator(3)
    drawn = cases.to_numpy(choosing.gumbel_noise((2, 3, 4), "float32", seed))
    seed = keras.random.SeedGenerator(3)
    options = count, 4, "mask", "float32"
    free = choosing.noise(*options, seed=seed)
    np.testing.assert_array_equal(cases.to_numpy(free), drawn)
    assert not cases.to_numpy(choosing.noise(*options)).any()
    seed = keras.random.SeedGenerator(3)
    found = choosing.noise(*options, seed=seed, forced=ops.array(forced))
    found = cases.to_numpy(found)
    # Three steps back cannot be taken before the third, nor five ever.
    taken = np.array([[1, 3, 0], [0, 2, 1]])
    np.testing.assert_array_equal(found[taken == 0], drawn[taken == 0])
    for at in np.argwhere(taken):
        right = cases.to_numpy(choosing.forcing(np.eye(4)[taken[*at] - 1]))
        np.testing.assert_allclose(found[*at], right, rtol=1e-6)


def test_only_draws_by_straight_through_are_relaxed():
    logits = ops.array([[0.3, -0.2, 0.5]])
    noise, actions = ops.zeros((1, 3)), ops.array([2])
    for estimator in ("straight_through", "reinforce"):
        for drawn in (True, False):
            weigh = choosing.relaxation(estimator, drawn, temperature=0.7)

            def loss(logits, weigh=weigh):
                return weigh(logits, noise, actions)[0, 0]

            ((gradient,),) = [gradients(loss, [], [logits])[2]]
            relaxed = np.abs(np.asarray(gradient)).max() > 1e-3
            assert relaxed == (estimator == "straight_through" and drawn)
