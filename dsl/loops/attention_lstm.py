"""The attention LSTM over time, with its backward pass derived by hand.

A score may depend on any stored state, so that the gradient of the weights
has to be known before that of the previous state is: the reverse loop reads
the stored states too.
"""

from keras import ops, tree

from dsl import steps
from dsl.loops.derivatives import by_hand
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
from dsl.steps import dense


def attend(inputs, weights, slots, skip_weight):
    """Runs an LSTM that reads a weighted sum of its K most recent states.

        r_k = A_h h_{t-k}
        l_k = (V tanh(p_t + r_1))_k + o_tk     V of K columns ("location")
        l_k = V . tanh(p_t + r_k) + o_tk       V of one column ("content")
        w = softmax(l),  s~ = lambda * sum_k w_k s_{t-k} + (1 - lambda) s_{t-1}

    and from s~ on as in `dsl.loops.past_states`. r of a state is computed
    once, and stored beside it. Backward, with q_k = p_t + r_k and K or only
    one of them:

        dw_k = lambda * <s_{t-k}, ds~_t>
        dl = w * (dw - <w, dw>)
        dq_k = V^T dl * (1 - tanh(q_k)^2)
        dh_t += A_h^T dr,   dr the sum of all dq that s_t was read for

    Args:
        inputs: Dict of float tensors, `(time, batch, ...)`: `gates`
            (x_t W + b, 4 * units), `attention` (p_t, attention units) and
            `offset` (o_t, K; float32 or wider, very negative where a slot is
            empty).
        weights: Dict of U `recurrent_kernel`, A_h `attention_kernel` and V
            `attention_output_kernel`.
        slots: List of the K states before the first step, nearest first,
            each `(batch, 2 * units)`.
        skip_weight: lambda.

    Returns:
        h after each step, `(time, batch, units)`; the `states` of the run
        (see `dsl.loops.past_states`); and the logits l, `(time, batch, K)`.
        Differentiable in all arguments.
    """
    units = slots[0].shape[-1] // 2
    located = weights["attention_output_kernel"].shape[-1] > 1
    # r of the slots; of these few the framework takes the derivative.
    keys = [
        ops.matmul(slot[:, :units], weights["attention_kernel"])
        for slot in (slots[:1] if located else slots)
    ]
    structure = (inputs, weights, list(slots), keys)

    @by_hand
    def attach(*operands):
        given = tree.pack_sequence_as(structure, operands)
        run = _forward(*given, skip_weight)

        def gradient(*upstream):
            found = _backward(given, run, tree.flatten(upstream), skip_weight)
            return tuple(tree.flatten(found))

        return (run["h"], run["states"], run["logits"]), gradient

    return attach(*tree.flatten(structure))


def _forward(inputs, weights, slots, keys, skip_weight):
    """The run, from the K slots and from r of those that are scored."""
    size = slots[0].shape[-1]
    num_keys = len(keys)
    keys = keys + [ops.zeros_like(keys[0])] * (len(slots) - num_keys)

    def step(recent, inputs):
        hidden = ops.tanh(
            inputs["attention"][:, None]
            + ops.stack([x[:, size:] for x in recent[:num_keys]], axis=1)
        )
        logits = dense(hidden, weights["attention_output_kernel"])
        # (batch, 1, K) or (batch, K, 1) -> (batch, K)
        logits = ops.reshape(logits, (-1, len(recent)))
        logits = ops.cast(logits, inputs["offset"].dtype) + inputs["offset"]
        attention = ops.softmax(logits, axis=-1)
        slots = [x[:, :size] for x in recent]
        selected = read_slots(slots, ops.cast(attention, hidden.dtype))
        mixed = steps.mix(selected, slots[0], skip_weight)
        state, saved = advance(mixed, inputs, weights["recurrent_kernel"])
        key = ops.matmul(state[:, : size // 2], weights["attention_kernel"])
        return ops.concatenate([state, key], axis=-1), {
            **saved,
            "mixed": mixed,
            "hidden": hidden,
            "logits": logits,
            "attention": attention,
        }

    recent = [
        ops.concatenate([slot, key], axis=-1)
        for slot, key in zip(slots, keys, strict=True)
    ]
    written, run = scan_recent(step, recent, inputs)
    return {
        **run,
        "states": written[:, :, :size],
        "h": written[len(slots) :, :, : size // 2],
    }


def _backward(given, run, upstream, skip_weight):
    _, weights, slots, keys = given
    *upstream, d_logits = upstream
    inputs = {
        **reverse_inputs(run, run["attention"], upstream, skip_weight),
        "d_logits": d_logits,
        "hidden": run["hidden"],
        "attention": run["attention"],
        "slots": past(run["states"], len(slots)),
    }
    (d_slots, d_keys), found = scan_back(
        _reverse_step(weights, skip_weight),
        [slots[0], keys[0]],
        len(slots),
        inputs,
    )
    d_inputs = {
        "gates": found["z"],
        "attention": ops.sum(found["hidden"], axis=2),
        "offset": found["logits"],
    }
    h_mixed = ops.split(run["mixed"], 2, axis=-1)[0]
    d_weights = {
        "recurrent_kernel": kernel_gradient(h_mixed, found["z"]),
        "attention_kernel": kernel_gradient(run["h"], found["key"]),
        "attention_output_kernel": kernel_gradient(
            run["hidden"], found["scores"]
        ),
    }
    d_slots = slot_gradients(d_slots, upstream[1])
    return d_inputs, d_weights, d_slots, d_keys[: len(keys)]


def _reverse_step(weights, skip_weight):
    """Step of the reverse loop, from the gradients of s_t and of its r.

    Its inputs are those that `_backward` gathers, at one step.
    """
    transposed = {name: ops.transpose(x) for name, x in weights.items()}
    width = transposed["attention_output_kernel"].shape[0]

    def step(given, inputs):
        d_state, d_key = given
        d_h = ops.matmul(d_key, transposed["attention_kernel"])
        dz, d_mixed = retreat(
            d_state,
            {**inputs, "d_h": inputs["d_h"] + d_h},
            transposed["recurrent_kernel"],
        )
        d_logits = inputs["d_logits"] + _softmax_gradient(
            inputs["attention"],
            read_gradient(inputs["slots"], d_mixed, skip_weight),
        )
        hidden = inputs["hidden"]
        # (batch, K) -> (batch, 1, K) or (batch, K, 1)
        d_scores = ops.reshape(
            ops.cast(d_logits, hidden.dtype), (-1, hidden.shape[1], width)
        )
        d_hidden = dense(d_scores, transposed["attention_output_kernel"])
        d_hidden = d_hidden - d_hidden * hidden * hidden
        given = [spread(inputs, d_mixed), ops.unstack(d_hidden, axis=1)]
        return {
            "z": dz,
            "logits": d_logits,
            "scores": d_scores,
            "hidden": d_hidden,
            "key": d_key,
        }, given

    return step


def _softmax_gradient(attention, d_attention):
    """dl = w * (dw - <w, dw>), each `(batch, K)`, in the dtype of w."""
    weighted = attention * ops.cast(d_attention, attention.dtype)
    return weighted - attention * ops.sum(weighted, axis=-1, keepdims=True)
