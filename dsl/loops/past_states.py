"""What loops over past states do at a step, forward and backward.

A state is one tensor `[h ; c]` of shape `(batch, 2 * units)`. Each is written
once, after those before it, and read where it stands: no buffer of the K most
recent ones is moved. A loop leaves a run, a dict of what it computed. Its
`states`, `(K + time, batch, 2 * units)`, are the K slots before the first
step, farthest first, and the state after each step.

In the reverse loop a state gathers its gradient from the K steps that may have
read it.

These loops know no masks: `dsl.layers.past_states` moves masked steps out of
their way.
"""

from keras import ops

from dsl import steps


def past(states, num_slots):
    """The K states before each step, nearest first, each `(time, ...)`."""
    length = ops.shape(states)[0] - num_slots
    return [states[k : k + length] for k in reversed(range(num_slots))]


def read_slots(slots, weights):
    """Weighted sum of the states, sum_k w_k s_{t-k}; weights `(batch, K)`."""
    nearest, *others = (
        weights[:, k : k + 1] * slot for k, slot in enumerate(slots)
    )
    return sum(others, nearest)


def advance(mixed, inputs, recurrent_kernel):
    """Goes on from what was read.

        z_t = x_t W + b + h~ U,  then the equations in `dsl.steps`

    Args:
        mixed: s~, `(batch, 2 * units)`.
        inputs: Dict of `gates` (x_t W + b, `(batch, 4 * units)`).
        recurrent_kernel: U, `(units, 4 * units)`.

    Returns:
        s_t, `(batch, 2 * units)`; and a dict of `gates` and `tanh_c`.
    """
    h_mixed, c_mixed = ops.split(mixed, 2, axis=-1)
    z = inputs["gates"] + ops.matmul(h_mixed, recurrent_kernel)
    gates = steps.lstm_gates(z)
    h_t, c_t, tanh_c = steps.lstm_state(gates, c_mixed)
    state = ops.concatenate([h_t, c_t], axis=-1)
    return state, {"gates": gates, "tanh_c": tanh_c}


def reverse_inputs(run, read, upstream, skip_weight):
    """What `retreat` and `spread` need at each step.

    Args:
        run: Dict of `gates` (four of them), `tanh_c` and `mixed`, each
            `(time, batch, ...)`.
        read: w, `(time, batch, K)`.
        upstream: Gradients of h after each step, `(time, batch, units)`, and
            of `states`.
        skip_weight: lambda.

    Returns:
        Dict of tensors, each `(time, batch, ...)`.
    """
    d_h, d_states = upstream
    read = ops.cast(read, d_h.dtype)
    num_slots = read.shape[-1]
    d_h_of_states, d_c = ops.split(d_states[num_slots:], 2, axis=-1)
    previous = ops.one_hot(0, num_slots, dtype=read.dtype)
    return {
        "d_h": d_h + d_h_of_states,
        "d_c": d_c,
        "gates": run["gates"],
        "tanh_c": run["tanh_c"],
        "c_mixed": ops.split(run["mixed"], 2, axis=-1)[1],
        "shares": skip_weight * read + (1.0 - skip_weight) * previous,
    }


def retreat(d_state, inputs, transposed):
    """Gradients of one `advance`.

        dz_t   by `dsl.steps.lstm_gradient` from the gradient of s_t
        ds~_t  = [dz_t U^T ; dc~_t]

    Args:
        d_state: Gradient of s_t from the steps that read it.
        inputs: What `reverse_inputs` gives, at one step; `d_h` and `d_c` are
            what reaches s_t directly.
        transposed: U^T, `(4 * units, units)`.

    Returns:
        dz_t and ds~_t.
    """
    dh, dc = ops.split(d_state, 2, axis=-1)
    dz, dc_mixed = steps.lstm_gradient(
        inputs["gates"],
        inputs["tanh_c"],
        inputs["c_mixed"],
        dh + inputs["d_h"],
        dc + inputs["d_c"],
    )
    return dz, ops.concatenate([ops.matmul(dz, transposed), dc_mixed], axis=-1)


def spread(inputs, d_mixed):
    """What a step adds to the gradients of its K past states.

        ds_{t-k} += share_k * ds~_t

    Args:
        inputs: What `reverse_inputs` gives, at one step.
        d_mixed: ds~_t, `(batch, 2 * units)`.

    Returns:
        List of K tensors, nearest first.
    """
    shares = inputs["shares"]
    return [shares[:, k : k + 1] * d_mixed for k in range(shares.shape[-1])]


def slot_gradients(d_slots, d_states):
    """Gradients of the K slots: what the steps give, and what reaches them.

    Args:
        d_slots: List of K gradients, nearest first.
        d_states: Upstream gradient of `states`, farthest slot first.

    Returns:
        List of K gradients, nearest first.
    """
    direct = [d_states[k] for k in reversed(range(len(d_slots)))]
    return [a + b for a, b in zip(d_slots, direct, strict=True)]


def read_gradient(slots, d_mixed, skip_weight):
    """dw_k = lambda * <s_{t-k}, ds~_t>, `(..., batch, K)`."""
    d_read = [ops.sum(slot * d_mixed, axis=-1) for slot in slots]
    return skip_weight * ops.stack(d_read, axis=-1)
