"""The buffer of past states that several cells read from."""

from keras import ops

from dsl import scores, steps
from dsl.cells.lstm import LSTMCell
from dsl.choices import check_number
from dsl.slots import flatten_slots, stack_slots
from dsl.steps import wide


class PastStatesLSTMCell(LSTMCell):
    """An LSTM cell that reads a weighted sum of its K most recent states.

        h~ = lambda * sum_k w_tk h_{t-k} + (1 - lambda) * h_{t-1}
        c~ = lambda * sum_k w_tk c_{t-k} + (1 - lambda) * c_{t-1}
        (i, f, g, o) = W x_t + U h~ + b
        c_t = sigm(f + b_f) * c~ + sigm(i) * tanh(g)
        h_t = sigm(o) * tanh(c_t)

    The buffer and these equations are here; where the weights w_tk come from
    is what a subclass adds, in `step`. With K = 1 there is nothing to read
    but the previous state, and the cell is `dsl.cells.LSTMCell`.

    States, each float `(batch, size)`: h_{t-1} and c_{t-1} (`units`); the
    hidden and cell states s_{t-2}, s_{t-3}, ... (`(K - 1) * units` each,
    nearest first); with `relative` the pointer u_{t-1} (K); the count of
    steps taken (1). The state that a sequence starts from serves its first
    step as previous state, and is not kept as a past state. With K = 1 only
    h_{t-1} and c_{t-1}.

    Args:
        units: H, the size of h and c.
        num_states: K, how many past states are stored.
        skip_weight: lambda in [0, 1], the share of what was read.
        relative: Whether the weights depend on a pointer, which is then kept;
            see `dsl.scores`.
        **kwargs: As for `dsl.cells.LSTMCell`.
    """

    def __init__(
        self, units, num_states, skip_weight=1.0, relative=False, **kwargs
    ):
        check_number(
            "skip_weight", skip_weight, "the share of the chosen state", 0, 1
        )
        super().__init__(units, **kwargs)
        self.num_states = num_states
        self.skip_weight = float(skip_weight)
        self.relative = bool(relative)
        if num_states > 1:
            past = (num_states - 1) * units
            pointer = [num_states] if self.relative else []
            self.state_size = [units, units, past, past, *pointer, 1]

    def fill_states(self, states, batch_size):
        """All states, from all or from h and c alone.

        Args:
            states: List of states, each `(batch, size)`.
            batch_size: Number of rows.

        Returns:
            List of states; those that were not given hold nothing.
        """
        if len(states) != 2 or self.num_states == 1:
            return states
        return [*states, *self.get_initial_state(batch_size)[2:]]

    def _slots(self, states):
        """The stored states, one axis a distance.

        Args:
            states: States of the cell.

        Returns:
            Hidden states at distances 1 to K, `(batch, K, units)`; cell
            states, the same; and the count of steps taken, `(batch,)`.
        """
        h_tm1, c_tm1, past_h, past_c, *_, count = states
        return (
            stack_slots(h_tm1, past_h),
            stack_slots(c_tm1, past_c),
            wide(count)[:, 0],
        )

    def has_begun(self, count):
        """0 at the first step of a sequence, else 1, `(..., 1)`."""
        return ops.cast(count > 0, count.dtype)[..., None]

    def _pointer(self, states):
        """u_{t-1}, float32 or wider `(batch, K)`; None unless `relative`."""
        return wide(states[4]) if self.relative else None

    def _connect(self, gates, states, slots, read, training):
        """Reads the slots, advances, and stores the new state.

        Args:
            gates: x_t W + b, float `(batch, 4 * units)`.
            states: States of the cell.
            slots: Hidden and cell states as `_slots` gives them.
            read: w_t, the weights of the slots, float `(batch, K)`.
            training: Whether dropout is applied.

        Returns:
            h_t, and the list of next states.
        """
        h_tm1, c_tm1, *_, count = states
        slots_h, slots_c = slots
        pointer = []
        if self.relative:
            taken = self.has_begun(wide(count)[:, 0])
            found = scores.point(wide(read), self._pointer(states), taken)
            pointer = [ops.cast(found, slots_h.dtype)]
        read = ops.cast(read, slots_h.dtype)[:, :, None]
        h_t, c_t = self._advance(
            gates,
            steps.mix(ops.sum(read * slots_h, 1), h_tm1, self.skip_weight),
            steps.mix(ops.sum(read * slots_c, 1), c_tm1, self.skip_weight),
            training,
        )
        return h_t, [
            h_t,
            c_t,
            flatten_slots(slots_h[:, :-1]),
            flatten_slots(slots_c[:, :-1]),
            *pointer,
            count + 1,
        ]

    def _drop(self, inputs, training):
        """The input as the gates read it, if all of them read the same."""
        if training and self.dropout > 0.0 and self.implementation != 1:
            step = inputs if len(inputs.shape) == 2 else inputs[0]
            inputs = inputs * self.get_dropout_mask(step)
        return inputs

    def get_config(self):
        return {**super().get_config(), "skip_weight": self.skip_weight}
