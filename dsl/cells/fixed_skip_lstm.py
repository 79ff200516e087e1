"""The LSTM cell that connects to the state a fixed number of steps back."""

import keras
from keras import ops

from dsl.cells.past_states import PastStatesLSTMCell
from dsl.choices import check_count
from dsl.policy import choosing


@keras.saving.register_keras_serializable(package="dsl")
class FixedSkipLSTMCell(PastStatesLSTMCell):
    """An LSTM cell that always looks back the same number of steps.

        k_t = s  once s steps have been taken,  1 before
        h~ = lambda * h_{t-k_t} + (1 - lambda) * h_{t-1}
        c~ = lambda * c_{t-k_t} + (1 - lambda) * c_{t-1}
        (i, f, g, o) = W x_t + U h~ + b
        c_t = sigm(f + b_f) * c~ + sigm(i) * tanh(g)
        h_t = sigm(o) * tanh(c_t)

    `dsl.DynamicSkipLSTMCell` with a constant choice and no policy. With
    `skip=1` the cell is `keras.layers.LSTMCell`, and its weights are those of
    that cell for every `skip`.

    States, each float `(batch, size)`: h_{t-1} and c_{t-1} (`units`); the
    hidden and cell states s_{t-2}, s_{t-3}, ... (`(skip - 1) * units` each,
    nearest first); the count of steps taken (1). The state that a sequence
    starts from serves its first step as previous state, and is not kept as a
    past state.

    Args:
        units: H, the size of h and c.
        skip: s, how many steps back.
        skip_weight: lambda in [0, 1], the share of the state s steps back.
        forget_bias: b_f, a constant added to the forget gate.
        **kwargs: As for `keras.layers.LSTMCell`.

    Call arguments:
        inputs: x_t, float `(batch, features)`.
        states: The states listed above.
        training: Whether dropout is applied.

    Returns:
        h_t, float `(batch, units)`, and the list of next states.

    Raises:
        ValueError: If an argument is outside of its range.

    Example:
        >>> x = keras.ops.ones((2, 7, 3))
        >>> layer = keras.layers.RNN(FixedSkipLSTMCell(4, skip=3))
        >>> tuple(layer(x).shape)
        (2, 4)

    Reference: the baseline "LSTM, fixed skip" of Gui et al., AAAI 2019,
    https://arxiv.org/abs/1811.03873, after Zhang et al., "Architectural
    Complexity Measures of Recurrent Neural Networks", NIPS 2016.
    Departures: its exact form is not published. Zhang et al. add a recurrent
    matrix for the skipped state; replacing the previous state adds no weight,
    as the paper's equal model sizes ask for.
    Limit: in half precision the count of steps stops at 256 (bfloat16) or
    2,048 (float16), so that no longer skip is ever taken.
    """

    def __init__(self, units, skip=3, skip_weight=1.0, **kwargs):
        check_count("skip", skip, "the distance to look back")
        super().__init__(units, skip, skip_weight, **kwargs)
        self.skip = skip

    def read_weights(self, count):
        """The weights of the slots: all on one.

        Args:
            count: Steps taken, float `(...)`.

        Returns:
            Float `(..., skip)`.
        """
        farthest = ops.one_hot(self.skip - 1, self.skip, dtype=count.dtype)
        return choosing.slot_weights(farthest, count, "previous")

    def step(self, projected_t, states, training=False):
        """One step from the projected input; returns output, states, {}."""
        if self.skip == 1:
            return super().step(projected_t, states, training=training)
        *slots, count = self._slots(states)
        h_t, states = self._connect(
            projected_t, states, slots, self.read_weights(count), training
        )
        return h_t, states, {}

    def get_config(self):
        return {**super().get_config(), "skip": self.skip}
