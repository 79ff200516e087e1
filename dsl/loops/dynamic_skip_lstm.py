"""The dynamic skip LSTM over time: choose, then differentiate by hand.

Two passes share the work. `choose` runs the recurrence once, without any
gradient, and writes down what was chosen and computed. `connect` returns that
run's outputs and attaches to them the derivative with respect to everything
that the task's loss may reach. The policy is evaluated between the two, for
all steps at once: its own inputs carry no gradient. Where the weights of the
slots are known beforehand, `follow` takes the place of `choose`.
"""

from keras import ops, tree

from dsl.loops.lstm import kernel_gradient, shifted
from dsl.loops.past_states import (
    advance,
    push,
    read_gradient,
    read_slots,
    retreat,
    shares,
    spread,
    where_kept,
)
from dsl.loops.scan import scan


def choose(inputs, weights, slots, skip_weight, observe_mean=False):
    """Runs the recurrence, taking the best action at each step.

        a_t = argmax(V tanh(p_t + A_h h_{t-1}) + v + noise_t)
        s~ = lambda * s_{t-k} + (1 - lambda) * s_{t-1},  k = a_t + 1

    Args:
        inputs: Dict of float tensors, `(time, batch, ...)`: `gates`
            (x_t W + b, 4 * units), `policy` (p_t, policy units), `noise`
            (K; Gumbel noise, what forces an action and what forbids it);
            optionally `stored` (K; 1 where a slot holds a state), `fallback`
            (1; 1 where an empty slot reads the previous state rather than
            zeros) and `keep` (1; 0 where the step is skipped).
        weights: Dict of U `recurrent_kernel`, A_h `policy_recurrent_kernel`,
            V `policy_output_kernel` and v `policy_output_bias`.
        slots: List of the K states before the first step, nearest first,
            each `(batch, 2 * units)`.
        skip_weight: lambda.
        observe_mean: Whether the policy sees the mean of the stored h in
            place of h_{t-1}; needs `stored` and `started` (1; 1 from the
            second step on).

    Returns:
        Dict of `(time, batch, ...)` tensors: `state` (2 * units), `action`,
        `gates`, `tanh_c`, `mixed` (2 * units), `observed` (units); and the
        list of K states after the last step.
    """

    def step(slots, inputs):
        observed = _observe(slots, inputs, observe_mean)
        seen = ops.cast(observed, inputs["policy"].dtype)
        hidden = ops.tanh(
            inputs["policy"]
            + ops.matmul(seen, weights["policy_recurrent_kernel"])
        )
        logits = ops.matmul(hidden, weights["policy_output_kernel"])
        logits = logits + weights["policy_output_bias"]
        scores = ops.cast(logits, inputs["noise"].dtype) + inputs["noise"]
        action = ops.argmax(scores, axis=-1)
        selected = _select(slots, action, inputs)
        pushed, saved = advance(
            slots, selected, inputs, weights["recurrent_kernel"], skip_weight
        )
        saved["action"] = action
        if observe_mean:
            saved["observed"] = observed
        return pushed, saved

    last, saved = scan(step, list(slots), inputs)
    if not observe_mean:
        before = shifted(saved["state"], slots[0])
        saved["observed"] = ops.split(before, 2, axis=-1)[0]
    return saved, last


def follow(inputs, recurrent_kernel, slots, skip_weight):
    """Runs the recurrence, reading the slots by weights that are given.

        s~ = lambda * sum_k w_tk s_{t-k} + (1 - lambda) * s_{t-1}

    Args:
        inputs: Dict of float tensors, `(time, batch, ...)`: `gates`
            (x_t W + b, 4 * units), `read` (w_t, K), and optionally `keep`
            (1; 0 where the step is skipped).
        recurrent_kernel: U, `(units, 4 * units)`.
        slots: List of the K states before the first step, nearest first,
            each `(batch, 2 * units)`.
        skip_weight: lambda.

    Returns:
        Dict of `(time, batch, ...)` tensors: `state` (2 * units), `gates`,
        `tanh_c`, `mixed` (2 * units); and the list of K states after the
        last step.
    """

    def step(slots, inputs):
        selected = read_slots(slots, inputs["read"])
        return advance(slots, selected, inputs, recurrent_kernel, skip_weight)

    last, saved = scan(step, list(slots), inputs)
    return saved, last


