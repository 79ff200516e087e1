"""The attention LSTM over time, with its backward pass derived by hand.

A score may depend on any stored state, so that the gradient of the weights
has to be known before that of the previous state is: the reverse loop reads
the stored states too.
"""

from keras import ops, tree

from dsl import scores, steps
from dsl.loops.derivatives import by_hand
from dsl.loops.lstm import kernel_gradient, shift
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
from dsl.steps import dense, wide


def attend(inputs, weights, slots, skip_weight, pointer_0=None):
    """Runs an LSTM that reads a weighted sum of its K most recent states.

        r_k = A_h h_{t-k}
        l_k = (V tanh(p_t + r_1))_k + o_tk     V of K columns ("location")
        l_k = V . tanh(p_t + r_k) + o_tk       V of one column ("content")
        l_k by `dsl.scores` + o_tk             with C ("key")
        l_k += what moves add by `dsl.scores`  with M
        w = softmax(l),  s~ = lambda * sum_k w_k s_{t-k} + (1 - lambda) s_{t-1}

    and from s~ on as in `dsl.loops.past_states`. r of a state, and its key, are
    computed once, and stored beside it; so is the pointer of its step.
    Backward, with q_k = p_t + r_k and K or only one of them:

        dw_k = lambda * <s_{t-k}, ds~_t>  + what the pointer of step t gives
        dl = w * (dw - <w, dw>)
        dq_k = V^T dl * (1 - tanh(q_k)^2)
        dh_t += A_h^T dr,   dr the sum of all dq that s_t was read for

    Args:
        inputs: Dict of float tensors, `(time, batch, ...)`: `gates`
            (x_t W + b, 4 * units), `attention` (p_t, attention units) and
            `offset` (o_t, K; float32 or wider, very negative where a slot is
            empty).
        weights: Dict of U `recurrent_kernel`, A_h `query_kernel` and V
            `output_kernel`; by key also C `key_kernel`, with moves M
            `move_kernel` and m_0 `move_bias`.
        slots: List of the K states before the first step, nearest first,
            each `(batch, 2 * units)`.
        skip_weight: lambda.
        pointer_0: With moves, the pointer before the first step, `(batch, K)`;
            needs `begun` (1; 0 at the first step of a sequence, else 1), both
            of the dtype of `offset`.

    Returns:
        h after each step, `(time, batch, units)`; the `states` of the run
        (see `dsl.loops.past_states`); the logits l, `(time, batch, K)`; and,
        with moves, the pointer after each step, likewise, else None.
        Differentiable in all arguments.
    """
    units = slots[0].shape[-1] // 2
    nearest = slots if _is_by_content(weights) else slots[:1]
    # Of what these few give the framework takes the derivative.
    beside = {
        "r": [
            dense(slot[:, :units], weights["query_kernel"]) for slot in nearest
        ]
    }
    if "key_kernel" in weights:
        beside["key"] = [scores.key(slot[:, :units], weights) for slot in slots]
    if pointer_0 is not None:
        beside["pointer"] = [pointer_0]
    structure = (inputs, weights, list(slots), beside)

    @by_hand
    def attach(*operands):
        given = tree.pack_sequence_as(structure, operands)
        run = _forward(*given, skip_weight)

        def gradient(*upstream):
            found = _backward(given, run, tree.flatten(upstream), skip_weight)
            return tuple(tree.flatten(found))

        results = [run["h"], run["states"], run["logits"]]
        if pointer_0 is not None:
            results.append(run["pointers"])
        return tuple(results), gradient

    h, states, logits, *pointers = attach(*tree.flatten(structure))
    return h, states, logits, pointers[0] if pointers else None


def _is_by_content(weights):
    """Whether each state is scored by a network of its own."""
    one = weights["output_kernel"].shape[-1] == 1
    return one and "key_kernel" not in weights


