"""The dynamic skip LSTM over time: choose, then differentiate by hand.

Two passes share the work. `choose` runs the recurrence once, without any
gradient, and writes down what was chosen and computed. `connect` returns that
run's outputs and attaches to them the derivative with respect to everything
that the task's loss may reach. The policy is evaluated between the two, for
all steps at once: its own inputs carry no gradient. Where the weights of the
slots are known beforehand, `follow` takes the place of `choose`.
"""

from keras import ops, tree

from dsl import scores, steps
from dsl.loops.derivatives import by_hand, recall
from dsl.loops.lstm import kernel_gradient
from dsl.loops.past_states import (
    advance,
    past,
    read_gradient,
    read_slots,
    retreat,
    reverse_inputs,
    slot_gradients,
    spread,
)
from dsl.loops.scan import scan_back, scan_recent
from dsl.slots import best_action


def choose(
    inputs, weights, slots, skip_weight, observe_mean=False, pointer_0=None
):
    """Runs the recurrence, taking the best action at each step.

        a_t = argmax(l_t + noise_t),  l_t by `dsl.scores`
        s~ = lambda * s_{t-k} + (1 - lambda) * s_{t-1},  k = a_t + 1

    The key of a state is computed once, and stored beside it; so is the
    pointer of its step.

    Args:
        inputs: Dict of float tensors, `(time, batch, ...)`: `gates`
            (x_t W + b, 4 * units), `policy` (p_t, policy units), `noise`
            (K; Gumbel noise, what forces an action and what forbids it);
            optionally `stored` (K; 1 where a slot holds a state) and
            `fallback` (1; 1 where an empty slot reads the previous state
            rather than zeros).
        weights: Dict of U `recurrent_kernel` and those of the agent's network,
            see `dsl.scores`.
        slots: List of the K states before the first step, nearest first,
            each `(batch, 2 * units)`.
        skip_weight: lambda.
        observe_mean: Whether the policy sees the mean of the stored h in
            place of h_{t-1}; needs `stored` and `started` (1; 1 from the
            second step on).
        pointer_0: With moves, the pointer before the first step, `(batch, K)`;
            needs `begun` (1; 0 at the first step of a sequence, else 1).

    Returns:
        The run (see `dsl.loops.past_states`): dict of `states`,
        `(K + time, batch, 2 * units)`, and of `(time, batch, ...)` tensors:
        `action`, `gates`, `tanh_c`, `mixed` (2 * units), `observed` (units);
        with moves also `pointer` (K), after each step.
    """
    units, dtype = slots[0].shape[-1] // 2, inputs["policy"].dtype

    def with_key(state):
        if "key_kernel" not in weights:
            return {"state": state}
        seen = ops.cast(state[:, :units], dtype)
        return {"state": state, "key": scores.key(seen, weights)}

    def step(recent, inputs):
        slots = [x["state"] for x in recent]
        observed = _observe(slots, inputs, observe_mean)
        seen = ops.cast(observed, dtype)
        logits = scores.scores(
            scores.query(inputs["policy"], seen, weights),
            weights,
            [x["key"] for x in recent] if "key" in recent[0] else None,
            recent[0].get("pointer"),
            inputs.get("stored"),
        )
        logits = ops.cast(logits, inputs["noise"].dtype)
        action = best_action(logits + inputs["noise"])
        selected = _select(slots, action, inputs)
        mixed = steps.mix(selected, slots[0], skip_weight)
        state, saved = advance(mixed, inputs, weights["recurrent_kernel"])
        saved["action"] = action
        if observe_mean:
            saved["observed"] = observed
        found = with_key(state)
        if pointer_0 is not None:
            read = _weights(action, inputs, len(slots), dtype)
            pointer = scores.point(read, recent[0]["pointer"], inputs["begun"])
            found["pointer"] = saved["pointer"] = pointer
        return found, saved

    recent = [with_key(slot) for slot in slots]
    if pointer_0 is not None:
        # Of these only the nearest one's is looked at.
        pointer_0 = ops.cast(pointer_0, dtype)
        recent = [{**x, "pointer": pointer_0} for x in recent]
    written, saved = scan_recent(step, recent, inputs)
    states = written["state"]
    before = states[len(slots) - 1 : -1]
    if not observe_mean:
        saved["observed"] = before[:, :, : states.shape[-1] // 2]
    selected = _selection(states, before, saved["action"], inputs)
    mixed = steps.mix(selected, before, skip_weight)
    return {**saved, "states": states, "mixed": mixed}


def follow(inputs, recurrent_kernel, slots, skip_weight):
    """Runs the recurrence, reading the slots by weights that are given.

        s~ = lambda * sum_k w_tk s_{t-k} + (1 - lambda) * s_{t-1}

    Args:
        inputs: Dict of float tensors, `(time, batch, ...)`: `gates`
            (x_t W + b, 4 * units) and `read` (w_t, K).
        recurrent_kernel: U, `(units, 4 * units)`.
        slots: List of the K states before the first step, nearest first,
            each `(batch, 2 * units)`.
        skip_weight: lambda.

    Returns:
        What `choose` returns, without `action` and `observed`.
    """

    def step(slots, inputs):
        selected = read_slots(slots, inputs["read"])
        mixed = steps.mix(selected, slots[0], skip_weight)
        state, saved = advance(mixed, inputs, recurrent_kernel)
        return state, {**saved, "mixed": mixed}

    states, saved = scan_recent(step, slots, inputs)
    return {**saved, "states": states}


def connect(gates, recurrent_kernel, read, slots, run, skip_weight):
    """Outputs of a run, with their derivative.

        ds_j   = sum_k lambda * w_{j+k,k} * ds~_{j+k}
                 + (1 - lambda) * ds~_{j+1}  + what reaches s_j directly
        dz_t     by `dsl.steps.lstm_gradient` from ds_t
        ds~_t  = [dz_t U^T ; dc~_t]
        dw_tk  = lambda * <s_{t-k}, ds~_t>
        dU     = sum_t h~_t^T dz_t

    where w_tk is the weight with which step t read the state k steps back. A
    state gathers gradient from the K steps that may have read it.

    Args:
        gates: x_t W + b, float `(time, batch, 4 * units)`.
        recurrent_kernel: U, `(units, 4 * units)`.
        read: w, `(time, batch, K)`. Its value must be what the run chose.
        slots: The K states before the first step, `(batch, 2 * units)`.
        run: What `choose` or `follow` returned for these inputs.
        skip_weight: lambda.

    Returns:
        h after each step, `(time, batch, units)`, and the run's `states`.
        Differentiable in `gates`, `recurrent_kernel`, `read` and `slots`, any
        number of times.
    """
    known = {key: run[key] for key in ("states", "gates", "tanh_c", "mixed")}

    def rerun(gates, recurrent_kernel, read, *slots):
        inputs = {"gates": gates, "read": ops.cast(read, gates.dtype)}
        found = follow(inputs, recurrent_kernel, list(slots), skip_weight)
        return {key: found[key] for key in known}

    @by_hand
    def attach(gates, recurrent_kernel, read, *slots):
        run = recall(known, rerun, (gates, recurrent_kernel, read, *slots))
        states = run["states"]
        h = states[len(slots) :, :, : states.shape[-1] // 2]

        def gradient(*upstream):
            dz, d_mixed, d_slots = _backward(
                run, recurrent_kernel, read, tree.flatten(upstream), skip_weight
            )
            h_mixed = ops.split(run["mixed"], 2, axis=-1)[0]
            d_read = read_gradient(
                past(states, len(slots)), d_mixed, skip_weight
            )
            return (
                dz,
                kernel_gradient(h_mixed, dz),
                ops.cast(d_read, read.dtype),
                *d_slots,
            )

        return (h, states), gradient

    return attach(gates, recurrent_kernel, read, *slots)


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


def _weights(action, inputs, num_slots, dtype):
    """The weights of the slots that `_select` reads, `(batch, K)`."""
    read = ops.one_hot(action, num_slots, dtype=dtype)
    if "stored" not in inputs:
        return read
    read = read * ops.cast(inputs["stored"], dtype)
    if "fallback" not in inputs:
        return read
    lost = 1.0 - ops.sum(read, axis=-1, keepdims=True)
    lost = lost * ops.cast(inputs["fallback"], dtype)
    return read + scores.of_nearest(lost, num_slots)


def _selection(states, before, action, inputs):
    """What `_select` gave at each step, `(time, batch, 2 * units)`.

    Gathered once more, after the loop: kept from the loop, it would be one
    more reader of the states, of which XLA does not see that it is done when
    the next state is written, so that it copies all states at each step.
    """
    length, batch = ops.shape(action)
    action = ops.cast(action, "int32")
    newest = ops.shape(states)[0] - length - 1
    step = newest + ops.arange(length, dtype="int32")[:, None]
    row = ops.arange(batch, dtype="int32")
    rows = ops.reshape(states, (-1, states.shape[-1]))
    at = (step - action) * batch + row
    selected = ops.take(rows, at, axis=0)
    if "fallback" not in inputs:
        return selected
    stored = ops.take_along_axis(inputs["stored"], action[:, :, None], axis=-1)
    return ops.where(stored > 0, selected, inputs["fallback"] * before)


def _backward(run, recurrent_kernel, read, upstream, skip_weight):
    """Gradients of z, of s~, both of all steps, and of the K slots."""
    transposed = ops.transpose(recurrent_kernel)

    def step(d_state, inputs):
        dz, d_mixed = retreat(*d_state, inputs, transposed)
        return (dz, d_mixed), [spread(inputs, d_mixed)]

    d_states = upstream[1]
    (d_slots,), (dz, d_mixed) = scan_back(
        step,
        [d_states[0]],
        read.shape[-1],
        reverse_inputs(run, read, upstream, skip_weight),
    )
    return dz, d_mixed, slot_gradients(d_slots, d_states)
