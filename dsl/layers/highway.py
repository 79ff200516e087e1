"""The highway layer."""

import keras
from keras import ops

from dsl.initializers import again
from dsl.steps import dense


@keras.saving.register_keras_serializable(package="dsl")
class Highway(keras.layers.Layer):
    """Transforms a vector, or lets it pass.

        t = sigm(C x + d + transform_bias)
        z = t * g(A x + a) + (1 - t) * x

    Args:
        activation: g.
        transform_bias: Constant added to the gate's pre-activation, beside
            the trainable d; below 0, most passes at first.
        kernel_initializer: For A and C.
        bias_initializer: For a and d.

    Call arguments:
        inputs: x, float `(..., units)`.

    Returns:
        z, float, same shape.

    Example:
        >>> tuple(Highway()(keras.ops.ones((2, 3))).shape)
        (2, 3)

    Reference: Srivastava, Greff & Schmidhuber 2015, arXiv:1505.00387.
    """

    def __init__(
        self,
        activation="relu",
        transform_bias=-2.0,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)
        self.transform_bias = transform_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape):
        units = input_shape[-1]
        self.kernel = self._add_kernel("kernel", units)
        self.bias = self._add_bias("bias", units)
        self.gate_kernel = self._add_kernel("gate_kernel", units)
        self.gate_bias = self._add_bias("gate_bias", units)

    def _add_kernel(self, name, units):
        return self.add_weight(
            shape=(units, units),
            name=name,
            initializer=again(self.kernel_initializer),
        )

    def _add_bias(self, name, units):
        return self.add_weight(
            shape=(units,), name=name, initializer=again(self.bias_initializer)
        )

    def call(self, inputs):
        gate = dense(inputs, self.gate_kernel) + self.gate_bias
        gate = ops.sigmoid(gate + self.transform_bias)
        new = self.activation(dense(inputs, self.kernel) + self.bias)
        return gate * new + (1.0 - gate) * inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "transform_bias": self.transform_bias,
            "kernel_initializer": serialize(self.kernel_initializer),
            "bias_initializer": serialize(self.bias_initializer),
        }
