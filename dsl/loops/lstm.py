"""The plain LSTM over time, with its backward pass derived by hand."""

from keras import ops, tree

from dsl import steps
from dsl.loops.derivatives import by_hand
from dsl.loops.scan import scan


def lstm(projected, recurrent_kernel, h_0, c_0, keep=None):
    """Runs an LSTM over a sequence.

        z_t = projected_t + h_{t-1} U,  then the equations in `dsl.steps`

    The backward pass saves the gates instead of recomputing them, multiplies
    with a kernel transposed once, and takes the kernel's gradient as one
    product over all steps:

        dh_{t-1} = dz_t U^T,   dU = sum_t h_{t-1}^T dz_t

    Args:
        projected: x_t W + b, float `(time, batch, 4 * units)`.
        recurrent_kernel: U, `(units, 4 * units)`.
        h_0: Hidden state before the first step, `(batch, units)`.
        c_0: Cell state before the first step, `(batch, units)`.
        keep: Optional float `(time, batch, 1)`; where it is 0 the step is
            skipped and the state stays.

    Returns:
        h after each step, `(time, batch, units)`; final h; final c.
    """
    optional = () if keep is None else (keep,)

    @by_hand
    def run(projected, recurrent_kernel, h_0, c_0, *optional):
        keep = optional[0] if optional else None
        saved, (h_last, c_last) = _forward(
            projected, recurrent_kernel, h_0, c_0, keep
        )
        outputs = saved["h"]

        def gradient(*upstream):
            d_outputs, dh_last, dc_last = tree.flatten(upstream)
            grads = _backward(
                saved,
                recurrent_kernel,
                (h_0, c_0, keep),
                (d_outputs, dh_last, dc_last),
            )
            return (*grads, *(ops.zeros_like(x) for x in optional))

        return (outputs, h_last, c_last), gradient

    return run(projected, recurrent_kernel, h_0, c_0, *optional)


def shift(sequence, first):
    """Puts `first` before a sequence and drops its last element."""
    return ops.concatenate([first[None], sequence[:-1]], axis=0)


def kernel_gradient(inputs, dz):
    """Gradient of U in `z_t = x_t U`, summed over time: one product.

    Args:
        inputs: x_t, float `(time, batch, features)`.
        dz: Gradient of z_t, `(time, batch, 4 * units)`.

    Returns:
        `(features, 4 * units)`.
    """
    rows = ops.reshape(inputs, (-1, inputs.shape[-1]))
    return ops.matmul(ops.transpose(rows), ops.reshape(dz, (-1, dz.shape[-1])))


def _forward(projected, recurrent_kernel, h_0, c_0, keep):
    def step(states, inputs):
        h_tm1, c_tm1 = states
        z = inputs["projected"] + ops.matmul(h_tm1, recurrent_kernel)
        gates = steps.lstm_gates(z)
        h_t, c_t, tanh_c = steps.lstm_state(gates, c_tm1)
        if keep is not None:
            h_t = ops.where(inputs["keep"] > 0, h_t, h_tm1)
            c_t = ops.where(inputs["keep"] > 0, c_t, c_tm1)
        saved = {"gates": gates, "tanh_c": tanh_c, "h": h_t, "c": c_t}
        return (h_t, c_t), saved

    inputs = {"projected": projected}
    if keep is not None:
        inputs["keep"] = keep
    states, saved = scan(step, (h_0, c_0), inputs)
    return saved, states


def _backward(saved, recurrent_kernel, start, upstream):
    h_0, c_0, keep = start
    d_outputs, dh_last, dc_last = upstream
    transposed = ops.transpose(recurrent_kernel)
    h_tm1 = shift(saved["h"], h_0)

    def step(states, inputs):
        dh, dc = states
        dh = dh + inputs["d_output"]
        dz, dc_tm1 = steps.lstm_gradient(
            inputs["gates"], inputs["tanh_c"], inputs["c_tm1"], dh, dc
        )
        if keep is not None:
            dz = dz * inputs["keep"]
        dh_tm1 = ops.matmul(dz, transposed)
        if keep is not None:
            stay = 1.0 - inputs["keep"]
            dh_tm1 = dh_tm1 + stay * dh
            dc_tm1 = dc_tm1 * inputs["keep"] + stay * dc
        return (dh_tm1, dc_tm1), dz

    inputs = {
        "d_output": d_outputs,
        "gates": saved["gates"],
        "tanh_c": saved["tanh_c"],
        "c_tm1": shift(saved["c"], c_0),
    }
    if keep is not None:
        inputs["keep"] = keep
    (dh_0, dc_0), dz = scan(step, (dh_last, dc_last), inputs, reverse=True)
    return dz, kernel_gradient(h_tm1, dz), dh_0, dc_0
