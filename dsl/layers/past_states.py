"""What the layers over a buffer of past states share."""

import keras
from keras import ops, tree

from dsl.layers.lstm import LSTM
from dsl.layers.masks import step_mask
from dsl.slots import join_slots
from dsl.steps import wide


class PastStatesLSTM(LSTM):
    """A sequence layer over a `dsl.cells.past_states.PastStatesLSTMCell`.

    Takes h and c alone as an initial state, counts the steps taken, and
    returns what the cell tells beside its output as a dict, last. Arguments
    and results are a subclass's.

    The loops over past states know no masks. Before the loop `pack` moves the
    steps that count to the front, after it `unpack` moves their results back.
    The loop also runs the steps that then stand behind them; nothing reads
    what they give.
    """

    def _starting_states(self, sequences, initial_state):
        if (
            isinstance(initial_state, (list, tuple))
            and len(initial_state) == 2
            and self.cell.num_states > 1
        ):
            empty = self.get_initial_state(ops.shape(sequences)[0])
            initial_state = [*initial_state, *empty[2:]]
        return super()._starting_states(sequences, initial_state)

    def _counts(self, states, keep, length):
        """Steps taken before each step, float `(time, batch)`."""
        start = wide(states[4])[:, 0]
        if keep is None:
            taken = ops.arange(length, dtype=start.dtype)[:, None]
        else:
            kept = wide(keep)[:, :, 0]
            taken = ops.cumsum(kept, axis=0) - kept
        return start[None] + taken

    def _unpacked(self, h, visited, states, keep):
        """What a layer returns, from what a loop gave for packed steps.

        Args:
            h: The hidden state after each step, `(time, batch, units)`.
            visited: The K states before the first step, farthest first, and
                that after each, `(K + time, batch, 2 * units)`.
            states: The states that the sequence started from.
            keep: None, or float `(time, batch, 1)`, 0 where a step is masked.

        Returns:
            Outputs `(time, batch, units)`, repeated at masked steps; and the
            flat states after the last step.
        """
        num_states = self.cell.num_states
        if keep is None:
            last = visited[-num_states:]
            taken = ops.shape(h)[0]
        else:
            at = num_states - 1 + _kept_so_far(keep)
            h = _along_time(visited[:, :, : self.units], at)
            farthest_first = ops.arange(1 - num_states, 1, dtype="int32")
            last = _along_time(visited, at[-1] + farthest_first[:, None])
            taken = ops.sum(keep, axis=0)
        count = states[4] + ops.cast(taken, states[4].dtype)
        nearest_first = [last[k] for k in reversed(range(num_states))]
        return h, [*join_slots(nearest_first), count]

    def _with_extras(self, result, extras):
        """What `call` returns where the extras were asked for."""
        if not self.return_state:
            result = (result,)
        return (*result, extras)

    def _taken(self, sequences, mask):
        """1, or 0 at masked steps, `(batch, time)` in order of execution."""
        ones = ops.ones_like(wide(sequences[:, :, 0]))
        mask = step_mask(mask, sequences)
        if mask is None:
            return ones
        taken = ops.cast(mask, ones.dtype)
        return ops.flip(taken, axis=1) if self.go_backwards else taken

    def _extras_spec(self, batch, length):
        """Symbolic tensors of the extras by name, empty if not returned."""
        return {}

    def compute_output_spec(self, sequences, *args, **kwargs):
        batch, length = sequences.shape[:2]
        if batch is not None:
            batch = batch * kwargs.get("num_rollouts", 1)
        shapes = self.compute_output_shape((batch, *sequences.shape[1:]))
        if not self.return_state:
            shapes = (shapes,)
        result = tuple(
            keras.KerasTensor(shape, self.compute_dtype) for shape in shapes
        )
        extras = self._extras_spec(batch, length)
        if extras:
            return (*result, extras)
        return result if self.return_state else result[0]


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
    at = ops.maximum(_kept_so_far(keep) - 1, 0)

    def put_back(x):
        kept = keep if len(x.shape) == 3 else keep[:, :, 0]
        return _along_time(x, at) * ops.cast(kept, x.dtype)

    return tree.map_structure(put_back, outputs)


def _kept_so_far(keep):
    return ops.cumsum(ops.cast(keep[:, :, 0], "int32"), axis=0)


def _along_time(x, index):
    """Takes x[index[t, b], b] for each t and b, a row at a time."""
    batch = ops.shape(x)[1]
    rows = ops.reshape(x, (-1, *x.shape[2:]))
    row = ops.arange(batch, dtype="int32")
    return ops.take(rows, ops.cast(index, "int32") * batch + row, axis=0)
