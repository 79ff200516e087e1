"""The steps of a cell over time, as the framework differentiates them."""

from keras import ops

from dsl.loops.scan import scan
from dsl.steps import output_size, wide


def scan_steps(
    cell, projected, states, keep, training, per_step=None, constant=None
):
    """Runs `cell.step` over time.

    Args:
        cell: A cell; see `dsl.layers.Recurrent`.
        projected: What `cell.project` gave, each `(time, batch, ...)`.
        states: List of states, each `(batch, size)`.
        keep: None, or float `(time, batch, 1)`, 0 where a step is masked.
        training: Whether the cell is in training mode.
        per_step: Further arguments of `cell.step`, a dict of tensors `(time,
            batch, ...)`, one slice a step.
        constant: Further arguments that are the same at each step.

    Returns:
        Outputs `(time, batch, units)`, repeated at masked steps; final states;
        and a dict of extras, each `(time, batch, ...)` and 0 at masked steps.
    """
    constant = constant or {}
    inputs = {"projected": projected, "per_step": per_step or {}}
    if keep is not None:
        inputs["keep"] = keep

    def step(carried, inputs):
        states, last_output = carried
        output, new_states, extras = cell.step(
            inputs["projected"],
            states,
            training=training,
            **constant,
            **inputs["per_step"],
        )
        if keep is not None:
            counts = inputs["keep"] > 0
            new_states = [
                ops.where(counts, new, old)
                for new, old in zip(new_states, states, strict=True)
            ]
            output = ops.where(counts, output, last_output)
            extras = {key: _zero_unless(counts, x) for key, x in extras.items()}
        return (list(new_states), output), (output, extras)

    nothing = ops.zeros_like(states[0][:, :1]) + ops.zeros(
        (1, output_size(cell)), states[0].dtype
    )
    carried, (outputs, extras) = scan(step, (list(states), nothing), inputs)
    return outputs, carried[0], extras


def output(outputs, keep, zero_output_for_mask, return_sequences):
    """Time-major outputs as `keras.layers.RNN` returns them.

    Args:
        outputs: Float `(time, batch, units)`, repeated at masked steps.
        keep: None, or float `(time, batch, 1)`, 0 where a step is masked.
        zero_output_for_mask: Whether outputs at masked steps are zeros.
        return_sequences: Whether all outputs are returned.

    Returns:
        Float `(batch, time, units)`, or `(batch, units)`.
    """
    if keep is not None and zero_output_for_mask:
        outputs = outputs * keep
    elif keep is not None:
        # As in Keras, zeros before the first unmasked step.
        seen = ops.cumsum(keep, axis=0) > 0
        outputs = outputs * ops.cast(seen, outputs.dtype)
    if return_sequences:
        return ops.transpose(outputs, (1, 0, 2))
    return outputs[-1]


def step_weights(outputs, keep):
    """Which steps count.

    Args:
        outputs: Float `(time, batch, units)`.
        keep: None, or float `(time, batch, 1)`, 0 where a step is masked.

    Returns:
        1, or 0 at masked steps, float32 or wider, `(time, batch)`.
    """
    if keep is None:
        return ops.ones_like(wide(outputs[:, :, 0]))
    return wide(keep)[:, :, 0]


def _zero_unless(counts, x):
    """Zeros in the rows of `x` where `counts`, bool `(batch, 1)`, is False."""
    counts = ops.reshape(counts, (-1, *[1] * (len(x.shape) - 1)))
    return x * ops.cast(counts, x.dtype)
