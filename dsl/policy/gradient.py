"""Learning to choose a past state: rewards, baselines and losses.

Pure functions on tensors; `_t` marks an axis of time, always the last one.
"The paper" is Gui et al., "Long Short-Term Memory with Dynamic Skip
Connections", AAAI 2019, arXiv:1811.03873.
"""

from keras import ops

from dsl.choices import REWARDS


def reward(kind, nll_t, correct_t=None):
    """Turns the loss of each prediction into the agent's reward.

    Args:
        kind: "log_likelihood": r_t = log p(y_t), the paper's; "probability":
            r_t = p(y_t), the published language-model code's; "correct":
            +1 if y_t was predicted and -1 if not, the published
            number-prediction code's.
        nll_t: -log p(y_t) in nats, float `(..., time)`.
        correct_t: Whether the prediction was right, bool `(..., time)`;
            needed by "correct" only.

    Returns:
        r_t, float `(..., time)`, without gradient.

    Raises:
        ValueError: If `kind` is unknown, or "correct" lacks `correct_t`.
    """
    if kind == "log_likelihood":
        return ops.stop_gradient(-nll_t)
    if kind == "probability":
        return ops.stop_gradient(ops.exp(-nll_t))
    if kind == "correct" and correct_t is not None:
        return 2.0 * ops.cast(correct_t, nll_t.dtype) - 1.0
    raise ValueError(
        f"`kind` must be one of {REWARDS}, and 'correct' needs `correct_t`. "
        f"Received: kind={kind!r}, correct_t={correct_t!r}"
    )


def soft_reward(r_t, log_prob_t, weight):
    """Adds the entropy of the whole action sequence to the reward.

        r_t - beta * log pi(a_t | e_t)

    Its undiscounted reward-to-go in `reinforce_loss` gives the paper's
    gradient of E[R] + beta * H(pi(a_1:T)), beta = 1 in the paper; the "-1" in
    the paper's formula has mean zero. The sum of `choosing.entropy` over a
    trajectory has the same expectation; used as a bonus, it ignores how an
    action changes the entropy of later decisions, and varies less.

    Args:
        r_t: Rewards, float `(..., time)`.
        log_prob_t: log pi(a_t | e_t), `(..., time)`.
        weight: beta.

    Returns:
        Float `(..., time)`, without gradient.
    """
    return ops.stop_gradient(r_t - weight * log_prob_t)


def reward_to_go(r_t, discount=1.0):
    """Sums what follows an action.

        G_t = sum_{j >= t} gamma^(j - t) r_j

    Williams 1992, "Simple statistical gradient-following algorithms"; an
    action can only change what comes after it, so earlier rewards are noise.

    Args:
        r_t: Rewards, float `(..., time)`.
        discount: gamma in [0, 1].

    Returns:
        G_t, float `(..., time)`.
    """
    length = ops.shape(r_t)[-1]
    step = ops.arange(length, dtype=r_t.dtype)
    age = step[:, None] - step[None, :]  # (j, t)
    gamma = ops.convert_to_tensor(discount, dtype=r_t.dtype)
    # 0 ** 0 = 1 keeps the immediate reward when the discount is zero.
    decay = ops.where(age >= 0, ops.power(gamma, ops.maximum(age, 0.0)), 0.0)
    return ops.matmul(r_t, ops.cast(decay, r_t.dtype))


def running_mean(baseline, return_t, decay=0.95):
    """Moves a running-mean baseline, one value a time step.

        b <- decay * b + (1 - decay) * mean over the batch of G_t

    Args:
        baseline: b, float `(time,)`; NaN before the first batch, which then
            sets it.
        return_t: G_t, float `(..., time)`.
        decay: Share of the old value, in [0, 1).

    Returns:
        The new b, `(time,)`. Subtract the *old* one where it is not NaN: a
        baseline that has seen the action biases the gradient.
    """
    mean_t = ops.mean(return_t, axis=tuple(range(len(return_t.shape) - 1)))
    moved = decay * baseline + (1.0 - decay) * mean_t
    return ops.where(ops.isnan(baseline), mean_t, moved)


