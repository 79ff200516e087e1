"""Cross-entropy of words, with its gradient derived by hand."""

from keras import ops


def token_nll(logits, targets):
    """-log p(target) in nats, computed in float32.

        p = softmax(z),   -log p_y = (max z - z_y) - log max p
        dz = (p - onehot(y)) * upstream

    The largest probability is at least 1 / words, so that its logarithm is
    exact where p_y itself has underflown. Over a large vocabulary the softmax
    is bound by memory: both passes read and write as little as they can.

    Args:
        logits: z, float `(batch, time, words)`.
        targets: y, integer `(batch, time)`.

    Returns:
        Float32 `(batch, time)`, differentiable in `logits`.
    """
    words = logits.shape[-1]
    flat = _nll(
        ops.cast(ops.reshape(logits, (-1, words)), "float32"),
        ops.reshape(targets, (-1,)),
    )
    return ops.reshape(flat, ops.shape(targets))


def _nll(logits, targets):
    """`token_nll` of logits `(n, words)` and targets `(n,)`."""

    @ops.custom_gradient
    def run(logits):
        p = ops.softmax(logits, axis=-1)
        rows = ops.arange(ops.shape(logits)[0], dtype="int32")
        at = ops.stack([rows, ops.cast(targets, "int32")], axis=-1)
        target_logit = _take(logits, targets)
        nll = (
            ops.max(logits, axis=-1)
            - target_logit
            - ops.log(ops.max(p, axis=-1))
        )

        def gradient(*args, upstream=None):
            (upstream,) = args or (upstream,)
            difference = ops.scatter_update(p, at, _take(p, targets) - 1.0)
            return difference * upstream[:, None]

        return nll, gradient

    return run(logits)


def _take(values, columns):
    """values[n, columns[n]], `(n,)`."""
    return ops.take_along_axis(
        values, ops.cast(columns, "int32")[:, None], axis=-1
    )[:, 0]
