"""The plain LSTM cell, split at what time cannot touch."""

import keras
from keras import ops

from dsl import steps
from dsl.steps import dense


@keras.saving.register_keras_serializable(package="dsl")
class LSTMCell(keras.layers.LSTMCell):
    """`keras.layers.LSTMCell` in two halves, as `dsl.layers.Recurrent` asks.

        project:  p_t = x_t W + b          (all steps at once)
        step:     z_t = p_t + h_{t-1} U,   (i, f, g, o) = squash(z_t)
                  c_t = f * c_{t-1} + i * g
                  h_t = o * tanh(c_t)

    Weights, arguments and results are those of `keras.layers.LSTMCell`.

    Args:
        units: H, the size of h and c.
        forget_bias: b_f, a constant added to the forget gate's
            pre-activation, beside the trainable bias, whose initial value
            `unit_forget_bias` sets.
        **kwargs: As for `keras.layers.LSTMCell`.

    Call arguments:
        inputs: x_t, float `(batch, features)`.
        states: h_{t-1} and c_{t-1}, each float `(batch, units)`.
        training: Whether dropout is applied.

    Returns:
        h_t, and the list of next states h_t and c_t.

    Raises:
        ValueError: If `units` is not positive.

    Example:
        >>> x = keras.ops.ones((2, 3))
        >>> cell = LSTMCell(4)
        >>> h, states = cell(x, cell.get_initial_state(2))
        >>> tuple(h.shape)
        (2, 4)

    Reference: Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000.
    """

    def __init__(self, units, forget_bias=0.0, **kwargs):
        super().__init__(units, **kwargs)
        self.forget_bias = forget_bias

    @property
    def standard_gates(self):
        """Whether the gates are sigmoid and tanh, as in `dsl.steps`."""
        return (
            self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
        )

    def is_standard(self, training):
        """Whether a step is that of `dsl.steps`, with no dropout in it."""
        drops = training and self.recurrent_dropout > 0.0
        return self.standard_gates and not drops

    def project(self, inputs, training=False):
        """x_t W + b, for any number of leading axes before the batch."""
        mask = None
        if training and self.dropout > 0.0:
            # The mask is one step wide: (batch, features).
            step = inputs if len(inputs.shape) == 2 else inputs[0]
            mask = self.get_dropout_mask(step)
        if isinstance(mask, list):
            kernels = ops.split(self.kernel, 4, axis=-1)
            z = ops.concatenate(
                [
                    dense(inputs * m, k)
                    for m, k in zip(mask, kernels, strict=True)
                ],
                axis=-1,
            )
        else:
            z = dense(inputs if mask is None else inputs * mask, self.kernel)
        bias = self._projection_bias()
        return z if bias is None else z + bias

    def _projection_bias(self):
        bias = self.bias
        if self.forget_bias:
            constant = ops.repeat(
                ops.convert_to_tensor(
                    [0.0, self.forget_bias, 0.0, 0.0], self.compute_dtype
                ),
                self.units,
            )
            bias = constant if bias is None else bias + constant
        return bias

    def step(self, projected_t, states, training=False):
        """One step from the projected input; returns output, states, {}."""
        h_t, c_t = self._advance(projected_t, *states, training)
        return h_t, [h_t, c_t], {}

    def _advance(self, projected_t, h_tm1, c_tm1, training):
        z = projected_t + self._recur(h_tm1, training)
        if self.standard_gates:
            h_t, c_t, _ = steps.lstm_state(steps.lstm_gates(z), c_tm1)
            return h_t, c_t
        c_t, o = self._compute_carry_and_output_fused(
            ops.split(z, 4, axis=-1), c_tm1
        )
        return o * self.activation(c_t), c_t

    def _recur(self, h_tm1, training):
        if not (training and self.recurrent_dropout > 0.0):
            return ops.matmul(h_tm1, self.recurrent_kernel)
        masks = self.get_recurrent_dropout_mask(h_tm1)
        kernels = ops.split(self.recurrent_kernel, 4, axis=-1)
        return ops.concatenate(
            [
                ops.matmul(h_tm1 * m, k)
                for m, k in zip(masks, kernels, strict=True)
            ],
            axis=-1,
        )

    def call(self, inputs, states, training=False):
        h_t, states, _ = self.step(
            self.project(inputs, training), states, training=training
        )
        return h_t, states

    def get_config(self):
        return {**super().get_config(), "forget_bias": self.forget_bias}