def batch_mean(return_t):
    """Baseline: the mean of G_t over the batch, at each step.

    Each row's own return is part of the mean, which shrinks the gradient by
    (1 - 1/batch) and leaves its direction unbiased.

    Args:
        return_t: G_t, float `(batch, time)`.

    Returns:
        `(1, time)`.
    """
    return ops.mean(return_t, axis=0, keepdims=True)


def leave_one_out(return_t, num_rollouts):
    """Baseline: the mean return of the other rollouts from the same state.

        b_t^i = 1/(R - 1) sum_{j != i} G_t^j

    Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free!".
    What the words themselves cost cancels; the effect of the actions stays.

    Args:
        return_t: G_t, float `(num_rollouts * batch, time)`, rollout-major.
        num_rollouts: R >= 2.

    Returns:
        Float `(num_rollouts * batch, time)`.

    Raises:
        ValueError: If there are fewer than two rollouts.
    """
    if num_rollouts < 2:
        raise ValueError(
            "the leave-one-out baseline needs at least 2 rollouts. "
            f"Received: num_rollouts={num_rollouts!r}"
        )
    shape = ops.shape(return_t)
    grouped = ops.reshape(return_t, (num_rollouts, -1, shape[-1]))
    others = ops.sum(grouped, axis=0, keepdims=True) - grouped
    return ops.reshape(others / (num_rollouts - 1), shape)


def value_loss(value_t, return_t, weight_t=None):
    """Squared error that trains a learned value baseline V(e_t).

        1/2 * sum_t w_t (V(e_t) - G_t)^2,  mean over the batch

    Args:
        value_t: V(e_t), float `(batch, time)`.
        return_t: G_t, `(batch, time)`.
        weight_t: Optional mask or weight of each step, `(batch, time)`.

    Returns:
        Scalar.
    """
    error = value_t - ops.stop_gradient(return_t)
    return 0.5 * _time_sum(ops.square(error), weight_t)


def reinforce_loss(log_prob_t, advantage_t, weight_t=None):
    """Surrogate whose gradient is the policy gradient (Williams 1992).

        L = -sum_t w_t log pi(a_t | e_t) * stop_gradient(A_t),  batch mean

    Args:
        log_prob_t: log pi(a_t | e_t), float `(batch, time)`.
        advantage_t: A_t = G_t - b_t, `(batch, time)`.
        weight_t: Optional mask or weight of each step, `(batch, time)`.

    Returns:
        Scalar. The paper's objective minimizes it beside the task's loss.
    """
    return -_time_sum(log_prob_t * ops.stop_gradient(advantage_t), weight_t)


def offset_log_prob(log_prob_t, offset):
    """log(pi(a_t) + epsilon), what published code takes for log pi(a_t).

    Its gradient is that of log pi(a_t) times pi / (pi + epsilon): with the
    published number-prediction code's epsilon of 1, at most half, and least
    where the action was least probable.

    Args:
        log_prob_t: log pi(a_t), float `(batch, time)`.
        offset: epsilon, at least 0.

    Returns:
        Float `(batch, time)`.
    """
    if offset == 0.0:
        return log_prob_t
    return ops.log(ops.exp(log_prob_t) + offset)


def entropy_bonus(entropy_t, weight_t=None):
    """Sum over time, mean over the batch, of the policy's entropy.

    Args:
        entropy_t: H(pi_t) in nats, float `(batch, time)`.
        weight_t: Optional mask or weight of each step, `(batch, time)`.

    Returns:
        Scalar, to be subtracted from the loss. Not the paper's term, which
        is the entropy of the whole action sequence: see `soft_reward`.
    """
    return _time_sum(entropy_t, weight_t)


def annealed(start, end, step, num_steps):
    """A weight that goes linearly from `start` to `end`.

    Args:
        start: Value at step 0.
        end: Value from step `num_steps` on.
        step: Float scalar tensor or number.
        num_steps: Length of the way; 0 for `start` throughout.

    Returns:
        Scalar of the type of `step`.
    """
    if num_steps <= 0:
        return start
    progress = ops.minimum(ops.cast(step, "float32") / num_steps, 1.0)
    return start + (end - start) * progress


def _time_sum(x_t, weight_t):
    if weight_t is not None:
        x_t = x_t * ops.cast(weight_t, x_t.dtype)
    return ops.mean(ops.sum(x_t, axis=-1))
