"""The attention LSTM over time, with its backward pass derived by hand.

A score may depend on any stored state, so that the gradient of the weights
has to be known before that of the previous state is: the reverse loop carries
the stored states beside their pending gradients, and moves both back.
"""

from keras import ops, tree

from dsl.loops.lstm import kernel_gradient, shifted
from dsl.loops.past_states import (
    advance,
    read_gradient,
    read_slots,
    retreat,
    shares,
    spread,
    where_kept,
)
from dsl.loops.scan import scan


def attend(inputs, weights, slots, skip_weight):
    """Runs an LSTM that reads a weighted sum of its K most recent states.

        r_k = A_h h_{t-k}
        l_k = (V tanh(p_t + r_1))_k + o_tk     V of K columns ("location")
        l_k = V . tanh(p_t + r_k) + o_tk       V of one column ("content")
        w = softmax(l),  s~ = lambda * sum_k w_k s_{t-k} + (1 - lambda) s_{t-1}

    and from s~ on as in `dsl.loops.past_states`. r of a state is computed
    once, and moves with it. Backward, with q_k = p_t + r_k and K or only one
    of them:

        dw_k = lambda * <s_{t-k}, ds~_t>
        dl = w * (dw - <w, dw>)
        dq_k = V^T dl * (1 - tanh(q_k)^2)
        dh_{t-1} += A_h^T dr,   dr the sum of all dq that s_{t-1} was read for

    Args:
        inputs: Dict of float tensors, `(time, batch, ...)`: `gates`
            (x_t W + b, 4 * units), `attention` (p_t, attention units),
            `offset` (o_t, K; float32 or wider, very negative where a slot is
            empty), and optionally `keep` (1; 0 where the step is skipped).
        weights: Dict of U `recurrent_kernel`, A_h `attention_kernel` and V
            `attention_output_kernel`.
        slots: List of the K states before the first step, nearest first,
            each `(batch, 2 * units)`.
        skip_weight: lambda.

    Returns:
        h after each step, `(time, batch, units)`; the logits l,
        `(time, batch, K)`, without meaning where a step is skipped; and the K
        states after the last step. Differentiable in all arguments but
        `keep`.
    """
    units = slots[0].shape[-1] // 2
    older = []
    if weights["attention_output_kernel"].shape[-1] == 1:
        kernel = weights["attention_kernel"]
        older = [ops.matmul(slot[:, :units], kernel) for slot in slots[1:]]
    structure = (inputs, weights, list(slots), older)

    @ops.custom_gradient
    def run(*operands):
        given = tree.pack_sequence_as(structure, operands)
        saved, last = _forward(*given, skip_weight)
        h = ops.split(saved["state"], 2, axis=-1)[0]

        def gradient(*upstream):
            d_h, d_logits, *d_last = tree.flatten(upstream)
            found = _backward(
                given, saved, last, (d_h, d_logits, d_last), skip_weight
            )
            return tuple(tree.flatten(found))

        return (h, saved["logits"], *last), gradient

    h, logits, *last = run(*tree.flatten(structure))
    return h, logits, last


def _forward(inputs, weights, slots, older, skip_weight):
    units = slots[0].shape[-1] // 2
    kernel = weights["attention_kernel"]

    def step(carried, inputs):
        slots, older = carried
        keys = [ops.matmul(slots[0][:, :units], kernel), *older]
        hidden = ops.tanh(
            inputs["attention"][:, None] + ops.stack(keys, axis=1)
        )
        logits = _product(hidden, weights["attention_output_kernel"])
        # (batch, 1, K) or (batch, K, 1) -> (batch, K)
        logits = ops.reshape(logits, (-1, len(slots)))
        logits = ops.cast(logits, inputs["offset"].dtype) + inputs["offset"]
        attention = ops.softmax(logits, axis=-1)
        pushed, saved = advance(
            slots,
            read_slots(slots, ops.cast(attention, hidden.dtype)),
            inputs,
            weights["recurrent_kernel"],
            skip_weight,
        )
        saved |= {
            "hidden": hidden,
            "logits": logits,
            "attention": attention,
            "oldest": slots[-1],
        }
        return (pushed, where_kept(inputs, keys[:-1], older)), saved

    (last, _), saved = scan(step, (list(slots), older), inputs)
    return saved, last


