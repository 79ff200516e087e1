"""What the layers over a buffer of past states share."""

import keras
from keras import ops

from dsl.cells.past_states import wide
from dsl.layers.lstm import LSTM
from dsl.slots import join_slots


class PastStatesLSTM(LSTM):
    """A sequence layer over a `dsl.cells.past_states.PastStatesLSTMCell`.

    Takes h and c alone as an initial state, counts the steps taken, and
    returns what the cell tells beside its output as a dict, last. Arguments
    and results are a subclass's.
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

    def _last_states(self, slots, states, keep, length):
        """Flat states after the last step, from the K slots of a loop."""
        taken = length if keep is None else ops.sum(keep, axis=0)
        count = states[4] + ops.cast(taken, states[4].dtype)
        return [*join_slots(slots), count]

    def _unless_masked(self, extras, keep):
        """Extras `(time, batch, ...)` with zeros at masked steps."""
        if keep is None:
            return extras
        return {
            key: x
            * ops.cast(keep if len(x.shape) == 3 else keep[:, :, 0], x.dtype)
            for key, x in extras.items()
        }

    def _with_extras(self, result, extras):
        """What `call` returns where the extras were asked for."""
        if not self.return_state:
            result = (result,)
        return (*result, extras)

    def _taken(self, sequences, mask):
        """1, or 0 at masked steps, `(batch, time)` in order of execution."""
        ones = ops.ones_like(wide(sequences[:, :, 0]))
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
