"""The buffer of past states: flat at interfaces, one axis a distance inside."""

from keras import ops


def stack_slots(newest, past):
    """States at distances 1 to K from the newest and the flat rest.

    Args:
        newest: s_{t-1}, `(batch, units)`.
        past: s_{t-2}, s_{t-3}, ..., `(batch, (K - 1) * units)`.

    Returns:
        `(batch, K, units)`.
    """
    units = newest.shape[-1]
    past = ops.reshape(past, (-1, past.shape[-1] // units, units))
    return ops.concatenate([newest[:, None], past], axis=1)


def flatten_slots(slots):
    """`(batch, n, units)` -> `(batch, n * units)`."""
    return ops.reshape(slots, (-1, slots.shape[1] * slots.shape[2]))


def split_slots(states):
    """Flat states of the cell -> K tensors `[h ; c]`, nearest first.

    Args:
        states: h, c, past_h, past_c, as `dsl.cells.DynamicSkipLSTMCell`
            lists them.

    Returns:
        List of K tensors `(batch, 2 * units)`.
    """
    h, c, past_h, past_c = states
    both = ops.concatenate(
        [stack_slots(h, past_h), stack_slots(c, past_c)], axis=-1
    )
    return [both[:, k] for k in range(both.shape[1])]


def join_slots(slots):
    """The reverse of `split_slots`."""
    newest, *past = slots
    h, c = ops.split(newest, 2, axis=-1)
    pairs = [ops.split(slot, 2, axis=-1) for slot in past]
    past_h, past_c = (
        ops.concatenate(list(parts), axis=-1)
        for parts in zip(*pairs, strict=True)
    )
    return [h, c, past_h, past_c]


def best_action(scores):
    """The action with the largest score, the first of several.

    As `keras.ops.argmax`, but for a zero's sign, which that looks at by bit
    operations that few formats for export have.

    Args:
        scores: Float `(..., K)`.

    Returns:
        Int32 `(...)` in [0, K).
    """
    num_actions = scores.shape[-1]
    largest = ops.max(scores, axis=-1, keepdims=True)
    actions = ops.arange(num_actions, dtype="int32")
    # Not the equal ones: where a score is no number there must be one, too.
    return ops.min(ops.where(scores < largest, num_actions, actions), axis=-1)
