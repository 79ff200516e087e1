"""The attention LSTM layer."""

import keras
from keras import ops

from dsl import loops
from dsl.cells.attention_lstm import AttentionLSTMCell, attention_record
from dsl.layers.lstm import derived_scan
from dsl.layers.own_cell import OwnCell
from dsl.layers.past_states import (
    pack,
    step_counts,
    unpack,
    unpack_states,
)
from dsl.policy import choosing
from dsl.slots import split_slots
from dsl.steps import wide, wide_dtype


@keras.saving.register_keras_serializable(package="dsl")
class AttentionLSTM(OwnCell):
    """An LSTM that attends to its K most recent states.

    See `dsl.cells.AttentionLSTMCell` for the equations, and
    `dsl.loops.attention_lstm` for the derivative.

    Args:
        units: H, the size of h and c.
        num_states: K, how many past states are attended to; 1 is
            `keras.layers.LSTM`.
        skip_weight: lambda in [0, 1], the share of their weighted sum.
        attention_units: Width of the network that scores them.
        scoring: "location", "content" or "key".
        relative: Whether the scores also depend on where a past state stands,
            seen from those that a pointer is at.
        return_attention: Whether to return, last, a dict of `attention`, the
            weights of the states, nearest first, float32 or wider
            `(batch, time, num_states)`, and `entropy`, theirs in nats,
            `(batch, time)`; both 0 at masked steps, and in the order of
            execution. `keras.layers.Bidirectional` refuses a layer with it.
        autodiff: Leave the derivative to the framework.
        **kwargs: All other arguments of `dsl.cells.AttentionLSTMCell` and
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
        cell); then the dict with `return_attention`.

    Raises:
        ValueError: If an argument is outside of its range or unknown.

    Example:
        >>> x = keras.ops.ones((2, 7, 3))
        >>> layer = AttentionLSTM(4, num_states=3, return_attention=True)
        >>> output, read = layer(x)
        >>> tuple(output.shape), tuple(read["attention"].shape)
        ((2, 4), (2, 7, 3))

    Reference: Gui et al., AAAI 2019, https://arxiv.org/abs/1811.03873
    """

    cell_class = AttentionLSTMCell
    extras_option = "return_attention"

    def __init__(
        self,
        units,
        num_states=5,
        skip_weight=1.0,
        attention_units=50,
        scoring="location",
        relative=False,
        return_attention=False,
        **kwargs,
    ):
        super().__init__(
            units,
            num_states=num_states,
            skip_weight=skip_weight,
            attention_units=attention_units,
            scoring=scoring,
            relative=relative,
            **kwargs,
        )
        self.return_attention = return_attention

    def _extras_of_none(self, step_weights):
        return {
            "attention": step_weights[:, :, None],
            "entropy": ops.zeros_like(step_weights),
        }

    def _is_derived(self, training):
        return self.cell.is_standard(training)

    def _derived_scan(self, projected, states, keep, training):
        if self.num_states == 1:
            return derived_scan(self, projected, states, keep)
        cell = self.cell
        count = step_counts(states, keep, ops.shape(projected["gates"])[0])
        projected, count = pack((projected, count), keep)
        stored = choosing.filled(count, self.num_states)
        inputs = {
            **projected,
            "offset": choosing.restrict(cell.output_bias, stored),
        }
        if self.relative:
            inputs["begun"] = cell.has_begun(count)
        recurrent_kernel = ops.cast(cell.recurrent_kernel, self.compute_dtype)
        h, visited, logits, pointer = loops.attend(
            inputs,
            {"recurrent_kernel": recurrent_kernel, **cell.score_weights()},
            split_slots(states[:4]),
            self.skip_weight,
            wide(states[4]) if self.relative else None,
        )
        extras = unpack(attention_record(logits), keep)
        return *unpack_states(h, visited, states, keep, pointer), extras

    def _extras_spec(self, batch, length):
        dtype = wide_dtype(self.compute_dtype)
        return {
            "attention": keras.KerasTensor(
                (batch, length, self.num_states), dtype
            ),
            "entropy": keras.KerasTensor((batch, length), dtype),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "return_attention": self.return_attention,
        }