def _backward(given, saved, last, upstream, skip_weight):
    inputs, weights, slots, older = given
    d_h, d_logits, d_last = upstream
    h_mixed, c_mixed = ops.split(saved["mixed"], 2, axis=-1)
    read = ops.cast(saved["attention"], d_h.dtype)
    reverse_inputs = {
        "d_h": d_h,
        "d_logits": d_logits,
        "c_mixed": c_mixed,
        "shares": shares(read, skip_weight),
    }
    for name in ("gates", "tanh_c", "hidden", "attention", "oldest"):
        reverse_inputs[name] = saved[name]
    if "keep" in inputs:
        keep = ops.cast(inputs["keep"], d_logits.dtype)
        reverse_inputs |= {"keep": inputs["keep"], "d_logits": d_logits * keep}
    start = (last, d_last, [ops.zeros_like(key) for key in older])
    (_, d_slots, d_older), found = scan(
        _reverse_step(weights, skip_weight), start, reverse_inputs, reverse=True
    )
    d_inputs = {
        "gates": found["z"],
        "attention": ops.sum(found["hidden"], axis=2),
        "offset": found["logits"],
    }
    if "keep" in inputs:
        d_inputs["keep"] = ops.zeros_like(inputs["keep"])
    units = h_mixed.shape[-1]
    h_tm1 = shifted(saved["state"][:, :, :units], slots[0][:, :units])
    d_weights = {
        "recurrent_kernel": kernel_gradient(h_mixed, found["z"]),
        "attention_kernel": kernel_gradient(h_tm1, found["key"]),
        "attention_output_kernel": kernel_gradient(
            saved["hidden"], found["scores"]
        ),
    }
    return d_inputs, d_weights, d_slots, d_older


def _reverse_step(weights, skip_weight):
    """Step of the reverse loop: states, their gradients, those of older r."""
    transposed = {name: ops.transpose(x) for name, x in weights.items()}
    width = transposed["attention_output_kernel"].shape[0]

    def step(carried, inputs):
        slots, pending, d_older = carried
        dz, d_mixed, stayed = retreat(
            pending, inputs, transposed["recurrent_kernel"]
        )
        slots = where_kept(inputs, [*slots[1:], inputs["oldest"]], slots)
        d_logits = inputs["d_logits"] + _softmax_gradient(
            inputs["attention"], read_gradient(slots, d_mixed, skip_weight)
        )
        hidden = inputs["hidden"]
        # (batch, K) -> (batch, 1, K) or (batch, K, 1)
        d_scores = ops.reshape(
            ops.cast(d_logits, hidden.dtype), (-1, hidden.shape[1], width)
        )
        d_hidden = _product(d_scores, transposed["attention_output_kernel"])
        d_hidden = d_hidden - d_hidden * hidden * hidden
        d_keys = list(ops.unstack(d_hidden, axis=1))
        for k, later in enumerate(d_older):
            d_keys[k] = d_keys[k] + later
        moved = spread(pending, inputs["shares"], d_mixed)
        # Nothing before this step read the nearest state: its dr is whole.
        d_h = ops.matmul(d_keys[0], transposed["attention_kernel"])
        moved[0] = moved[0] + ops.pad(d_h, [[0, 0], [0, d_h.shape[-1]]])
        d_older = where_kept(inputs, d_keys[1:], d_older)
        (d_key,) = where_kept(inputs, d_keys[:1], [ops.zeros_like(d_keys[0])])
        return (slots, where_kept(inputs, moved, stayed), d_older), {
            "z": dz,
            "logits": d_logits,
            "scores": d_scores,
            "hidden": d_hidden,
            "key": d_key,
        }

    return step


def _softmax_gradient(attention, d_attention):
    """dl = w * (dw - <w, dw>), each `(batch, K)`, in the dtype of w."""
    weighted = attention * ops.cast(d_attention, attention.dtype)
    return weighted - attention * ops.sum(weighted, axis=-1, keepdims=True)


def _product(x, kernel):
    """`x @ kernel` over all leading axes as one matrix product."""
    rows = ops.matmul(ops.reshape(x, (-1, x.shape[-1])), kernel)
    return ops.reshape(rows, (-1, *x.shape[1:-1], kernel.shape[-1]))
