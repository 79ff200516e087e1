"""The agent's network.

Pure functions on tensors, which compute in float32 or wider.
"""

from keras import ops

from dsl import scores
from dsl.policy import choosing
from dsl.steps import dense, wide


def project(inputs, kernel, bias):
    """What the network makes of the inputs alone, without a gradient to them.

        p_t = x_t A_x + a

    Args:
        inputs: x_t, float `(..., features)`.
        kernel: A, `(features + units, policy_units)`.
        bias: a, `(policy_units,)`.

    Returns:
        Float32 or wider, `(..., policy_units)`.
    """
    inputs = wide(inputs)
    kernel = wide(kernel[: inputs.shape[-1]])
    return dense(ops.stop_gradient(inputs), kernel) + wide(bias)


def locate(projected, count, position_kernel):
    """Adds what the network knows of the steps that have been taken.

        p_t + P[min(n, N - 1)]

    Args:
        projected: p_t, float `(..., policy_units)`.
        count: n, steps taken, float `(...)`, or of a shape that broadcasts.
        position_kernel: P, `(N, policy_units)`, or None.

    Returns:
        Float `(..., policy_units)`.
    """
    if position_kernel is None:
        return projected
    kernel = wide(position_kernel)
    step = ops.minimum(count, kernel.shape[0] - 1)
    one_hot = ops.one_hot(
        ops.cast(step, "int32"), kernel.shape[0], dtype=kernel.dtype
    )
    return projected + dense(one_hot, kernel)


def observe(slots_h, count, observation):
    """What the network sees of the past.

    Args:
        slots_h: Hidden states at distances 1 to K, `(batch, K, units)`.
        count: Steps taken, float `(batch,)`.
        observation: "previous", h_{t-1}; or "mean", the mean of the stored
            ones, empty ones counted as zeros.

    Returns:
        Float `(batch, units)`.
    """
    if observation == "previous":
        return slots_h[:, 0]
    stored = choosing.filled(count, slots_h.shape[1])[:, :, None]
    mean = ops.mean(slots_h * ops.cast(stored, slots_h.dtype), axis=1)
    return ops.where(count[:, None] >= 1, mean, slots_h[:, 0])


def logits(
    projected, observed, weights, past_h=None, pointer_tm1=None, stored=None
):
    """Logits of the actions, before empty slots are ruled out: `dsl.scores`.

    Args:
        projected: p_t, float `(..., policy_units)`.
        observed: h, what `observe` gives, `(..., units)`; no gradient.
        weights: Dict of the network's weights, see `dsl.scores`.
        past_h: List of h_{t-k}, nearest first, each as `observed`, of which
            keys are made; no gradient. None if the choice is by location.
        pointer_tm1: u_{t-1}, `(..., num_actions)`; None without moves.
        stored: See `dsl.scores.scores`.

    Returns:
        Float32 or wider, `(..., num_actions)`.
    """
    found, moves = logits_and_moves(
        projected, observed, weights, past_h, stored
    )
    if pointer_tm1 is None:
        return found
    return scores.add_moves(found, moves, wide(pointer_tm1))


def logits_and_moves(projected, observed, weights, past_h=None, stored=None):
    """Logits without what moves add to them, and the moves.

    Args:
        projected: As for `logits`.
        observed: Likewise.
        weights: Likewise.
        past_h: Likewise.
        stored: Likewise.

    Returns:
        Float32 or wider, `(..., num_actions)`; and m, `(..., 3)`, or None.
    """
    query = scores.query(projected, _seen(observed), weights)
    keys = None
    if past_h is not None:
        keys = [scores.key(_seen(h), weights) for h in past_h]
    moves = scores.moves(query, weights) if "move_kernel" in weights else None
    return scores.scores(query, weights, keys, stored=stored), moves


def _seen(h):
    """What the network sees of a past state: no gradient goes back to it."""
    return ops.stop_gradient(wide(h))