def _forward(inputs, weights, slots, beside, skip_weight):
    """The run, from the K slots and from what stands beside them."""
    units = slots[0].shape[-1] // 2
    num_seen = len(beside["r"])

    def step(recent, inputs):
        hidden = ops.tanh(
            inputs["attention"][:, None]
            + ops.stack([x["r"] for x in recent[:num_seen]], axis=1)
        )
        logits = _logits(hidden, recent, weights, inputs["offset"])
        attention = ops.softmax(logits, axis=-1)
        slots = [x["state"] for x in recent]
        selected = read_slots(slots, ops.cast(attention, hidden.dtype))
        mixed = steps.mix(selected, slots[0], skip_weight)
        state, saved = advance(mixed, inputs, weights["recurrent_kernel"])
        found = {
            "state": state,
            "r": dense(state[:, :units], weights["query_kernel"]),
        }
        if "key" in beside:
            found["key"] = scores.key(state[:, :units], weights)
        if "pointer" in beside:
            found["pointer"] = scores.point(
                attention, recent[0]["pointer"], inputs["begun"]
            )
        return found, {
            **saved,
            "mixed": mixed,
            "hidden": hidden,
            "logits": logits,
            "attention": attention,
        }

    # Where only the nearest one's is looked at, the others have any.
    recent = [
        {
            "state": slot,
            **{name: x[min(k, len(x) - 1)] for name, x in beside.items()},
        }
        for k, slot in enumerate(slots)
    ]
    written, run = scan_recent(step, recent, inputs)
    return {
        **run,
        "states": written["state"],
        "keys": written.get("key"),
        "pointers": written["pointer"][len(slots) :]
        if "pointer" in beside
        else None,
        "h": written["state"][len(slots) :, :, :units],
    }


def _logits(hidden, recent, weights, offset):
    """l_t, `(batch, K)`, in the dtype of the offset."""
    query, logits = hidden[:, 0], dense(hidden, weights["output_kernel"])
    if "key" in recent[0]:
        logits = scores.of_nearest(logits[:, 0], len(recent))
        logits = logits + scores.by_key(query, [x["key"] for x in recent])
    # (batch, 1, K) or (batch, K, 1) -> (batch, K)
    logits = ops.reshape(logits, (-1, len(recent)))
    logits = ops.cast(logits, offset.dtype) + offset
    if "pointer" in recent[0]:
        moves = ops.cast(scores.moves(query, weights), offset.dtype)
        logits = logits + scores.of_moves(moves, recent[0]["pointer"])
    return logits


def _backward(given, run, upstream, skip_weight):
    given_inputs, weights, slots, beside = given
    d_h, d_states, d_logits, *d_pointers = upstream
    upstream = d_h, d_states
    inputs = {
        **reverse_inputs(run, run["attention"], upstream, skip_weight),
        "d_logits": d_logits,
        "hidden": run["hidden"],
        "attention": run["attention"],
        "slots": past(run["states"], len(slots)),
    }
    if "key" in beside:
        inputs["keys"] = past(run["keys"], len(slots))
    if "pointer" in beside:
        inputs["begun"] = given_inputs["begun"]
        inputs["d_pointer"] = d_pointers[0]
        inputs["pointer_tm1"] = shift(run["pointers"], beside["pointer"][0])
    names = list(beside)
    (d_slots, *d_beside), found = scan_back(
        _reverse_step(weights, names, skip_weight),
        [slots[0], *(x[0] for x in beside.values())],
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
        "query_kernel": kernel_gradient(run["h"], found["r"]),
        "output_kernel": kernel_gradient(run["hidden"], found["scores"]),
    }
    if "key" in beside:
        d_weights["key_kernel"] = kernel_gradient(run["h"], found["key"])
    if "pointer" in beside:
        # Of a count of steps there is no gradient.
        d_inputs["begun"] = ops.zeros_like(given_inputs["begun"])
        query = run["hidden"][:, :, 0]
        d_weights["move_kernel"] = kernel_gradient(query, found["moves"])
        d_bias = ops.sum(wide(found["moves"]), axis=(0, 1))
        d_weights["move_bias"] = ops.cast(d_bias, query.dtype)
    d_slots = slot_gradients(d_slots, upstream[1])
    d_beside = {
        name: one[: len(beside[name])]
        for name, one in zip(names, d_beside, strict=True)
    }
    return d_inputs, d_weights, d_slots, d_beside


