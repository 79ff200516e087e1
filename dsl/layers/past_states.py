"""What the layers over a buffer of past states share.

The loops over past states know no masks. Before the loop `pack` moves the
steps that count to the front, after it `unpack` moves their results back. The
loop also runs the steps that then stand behind them; nothing reads what they
give.
"""

from keras import ops, tree

from dsl.slots import join_slots
from dsl.steps import wide


def step_counts(states, keep, length):
    """Steps taken before each step.

    Args:
        states: States of the cell, the count last, as
            `dsl.cells.past_states.PastStatesLSTMCell` lists them.
        keep: None, or float `(time, batch, 1)`, 0 where a step is masked.
        length: Steps in all.

    Returns:
        Float `(time, batch)`.
    """
    start = wide(states[-1])[:, 0]
    if keep is None:
        taken = ops.arange(length, dtype=start.dtype)[:, None]
    else:
        counts = wide(keep)[:, :, 0]
        taken = ops.cumsum(counts, axis=0) - counts
    return start[None] + taken


def pack(inputs, keep):
    """Moves the steps that are not masked to the front, in their order.

    Args:
        inputs: Tree of tensors, each `(time, batch, ...)`.
        keep: None, or float `(time, batch, 1)`, 0 where a step is masked.

    Returns:
        The tree; masked steps follow in it.
    """
    if keep is None:
        return inputs
    length = ops.shape(keep)[0]
    step = ops.arange(length, dtype="int32")[:, None]
    order = ops.argsort(
        ops.where(keep[:, :, 0] > 0, step, step + length), axis=0
    )
    return tree.map_structure(lambda x: _along_time(x, order), inputs)


def unpack(outputs, keep):
    """Moves steps back to where `pack` found them.

    Args:
        outputs: Tree of tensors, each `(time, batch, ...)`.
        keep: As for `pack`.

    Returns:
        The tree, 0 at masked steps.
    """
    if keep is None:
        return outputs
    # Before the first step that counts any place will do.
    at = ops.maximum(_counts_so_far(keep) - 1, 0)

    def put_back(x):
        counts = keep if len(x.shape) == 3 else keep[:, :, 0]
        return _along_time(x, at) * ops.cast(counts, x.dtype)

    return tree.map_structure(put_back, outputs)


def unpack_states(h, visited, states, keep, pointer=None):
    """What a layer returns, from what a loop gave for packed steps.

    Args:
        h: The hidden state after each step, `(time, batch, units)`.
        visited: The K states before the first step, farthest first, and that
            after each, `(K + time, batch, 2 * units)`.
        states: The states that the sequence started from.
        keep: As for `pack`.
        pointer: With moves, the pointer after each step, `(time, batch, K)`.

    Returns:
        Outputs `(time, batch, units)`, repeated at masked steps; and the flat
        states after the last step.
    """
    units = h.shape[-1]
    num_states = 1 + states[2].shape[-1] // units
    last_pointer = []
    if pointer is not None:
        at = None if keep is None else _counts_so_far(keep)[-1:]
        last_pointer = [_last(ops.cast(pointer, h.dtype), states[4], at)]
    if keep is None:
        last = visited[-num_states:]
        taken = ops.shape(h)[0]
    else:
        at = num_states - 1 + _counts_so_far(keep)
        h = _along_time(visited[:, :, :units], at)
        farthest_first = ops.arange(1 - num_states, 1, dtype="int32")
        last = _along_time(visited, at[-1] + farthest_first[:, None])
        taken = ops.sum(keep, axis=0)
    count = states[-1] + ops.cast(taken, states[-1].dtype)
    nearest_first = [last[k] for k in reversed(range(num_states))]
    return h, [*join_slots(nearest_first), *last_pointer, count]


def _last(x, x_0, taken):
    """What stands after the last step, or before the first if none counts."""
    if taken is None:
        return x[-1]
    return _along_time(ops.concatenate([x_0[None], x]), taken)[0]


def _counts_so_far(keep):
    return ops.cumsum(ops.cast(keep[:, :, 0], "int32"), axis=0)


def _along_time(x, index):
    """Takes x[index[t, b], b] for each t and b, a row at a time."""
    batch = ops.shape(x)[1]
    rows = ops.reshape(x, (-1, *x.shape[2:]))
    row = ops.arange(batch, dtype="int32")
    return ops.take(rows, ops.cast(index, "int32") * batch + row, axis=0)
