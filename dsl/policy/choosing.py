"""Choosing a past state.

Pure functions on tensors. Names: `a` is an action, 0 for the previous state
and k - 1 for look-back distance k; `_t` marks an axis of time, always the
last one. "The paper" is Gui et al., "Long Short-Term Memory with Dynamic Skip
Connections", AAAI 2019, arXiv:1811.03873; "the published code" its TensorFlow
1 code.
"""

import functools

import numpy as np
from keras import ops

from dsl import draws
from dsl.choices import ACTION_SELECTIONS, check_choice

UNREACHABLE = -1e9
"""Added to the logit of a slot that may not be chosen (float32 and wider)."""


def forcing(wanted):
    """Noise that takes an action whatever the logits, if it is allowed.

    It beats every logit, and loses to nothing but `UNREACHABLE`.

    Args:
        wanted: The action, one-hot, float `(..., K)`; zeros force none.

    Returns:
        Float `(..., K)`, to be added to the logits in place of a draw.
    """
    return -0.5 * UNREACHABLE * wanted


def is_forced(noise):
    """Whether noise `(..., K)` is `forcing`: a bool `(..., 1)`."""
    largest = ops.max(noise, axis=-1, keepdims=True)
    return largest > -0.25 * UNREACHABLE


def filled(count, num_actions):
    """Tells which look-back distances lead to a stored state.

    Distance 1 always does; distance k does once k steps have been taken.

    Args:
        count: Steps taken since the start, float `(...)`.
        num_actions: K.

    Returns:
        Bool `(..., K)`.
    """
    distances = ops.arange(1, num_actions + 1, dtype=count.dtype)
    return ops.logical_or(distances == 1, count[..., None] >= distances)


def selectable(count, num_actions, empty_slots):
    """Tells which actions the policy may take.

    Args:
        count: Steps taken since the start, float `(...)`.
        num_actions: K.
        empty_slots: "mask": only filled slots (this project's default, so
            that no choice resets the cell); "zeros": every slot from the
            second step on, the first step only the incoming state (published
            code); "previous": every slot (the port in the spago library).

    Returns:
        Bool `(..., K)`.
    """
    distances = ops.arange(1, num_actions + 1, dtype=count.dtype)
    if empty_slots == "mask":
        return filled(count, num_actions)
    if empty_slots == "zeros":
        return ops.logical_or(distances == 1, count[..., None] >= 1)
    return ops.broadcast_to(distances > 0, (*ops.shape(count), num_actions))


def restrict(logits, allowed):
    """Makes the actions outside of `allowed` impossible.

    Args:
        logits: Float `(..., K)`, float32 or wider.
        allowed: Bool `(..., K)`.

    Returns:
        Logits, `(..., K)`, with `UNREACHABLE` added where not allowed.
    """
    return logits + UNREACHABLE * ops.cast(
        ops.logical_not(allowed), logits.dtype
    )


def slot_weights(chosen, count, empty_slots):
    """Turns chosen actions into the weights with which slots are read.

    Args:
        chosen: One-hot (or soft) weights of the actions, float `(..., K)`.
        count: Steps taken since the start, float `(...)`.
        empty_slots: "mask" (every chosen slot is filled, or the previous one
            is read), "zeros" (an empty slot adds nothing) or "previous" (an
            empty slot reads the previous state).

    Returns:
        Float `(..., K)`.
    """
    stored = ops.cast(filled(count, chosen.shape[-1]), chosen.dtype)
    if empty_slots == "zeros":
        return chosen * stored
    lost = ops.sum(chosen * (1.0 - stored), axis=-1, keepdims=True)
    return ops.concatenate(
        [chosen[..., :1] + lost, chosen[..., 1:] * stored[..., 1:]], axis=-1
    )


