"""Which choices a reward at the end is credited to.

`_t` marks an axis of time, always the last one.
"""

from keras import ops

from dsl.loops.scan import scan


def at_end(r_t, length):
    """Rewards of the last steps alone, as rewards of all steps.

    Args:
        r_t: Rewards of the last n steps, float `(batch, n)`.
        length: Steps in all, at least n.

    Returns:
        Float `(batch, length)`, zeros before the last n steps.
    """
    return ops.pad(r_t, [[0, 0], [length - ops.shape(r_t)[-1], 0]])


def path_weight(look_back):
    """Tells which choices lead from the last state back to the start.

        w_t = 1 if t = p, else 0;   p <- t - k_t where t = p;   p = T at first

    With lambda = 1 the last state depends on the states along this path and
    on no other. Where the policy sees the inputs alone, all other choices are
    noise, and the gradient is exact. Else it is a heuristic, which the paper
    does not have: a choice off the path changes what later policies see, and
    with lambda < 1 every state also passes on the one before it.

    Args:
        look_back: Distances k_t, integer `(batch, time)`.

    Returns:
        w_t, float32 `(batch, time)`.
    """

    def step(at, inputs):
        t, distance = inputs
        here = ops.equal(at, t)
        return ops.where(here, t - distance, at), ops.cast(here, "float32")

    distances = ops.transpose(ops.cast(look_back, "int32"))
    length = ops.shape(distances)[0]
    steps = ops.arange(length, dtype="int32")
    last = ops.full_like(distances[0], length - 1)
    return ops.transpose(scan(step, last, (steps, distances), reverse=True)[1])