def connect(gates, recurrent_kernel, read, slots, run, skip_weight, keep=None):
    """Outputs of a run, with their derivative.

        dz_t       by `dsl.steps.lstm_gradient` from the gradient of s_t
        ds~_t      = [dz_t U^T ; dc~_t]
        ds_{t-k}  += lambda * w_tk * ds~_t      for each distance k
        ds_{t-1}  += (1 - lambda) * ds~_t
        dw_tk      = lambda * <s_{t-k}, ds~_t>
        dU         = sum_t h~_t^T dz_t

    where w_tk is the weight with which slot k was read. A state gathers
    gradient for K steps; the pending sums move through the reverse loop as
    the states moved through the forward loop.

    Args:
        gates: x_t W + b, float `(time, batch, 4 * units)`.
        recurrent_kernel: U, `(units, 4 * units)`.
        read: w, `(time, batch, K)`. Its value must be what the run chose.
        slots: The K states before the first step, `(batch, 2 * units)`.
        run: What `choose` or `follow` returned for these inputs.
        skip_weight: lambda.
        keep: Optional float `(time, batch, 1)`, 0 where a step was skipped.

    Returns:
        h after each step, `(time, batch, units)`, and the K states after the
        last step. Differentiable in `gates`, `recurrent_kernel`, `read` and
        `slots`.
    """
    saved, last = run
    h = ops.split(saved["state"], 2, axis=-1)[0]

    @ops.custom_gradient
    def attach(gates, recurrent_kernel, read, *slots):
        def gradient(*upstream):
            d_h, *d_last = tree.flatten(upstream)
            dz, d_mixed, d_slots = _backward(
                saved, recurrent_kernel, read, (d_h, d_last), skip_weight, keep
            )
            h_mixed = ops.split(saved["mixed"], 2, axis=-1)[0]
            d_read = _read_gradient(saved, slots, d_mixed, skip_weight, keep)
            return (
                dz,
                kernel_gradient(h_mixed, dz),
                ops.cast(d_read, read.dtype),
                *d_slots,
            )

        return (h, *last), gradient

    outputs, *states = attach(gates, recurrent_kernel, read, *slots)
    return outputs, states


def _observe(slots, inputs, observe_mean):
    units = slots[0].shape[-1] // 2
    if not observe_mean:
        return slots[0][:, :units]
    stored = inputs["stored"]
    total = read_slots([slot[:, :units] for slot in slots], stored)
    mean = total / len(slots)
    return ops.where(inputs["started"] > 0, mean, slots[0][:, :units])


def _select(slots, action, inputs):
    selected = slots[0]
    for k, slot in enumerate(slots[1:], start=1):
        chosen = ops.equal(action, ops.cast(k, action.dtype))[:, None]
        if "fallback" in inputs:
            stored = inputs["stored"][:, k : k + 1]
            empty = inputs["fallback"] * slots[0]
            slot = ops.where(stored > 0, slot, empty)
        selected = ops.where(chosen, slot, selected)
    return selected


def _backward(saved, recurrent_kernel, read, upstream, skip_weight, keep):
    d_h, d_last = upstream
    transposed = ops.transpose(recurrent_kernel)

    def step(pending, inputs):
        dz, d_mixed, stayed = retreat(pending, inputs, transposed)
        moved = spread(pending, inputs["shares"], d_mixed)
        return where_kept(inputs, moved, stayed), (dz, d_mixed)

    inputs = {
        "d_h": d_h,
        "gates": saved["gates"],
        "tanh_c": saved["tanh_c"],
        "c_mixed": ops.split(saved["mixed"], 2, axis=-1)[1],
        "shares": shares(ops.cast(read, d_h.dtype), skip_weight),
    }
    if keep is not None:
        inputs["keep"] = keep
    d_slots, (dz, d_mixed) = scan(step, list(d_last), inputs, reverse=True)
    return dz, d_mixed, d_slots


def _read_gradient(saved, slots, d_mixed, skip_weight, keep):
    def step(slots, inputs):
        d_read = read_gradient(slots, inputs["d_mixed"], skip_weight)
        return push(slots, inputs["state"], inputs), d_read

    inputs = {"state": saved["state"], "d_mixed": d_mixed}
    if keep is not None:
        inputs["keep"] = keep
    return scan(step, list(slots), inputs)[1]