def look_back(actions, count, num_actions, empty_slots):
    """The look-back distance k = a + 1 that an action amounts to.

    Args:
        actions: Integer `(...)` in [0, K).
        count: Steps taken since the start, float `(...)`.
        num_actions: K.
        empty_slots: With "zeros" an empty slot keeps its own distance; else
            it reads the previous state, whose distance is 1.

    Returns:
        Int32 `(...)` in [1, K].
    """
    distance = ops.cast(actions, "int32") + 1
    if empty_slots == "zeros":
        return distance
    stored = ops.cast(filled(count, num_actions), "int32")
    one_hot = ops.one_hot(actions, num_actions, dtype="int32")
    return 1 + (distance - 1) * ops.sum(stored * one_hot, axis=-1)


def gumbel_noise(shape, dtype, seed):
    """Draws standard Gumbel noise.

        G = -log(-log(U)),  U uniform in (0, 1)

    so that argmax(logits + G) is a draw from softmax(logits) (the Gumbel-max
    trick, Gumbel 1954; Maddison et al. 2014, arXiv:1411.0030).

    Args:
        shape: Shape of the draw.
        dtype: Float dtype of the draw.
        seed: A `keras.random.SeedGenerator`.

    Returns:
        Float tensor of the given shape.
    """
    uniform = draws.uniform(shape, 1e-10, 1.0, dtype, seed)
    # In float32 the draw may round to 1 exactly, whose noise is infinite.
    return -ops.log(-ops.log(ops.minimum(uniform, 1.0 - 6e-8)))


def noise(count, num_actions, empty_slots, dtype, seed=None, forced=None):
    """What is added to the logits before the best action is taken.

    Args:
        count: Steps taken since the start, float `(...)`.
        num_actions: K.
        empty_slots: See `selectable`.
        dtype: Float dtype of the noise, float32 or wider.
        seed: A `keras.random.SeedGenerator`, from which actions are drawn; or
            None, which takes the most probable ones.
        forced: Optional distances to take, int32 `(...)`; 0 leaves the choice
            to the policy.

    Returns:
        Float `(..., K)`: Gumbel noise or zeros, and `forcing` where a
        distance is forced.
    """
    shape = (*ops.shape(count), num_actions)
    if seed is None:
        free = ops.zeros(shape, dtype)
    else:
        free = gumbel_noise(shape, dtype, seed)
    if forced is None:
        return free
    force = forced_noise(forced, count, num_actions, empty_slots, dtype)
    return ops.where(ops.equal(forced, 0)[..., None], free, force)


def forced_noise(forced, count, num_actions, empty_slots, dtype):
    """Noise that takes given distances.

    Args:
        forced: Distances, int32 `(...)`; one that cannot be chosen counts as
            1.
        count: Steps taken since the start, float `(...)`.
        num_actions: K.
        empty_slots: See `selectable`.
        dtype: Float dtype of the noise, float32 or wider.

    Returns:
        Float `(..., K)`.
    """
    wanted = ops.one_hot(forced - 1, num_actions, dtype=dtype)
    allowed = selectable(count, num_actions, empty_slots)
    possible = ops.cast(allowed, dtype) * wanted
    first = ops.one_hot(0, num_actions, dtype=dtype)
    lost = 1.0 - ops.sum(possible, axis=-1, keepdims=True)
    return forcing(possible + lost * first)


def samples(action_selection, training):
    """Whether actions are drawn rather than the most probable taken.

    Args:
        action_selection: "sampled", "greedy", or "auto": sampled in training.
        training: Whether it is training.

    Returns:
        Bool.

    Raises:
        ValueError: If the selection is unknown.
    """
    check_choice("action_selection", action_selection, ACTION_SELECTIONS)
    return action_selection == "sampled" or (
        action_selection == "auto" and bool(training)
    )


def random_look_back(shares, shape, seed):
    """Draws distances that depend on nothing: the control of every policy.

    What random skips alone are worth, as a regularizer, is what a policy
    with the same shares of distances has to beat.

    Args:
        shares: Probability of each distance 1..K, sequence of K numbers.
        shape: Shape of the draw.
        seed: A `keras.random.SeedGenerator`.

    Returns:
        Int32 tensor of distances in 1..K. Uniform draws fall into K
        intervals whose lengths are the shares.
    """
    ends = np.cumsum(np.asarray(shares, "float64"))
    ends = (ends / ends[-1])[:-1].astype("float32")
    uniform = draws.uniform(shape, 0.0, 1.0, "float32", seed)
    passed = ops.greater_equal(uniform[..., None], ops.convert_to_tensor(ends))
    return 1 + ops.sum(ops.cast(passed, "int32"), axis=-1)


