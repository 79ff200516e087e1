"""The plain LSTM layer."""

import keras
from keras import ops

from dsl import loops
from dsl.cells.lstm import LSTMCell
from dsl.layers.own_cell import OwnCell


@keras.saving.register_keras_serializable(package="dsl")
class LSTM(OwnCell):
    """`keras.layers.LSTM` with a backward pass derived by hand.

    Same weights, arguments and results as `keras.layers.LSTM`; see
    `dsl.cells.LSTMCell` for the equations and `dsl.loops.lstm` for the
    derivative. Other activations than tanh and sigmoid, and recurrent
    dropout, are differentiated by the framework.

    Args:
        units: H, the size of h and c.
        forget_bias: Constant added to the forget gate's pre-activation.
        autodiff: Leave the derivative to the framework.
        **kwargs: As for `keras.layers.LSTM`; `use_cudnn` changes nothing.

    Call arguments:
        sequences: Float `(batch, time, features)`.
        initial_state: Optional h and c, each `(batch, units)`.
        mask: Optional bool `(batch, time)`.
        training: Whether dropout is applied.

    Returns:
        As `keras.layers.LSTM`.

    Example:
        >>> x = keras.ops.ones((2, 7, 3))
        >>> tuple(LSTM(4, return_sequences=True)(x).shape)
        (2, 7, 4)
    """

    cell_class = LSTMCell

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)

    def _is_derived(self, training):
        return self.cell.is_standard(training)

    def _derived_scan(self, projected, states, keep, training):
        return derived_scan(self, projected, states, keep)


def derived_scan(layer, projected, states, keep):
    """Runs the steps of a plain LSTM, with a backward pass derived by hand.

    Args:
        layer: A layer over a `dsl.cells.LSTMCell`, or over one that has no
            past states to read.
        projected: x_t W + b, float `(time, batch, 4 * units)`.
        states: h and c, each `(batch, units)`.
        keep: None, or float `(time, batch, 1)`, 0 where a step is masked.

    Returns:
        As `dsl.layers.cell_steps.scan_steps`.
    """
    kernel = ops.cast(layer.cell.recurrent_kernel, layer.compute_dtype)
    outputs, h, c = loops.lstm(projected, kernel, *states, keep)
    return outputs, [h, c], {}
