"""One-step equations of the recurrent cells, and their derivatives.

And what cells, layers and models have in common. Gates stand in Keras' order:
input i, forget f, candidate g, output o.
"""

import keras
from keras import ops


def lstm_gates(z):
    """Splits and squashes the pre-activations of an LSTM.

        i, f, o = sigm(z_i), sigm(z_f), sigm(z_o),  g = tanh(z_g)

    Args:
        z: Pre-activations, float `(batch, 4 * units)`.

    Returns:
        i, f, g, o, each `(batch, units)`.
    """
    z_i, z_f, z_g, z_o = ops.split(z, 4, axis=-1)
    return ops.sigmoid(z_i), ops.sigmoid(z_f), ops.tanh(z_g), ops.sigmoid(z_o)


def lstm_state(gates, c_tm1):
    """Updates the state of an LSTM (Hochreiter & Schmidhuber 1997).

        c_t = f * c_tm1 + i * g
        h_t = o * tanh(c_t)

    Args:
        gates: i, f, g, o, each float `(batch, units)`.
        c_tm1: Cell state that the forget gate multiplies, `(batch, units)`.

    Returns:
        h_t, c_t and tanh(c_t), each `(batch, units)`.
    """
    i, f, g, o = gates
    c_t = f * c_tm1 + i * g
    tanh_c = ops.tanh(c_t)
    return o * tanh_c, c_t, tanh_c


def lstm_gradient(gates, tanh_c, c_tm1, dh_t, dc_t):
    """Derivative of `lstm_gates` followed by `lstm_state`.

        do = dh_t * tanh(c_t)
        dc = dc_t + dh_t * o * (1 - tanh(c_t)^2)
        dz_i, dz_f = dc * g * i * (1 - i), dc * c_tm1 * f * (1 - f)
        dz_g, dz_o = dc * i * (1 - g^2), do * o * (1 - o)

    Args:
        gates: i, f, g, o of the forward step, each float `(batch, units)`.
        tanh_c: tanh(c_t), `(batch, units)`.
        c_tm1: The cell state that entered the step, `(batch, units)`.
        dh_t: Gradient of the loss with respect to h_t, `(batch, units)`.
        dc_t: The same with respect to c_t, `(batch, units)`.

    Returns:
        dz, `(batch, 4 * units)`, and the gradient with respect to c_tm1.
    """
    i, f, g, o = gates
    dh_o = dh_t * o
    dc = dc_t + dh_o - dh_o * tanh_c * tanh_c
    dc_i = dc * i
    dc_f = dc * f
    dz = ops.concatenate(
        [
            dc_i * g * (1.0 - i),
            dc_f * c_tm1 * (1.0 - f),
            dc_i - dc_i * g * g,
            dh_o * tanh_c * (1.0 - o),
        ],
        axis=-1,
    )
    return dz, dc_f


def mix(selected, previous, skip_weight):
    """Blends the selected past state with the previous one (Gui et al. 2019).

        s~ = lambda * s_{t-k} + (1 - lambda) * s_{t-1}

    Args:
        selected: s_{t-k}, float `(batch, features)`.
        previous: s_{t-1}, `(batch, features)`.
        skip_weight: lambda, a Python float in [0, 1].

    Returns:
        s~, `(batch, features)`.
    """
    if skip_weight == 1.0:
        return selected
    if skip_weight == 0.0:
        return previous
    return skip_weight * selected + (1.0 - skip_weight) * previous


def dense(inputs, kernel):
    """`inputs @ kernel` over all leading axes as one matrix product.

    Args:
        inputs: Float `(..., features)`.
        kernel: `(features, outputs)`.

    Returns:
        `(..., outputs)`.
    """
    if len(inputs.shape) == 2:
        return ops.matmul(inputs, kernel)
    rows = ops.matmul(ops.reshape(inputs, (-1, inputs.shape[-1])), kernel)
    lead = ops.shape(inputs)[:-1]
    return ops.reshape(rows, (*lead, kernel.shape[-1]))


def output_size(cell):
    """Width of a cell's output: that of its first state, unless it says so."""
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size
    return size[0] if isinstance(size, list | tuple) else size


def as_ids(x):
    """Ids as integers: a `keras.Input` is float unless it is told otherwise.

    Args:
        x: Ids, a tensor of any type and shape.

    Returns:
        The same, int32 or int64.
    """
    if keras.backend.standardize_dtype(x.dtype) in ("int32", "int64"):
        return x
    return ops.cast(x, "int32")


def wide_dtype(dtype):
    """The dtype in which probabilities are computed: float32 or wider."""
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def wide(x):
    """Casts half precision to float32."""
    return ops.cast(x, wide_dtype(keras.backend.standardize_dtype(x.dtype)))