def drawn_look_back(shares, shape, seed):
    """Draws distances that depend on nothing.

    Args:
        shares: Probability of each distance 1..K, of any sum above 0.
        shape: Of what is returned.
        seed: Of the draws.

    Returns:
        int32 array of distances in 1..K.
    """
    shares = np.asarray(shares, np.float64)
    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(shares), size=shape, p=shares / shares.sum())
    return (drawn + 1).astype(np.int32)


def log_prob(logits, actions):
    """log pi(a), the log-probability of the actions taken.

    Args:
        logits: Float `(..., K)`.
        actions: Integer `(...)` in [0, K).

    Returns:
        Float `(...)`.
    """
    log_pi = ops.log_softmax(logits, axis=-1)
    chosen = ops.one_hot(actions, logits.shape[-1], dtype=log_pi.dtype)
    return ops.sum(log_pi * chosen, axis=-1)


def entropy(logits):
    """Entropy of the policy in nats: H(pi) = -sum_a pi(a) log pi(a).

    The analytic entropy of one decision; see
    `dsl.policy.gradient.soft_reward` for that of the whole action sequence.

    Args:
        logits: Float `(..., K)`.

    Returns:
        Float `(...)` in [0, log K].
    """
    log_pi = ops.log_softmax(logits, axis=-1)
    return -ops.sum(ops.exp(log_pi) * log_pi, axis=-1)


def record(logits, actions, count, empty_slots):
    """What a choice leaves behind for learning and for reading.

    Args:
        logits: Restricted logits, float `(..., K)`.
        actions: Integer `(...)`.
        count: Steps taken, float `(...)`.
        empty_slots: See `selectable`.

    Returns:
        Dict of `log_prob` and `entropy` (nats, float) and `look_back` (the
        distance k that was read, int32), each `(...)`.
    """
    return {
        "log_prob": log_prob(logits, actions),
        "entropy": entropy(logits),
        "look_back": look_back(actions, count, logits.shape[-1], empty_slots),
    }


def relaxation(estimator, drawn, temperature):
    """What gives the weights of the slots their gradient.

    Args:
        estimator: "straight_through" or "reinforce".
        drawn: Whether actions are drawn; the best ones are not relaxed.
        temperature: tau > 0.

    Returns:
        Function as `one_hot`.
    """
    if estimator == "straight_through" and drawn:
        return functools.partial(straight_through, temperature=temperature)
    return one_hot


def one_hot(logits, noise, actions):
    """One-hot actions without a gradient; arguments as `straight_through`."""
    return ops.one_hot(actions, logits.shape[-1], dtype=logits.dtype)


def straight_through(logits, noise, actions, temperature):
    """One-hot actions whose gradient is that of a relaxed draw.

        w = onehot(a) + p - stop_gradient(p),  p = softmax((logits + G) / tau)

    The straight-through Gumbel-softmax estimator (Jang et al. 2017,
    arXiv:1611.01144): biased, but of low variance. Not in the paper.

    Args:
        logits: Float `(..., K)`.
        noise: The Gumbel noise G with which the action was drawn, `(..., K)`;
            where it is `forcing`, there is no gradient.
        actions: Integer `(...)`, argmax(logits + G).
        temperature: tau > 0.

    Returns:
        Float `(..., K)`, exactly one-hot in value.
    """
    relaxed = ops.softmax((logits + noise) / temperature, axis=-1)
    # By rounding, a softmax may end just below 1.
    free = ops.cast(ops.logical_not(is_forced(noise)), relaxed.dtype)
    chosen = one_hot(logits, noise, actions)
    return chosen + free * (relaxed - ops.stop_gradient(relaxed))