def _reverse_step(weights, names, skip_weight):
    """Step of the reverse loop, from the gradients of s_t and beside it.

    Its inputs are those that `_backward` gathers, at one step.
    """
    transposed = {
        name: ops.transpose(x)
        for name, x in weights.items()
        if name != "move_bias"
    }
    width = transposed["output_kernel"].shape[0]

    def step(given, inputs):
        d_state, *d_beside = given
        d_beside = dict(zip(names, d_beside, strict=True))
        d_h = ops.matmul(d_beside["r"], transposed["query_kernel"])
        if "key" in names:
            d_h = d_h + ops.matmul(d_beside["key"], transposed["key_kernel"])
        dz, d_mixed = retreat(
            d_state,
            {**inputs, "d_h": inputs["d_h"] + d_h},
            transposed["recurrent_kernel"],
        )
        d_attention = read_gradient(inputs["slots"], d_mixed, skip_weight)
        if "pointer" in names:
            d_read, d_pointer = scores.point_gradient(
                d_beside["pointer"] + inputs["d_pointer"],
                inputs["attention"],
                inputs["pointer_tm1"],
                inputs["begun"],
            )
            d_attention = ops.cast(d_attention, d_read.dtype) + d_read
        d_logits = inputs["d_logits"] + _softmax_gradient(
            inputs["attention"], d_attention
        )
        hidden = inputs["hidden"]
        d_scores = ops.cast(d_logits, hidden.dtype)
        outputs = {"z": dz, "logits": d_logits, **d_beside}
        d_query, given = 0.0, {}
        if "key" in names:
            d_query, given["key"] = _key_gradient(
                hidden[:, 0], d_scores, inputs
            )
            d_scores = d_scores[:, :1]
        if "pointer" in names:
            d_moves, more = _moves_gradient(
                hidden[:, 0], weights, inputs, d_logits
            )
            d_query = d_query + ops.matmul(d_moves, transposed["move_kernel"])
            given["pointer"] = [d_pointer + more]
            outputs["moves"] = d_moves
        # (batch, K) -> (batch, 1, K) or (batch, K, 1)
        d_scores = ops.reshape(d_scores, (-1, hidden.shape[1], width))
        d_hidden = dense(d_scores, transposed["output_kernel"])
        if given:
            first = ops.one_hot(0, hidden.shape[1], dtype=hidden.dtype)
            d_hidden = d_hidden + first[:, None] * d_query[:, None]
        d_hidden = d_hidden - d_hidden * hidden * hidden
        given["r"] = ops.unstack(d_hidden, axis=1)
        outputs |= {"scores": d_scores, "hidden": d_hidden}
        return outputs, [spread(inputs, d_mixed), *(given[x] for x in names)]

    return step


def _key_gradient(query, d_scores, inputs):
    """dq = sum_k dl_k key_k, and dkey_k = dl_k q of each past state."""
    columns = [d_scores[:, k : k + 1] for k in range(len(inputs["keys"]))]
    pairs = zip(columns, inputs["keys"], strict=True)
    d_query = sum(column * key for column, key in pairs)
    return d_query, [column * query for column in columns]


def _moves_gradient(query, weights, inputs, d_logits):
    """dm, in the dtype of q, and du_{t-1}, in that of dl."""
    moves = ops.cast(scores.moves(query, weights), d_logits.dtype)
    d_moves, d_pointer = scores.moves_gradient(
        d_logits, moves, inputs["pointer_tm1"]
    )
    return ops.cast(d_moves, query.dtype), d_pointer


def _softmax_gradient(attention, d_attention):
    """dl = w * (dw - <w, dw>), each `(batch, K)`, in the dtype of w."""
    weighted = attention * ops.cast(d_attention, attention.dtype)
    return weighted - attention * ops.sum(weighted, axis=-1, keepdims=True)
