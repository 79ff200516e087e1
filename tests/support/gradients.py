"""Gradients of a number with respect to variables and tensors.

One function, whichever backend Keras runs on.
"""

import keras
import numpy as np


def gradients(function, variables, tensors=()):
    """Value and gradients of `function(*tensors)`.

    Args:
        function: Takes the tensors, returns a scalar tensor. It may read the
            variables and advance seed generators (under JAX, the new states
            of seed generators are dropped).
        variables: Keras variables.
        tensors: Float arrays.

    Returns:
        `(value, gradients by variable, gradients by tensor)` in NumPy; a
        quantity that the value does not depend on has a gradient of zeros.
    """
    find = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    value, of_variables, of_tensors = find[keras.backend.backend()](
        function, variables, tensors
    )
    return (
        float(value),
        [np.asarray(gradient) for gradient in of_variables],
        [np.asarray(gradient) for gradient in of_tensors],
    )


def penalty(function):
    """The squared norm of a gradient, as a function of the same tensors.

    What a gradient penalty adds to a loss; its gradient is a derivative of
    the second order.
    """

    def squared_norm(*tensors):
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                tape.watch(tensors)
                value = function(*tensors)
            found = tape.gradient(value, tensors)
        else:
            import jax

            found = jax.grad(function, tuple(range(len(tensors))))(*tensors)
        return sum(keras.ops.sum(keras.ops.square(one)) for one in found)

    return squared_norm


def _tensorflow(function, variables, tensors):
    import tensorflow as tf

    tensors = [tf.convert_to_tensor(tensor) for tensor in tensors]
    values = [variable.value for variable in variables]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    found = tape.gradient(
        value,
        [values, tensors],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    # An embedding's gradient comes as rows.
    of_variables = [tf.convert_to_tensor(gradient) for gradient in found[0]]
    return value, of_variables, found[1]


def _jax(function, variables, tensors):
    import jax

    def pure(values, tensors):
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*tensors)

    values = [variable.value for variable in variables]
    tensors = [jax.numpy.asarray(tensor) for tensor in tensors]
    value, found = jax.value_and_grad(pure, argnums=(0, 1))(values, tensors)
    return value, found[0], found[1]


def _torch(function, variables, tensors):
    import torch

    tensors = [torch.tensor(tensor, requires_grad=True) for tensor in tensors]
    value = function(*tensors)
    sources = [*(variable.value for variable in variables), *tensors]
    found = torch.autograd.grad(value, sources, allow_unused=True)
    found = [
        torch.zeros_like(source) if gradient is None else gradient
        for gradient, source in zip(found, sources, strict=True)
    ]
    found = [gradient.detach() for gradient in found]
    count = len(variables)
    return value.detach(), found[:count], found[count:]
