"""Masks of every kind that `keras.layers.LSTM` takes, read in one way."""

from keras import ops, tree


def step_mask(mask, sequences):
    """Which steps count.

    Args:
        mask: None; or a tensor of any type `(batch, time)`, `(1, time)` or
            with a last axis, of which a step counts where any value does; or
            a list of masks, of which the first counts.
        sequences: What it is for, `(batch, time, ...)`.

    Returns:
        None, or bool `(batch, time)`.

    Raises:
        ValueError: If there is not one value a step.
    """
    if tree.is_nested(mask):
        mask = mask[0]
    if mask is None:
        return None
    given = tuple(getattr(mask, "shape", ()))
    wanted = tuple(sequences.shape[:2])
    fits = len(given) in (2, 3) and (
        may_be_equal(given[1], wanted[1])
        and (given[0] == 1 or may_be_equal(given[0], wanted[0]))
    )
    if not fits:
        raise ValueError(
            "`mask` must have a value for each step, (batch, time) = "
            f"{wanted}. Received: {type(mask).__name__} of shape {given}"
        )
    mask = ops.cast(mask, "bool")
    if len(given) == 3:
        mask = ops.any(mask, axis=-1)
    batch, length = ops.shape(sequences)[:2]
    # Sizes that are known when it runs only: neither repeats a single step.
    mask = ops.broadcast_to(mask, (batch, ops.shape(mask)[1]))
    return ops.reshape(mask, (batch, length))


def may_be_equal(size, other):
    """Whether two sizes of shapes, None if not known, can be the same."""
    return None in (size, other) or size == other
