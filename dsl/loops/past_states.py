"""One step over a buffer of past states, forward and backward.

States are kept as K tensors `[h ; c]` of shape `(batch, 2 * units)`, the
nearest first: pushing a state renames tensors and copies nothing. In the
reverse loop the gradients of the same K states are pending, since a state
gathers gradient for K steps; they move as the states moved.

Where `inputs`, the dict of one step, holds `keep`, float `(batch, 1)`, the
rows in which it is 0 skip the step: their states and pending gradients stay.
"""

from keras import ops

from dsl import steps


def where_kept(inputs, new, old):
    """The new tensors, or the old ones in the rows that skip the step."""
    if "keep" not in inputs:
        return list(new)
    kept = inputs["keep"] > 0
    return [ops.where(kept, a, b) for a, b in zip(new, old, strict=True)]


def push(slots, state, inputs):
    """The K states after one more, `(batch, 2 * units)`, was stored."""
    return where_kept(inputs, [state, *slots[:-1]], slots)


def read_slots(slots, weights):
    """Weighted sum of the states, sum_k w_k s_{t-k}; weights `(batch, K)`."""
    nearest, *others = (
        weights[:, k : k + 1] * slot for k, slot in enumerate(slots)
    )
    return sum(others, nearest)


def advance(slots, selected, inputs, recurrent_kernel, skip_weight):
    """Goes on from what was read.

        s~ = lambda * selected + (1 - lambda) * s_{t-1}
        z_t = x_t W + b + h~ U,  then the equations in `dsl.steps`

    Args:
        slots: The K states.
        selected: What was read of them, `(batch, 2 * units)`.
        inputs: Dict of `gates` (x_t W + b, `(batch, 4 * units)`), and
            optionally `keep`.
        recurrent_kernel: U, `(units, 4 * units)`.
        skip_weight: lambda.

    Returns:
        The K states after the step; and a dict of what `retreat` needs:
        `state`, `gates`, `tanh_c` and `mixed` (s~).
    """
    mixed = steps.mix(selected, slots[0], skip_weight)
    h_mixed, c_mixed = ops.split(mixed, 2, axis=-1)
    z = inputs["gates"] + ops.matmul(h_mixed, recurrent_kernel)
    gates = steps.lstm_gates(z)
    h_t, c_t, tanh_c = steps.lstm_state(gates, c_mixed)
    pushed = push(slots, ops.concatenate([h_t, c_t], axis=-1), inputs)
    return pushed, {
        "state": pushed[0],
        "gates": gates,
        "tanh_c": tanh_c,
        "mixed": mixed,
    }


def retreat(pending, inputs, transposed):
    """Gradients of one `advance`.

        dz_t   by `dsl.steps.lstm_gradient` from the gradient of s_t
        ds~_t  = [dz_t U^T ; dc~_t]

    Args:
        pending: Gradients of the K states after the step.
        inputs: Dict of `d_h` (what the output h_t adds), `gates`, `tanh_c`,
            `c_mixed`, and optionally `keep`.
        transposed: U^T, `(4 * units, units)`.

    Returns:
        dz_t and ds~_t, 0 in rows that skip the step; and what is pending in
        such rows, `d_h` included.
    """
    dh, dc = ops.split(pending[0], 2, axis=-1)
    dh = dh + inputs["d_h"]
    dz, dc_mixed = steps.lstm_gradient(
        inputs["gates"], inputs["tanh_c"], inputs["c_mixed"], dh, dc
    )
    if "keep" not in inputs:
        d_mixed = [ops.matmul(dz, transposed), dc_mixed]
        return dz, ops.concatenate(d_mixed, axis=-1), None
    dz = dz * inputs["keep"]
    d_mixed = [ops.matmul(dz, transposed), dc_mixed * inputs["keep"]]
    stayed = [ops.concatenate([dh, dc], axis=-1), *pending[1:]]
    return dz, ops.concatenate(d_mixed, axis=-1), stayed


def shares(read, skip_weight):
    """Share of each slot in s~: lambda * w_k, and 1 - lambda of the first.

    Args:
        read: w, float `(..., K)`.
        skip_weight: lambda.

    Returns:
        Float `(..., K)`.
    """
    previous = ops.one_hot(0, read.shape[-1], dtype=read.dtype)
    return skip_weight * read + (1.0 - skip_weight) * previous


def spread(pending, slot_shares, d_mixed):
    """Pending gradients before a step: ds_{t-k} += share_k * ds~_t.

    The state pushed at this step leaves; the oldest slot's gradient enters,
    all others move one step back in time.

    Args:
        pending: Gradients of the K states after the step.
        slot_shares: What `shares` gives, `(batch, K)`.
        d_mixed: ds~_t, `(batch, 2 * units)`.

    Returns:
        Gradients of the K states before the step.
    """
    added = [slot_shares[:, k : k + 1] * d_mixed for k in range(len(pending))]
    moved = zip(pending[1:], added[:-1], strict=True)
    return [*(before + new for before, new in moved), added[-1]]


def read_gradient(slots, d_mixed, skip_weight):
    """dw_k = lambda * <s_{t-k}, ds~_t>, `(batch, K)`."""
    d_read = [ops.sum(slot * d_mixed, axis=-1) for slot in slots]
    return skip_weight * ops.stack(d_read, axis=-1)
