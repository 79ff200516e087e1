"""The fixed skip LSTM layer."""

import keras
from keras import ops

from dsl import loops
from dsl.cells.fixed_skip_lstm import FixedSkipLSTMCell
from dsl.layers.lstm import derived_scan
from dsl.layers.own_cell import OwnCell
from dsl.layers.past_states import pack, step_counts, unpack_states
from dsl.slots import split_slots


@keras.saving.register_keras_serializable(package="dsl")
class FixedSkipLSTM(OwnCell):
    """An LSTM that always connects to the state `skip` steps back.

    See `dsl.cells.FixedSkipLSTMCell` for the equations, and
    `dsl.loops.dynamic_skip_lstm` for the derivative.

    Args:
        units: H, the size of h and c.
        skip: s, how many steps back; 1 is `keras.layers.LSTM`.
        skip_weight: lambda in [0, 1], the share of the state s steps back.
        autodiff: Leave the derivative to the framework.
        **kwargs: All other arguments of `dsl.cells.FixedSkipLSTMCell` and
            `keras.layers.LSTM`.

    Call arguments:
        sequences: Float `(batch, time, features)`.
        initial_state: Optional h and c, each `(batch, units)`, or all states
            that `return_state` returned.
        mask: Optional bool `(batch, time)`; a masked step counts as none.
        training: Whether dropout is applied.

    Returns:
        Output `(batch, units)` or, with `return_sequences`,
        `(batch, time, units)`; then the states with `return_state` (see the
        cell).

    Raises:
        ValueError: If an argument is outside of its range or unknown.

    Example:
        >>> x = keras.ops.ones((2, 7, 3))
        >>> layer = FixedSkipLSTM(4, skip=3, return_sequences=True)
        >>> tuple(layer(x).shape)
        (2, 7, 4)

    Reference: Gui et al., AAAI 2019, https://arxiv.org/abs/1811.03873
    """

    cell_class = FixedSkipLSTMCell

    def __init__(self, units, skip=3, skip_weight=1.0, **kwargs):
        super().__init__(units, skip=skip, skip_weight=skip_weight, **kwargs)

    def _is_derived(self, training):
        return self.cell.is_standard(training)

    def _derived_scan(self, projected, states, keep, training):
        if self.skip == 1:
            return derived_scan(self, projected, states, keep)
        count = step_counts(states, keep, ops.shape(projected)[0])
        projected, count = pack((projected, count), keep)
        read = ops.cast(self.cell.read_weights(count), projected.dtype)
        kernel = ops.cast(self.cell.recurrent_kernel, self.compute_dtype)
        slots = split_slots(states[:4])
        fixed = keras.tree.map_structure(
            ops.stop_gradient,
            ({"gates": projected, "read": read}, kernel, slots),
        )
        h, visited = loops.connect(
            projected,
            kernel,
            read,
            slots,
            loops.follow(*fixed, self.skip_weight),
            self.skip_weight,
        )
        return *unpack_states(h, visited, states, keep), {}
