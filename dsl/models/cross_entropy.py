"""Cross-entropy: of words, with its gradient derived by hand, and of bits."""

import math

from keras import ops, tree

from dsl.loops.derivatives import by_hand
from dsl.loops.scan import after

# Logits that are kept at a time: 96 MiB in float32. Smaller blocks save nothing
# more, since each makes a gradient of the whole kernel, and take longer.
MOST_LOGITS = 3 * 2**23


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


def bit_nll(logits, targets):
    """-log p(target) of bits in nats, computed in float32.

        p = sigm(z),   -y log p - (1 - y) log(1 - p)
                       = (z + |z|) / 2 - z y + log(1 + exp(-|z|))

    whose derivative is p - y, at z = 0 too.

    Args:
        logits: z, float `(...)`.
        targets: y in [0, 1], float, of the same shape.

    Returns:
        Float32 `(...)`, differentiable in `logits`.
    """
    logits = ops.cast(logits, "float32")
    targets = ops.cast(targets, "float32")
    size = ops.abs(logits)
    certain = 0.5 * (logits + size) - logits * targets
    return certain + ops.log1p(ops.exp(-size))


def in_blocks(shape, words, most=MOST_LOGITS):
    """Whether there are more logits than are kept at a time.

    Args:
        shape: Of the positions; a size that is not known yet is None.
        words: Size of the vocabulary.
        most: Number of logits that are.

    Returns:
        Bool; False where a size is not known.
    """
    return None not in shape and math.prod(shape) * words > most


def blocked_nll(hidden, kernel, bias, targets, scale=None, most=MOST_LOGITS):
    """-log p(target) of words that are predicted from hidden states.

    The logits z = h W + b of all positions are never held together; one block
    of rows follows another. If the loss is a sum over the positions with a
    known weight, the gradient is made in the same pass:

        dz = scale * (p - onehot(y))
        dh = dz W^T,   dW = sum over blocks of h^T dz,   db likewise

    Args:
        hidden: h, float `(batch, time, features)`.
        kernel: W, `(features, words)`, of the type of `hidden`.
        bias: b, `(words,)`, likewise.
        targets: y, integer `(batch, time)`, of a shape that is known.
        scale: Weight of each position in the loss; None if there is no loss to
            differentiate.
        most: Number of logits that a block may have; a row has them all.

    Returns:
        -log p in nats, float32 `(batch, time)`, without a gradient; and
        scale * its sum, float32, differentiable in `hidden`, `kernel` and
        `bias`, or None without a scale.
    """
    flat = ops.reshape(targets, (-1,))
    rows = ops.reshape(hidden, (flat.shape[0], hidden.shape[-1]))
    bounds = _bounds(flat.shape[0], kernel.shape[-1], most)

    def result(parts):
        nll = ops.concatenate([part[0] for part in parts])
        return ops.reshape(nll, ops.shape(targets))

    if scale is None:
        parts = _run_blocks(rows, kernel, bias, flat, bounds)
        return ops.stop_gradient(result(parts)), None

    @by_hand
    def run(rows, kernel, bias):
        parts = _run_blocks(rows, kernel, bias, flat, bounds, True)
        nll = result(parts)
        d_rows = ops.concatenate([part[1] for part in parts])
        _, _, d_kernel, d_bias = parts[-1]

        def gradient(*upstream):
            _, d_loss = tree.flatten(upstream)
            weight = scale * d_loss  # All its digits, in any precision.
            return tuple(
                ops.cast(weight * ops.cast(d, "float32"), x.dtype)
                for d, x in (
                    (d_rows, rows),
                    (d_kernel, kernel),
                    (d_bias, bias),
                )
            )

        return (nll, scale * ops.sum(nll)), gradient

    nll, loss = run(rows, kernel, bias)
    return ops.stop_gradient(nll), loss


def _bounds(rows, words, most):
    """First and last row of each block, of about equal sizes."""
    count = -(-rows // max(1, most // words))
    cuts = [rows * n // count for n in range(count + 1)]
    return list(zip(cuts[:-1], cuts[1:], strict=True))


def _run_blocks(rows, kernel, bias, targets, bounds, derive=False):
    """Of each block -log p and, to derive, dh, and dW and db up to it."""
    parts = []
    d_kernel, d_bias = None, None
    for start, end in bounds:
        block = rows[start:end]
        if parts:
            block = after(block, parts[-1])
        logits = ops.cast(ops.matmul(block, kernel) + bias, "float32")
        nll, p, at = _forward(logits, targets[start:end])
        if not derive:
            parts.append((nll,))
            continue
        dz = _minus_one(after(p, nll), at, targets[start:end])
        narrow = ops.cast(dz, block.dtype)
        d_block = ops.matmul(narrow, ops.transpose(kernel))
        product = ops.cast(ops.matmul(ops.transpose(block), narrow), "float32")
        total = ops.sum(dz, axis=0)
        d_kernel = product if d_kernel is None else d_kernel + product
        d_bias = total if d_bias is None else d_bias + total
        parts.append((nll, d_block, d_kernel, d_bias))
    return parts


def _nll(logits, targets):
    """`token_nll` of logits `(n, words)` and targets `(n,)`."""

    @by_hand
    def run(logits):
        nll, p, at = _forward(logits, targets)

        def gradient(*args, upstream=None):
            (upstream,) = args or (upstream,)
            return _minus_one(p, at, targets) * upstream[:, None]

        return nll, gradient

    return run(logits)


def _forward(logits, targets):
    """-log p of each target, p, and where in p the targets are."""
    p = ops.softmax(logits, axis=-1)
    rows = ops.arange(ops.shape(logits)[0], dtype="int32")
    at = ops.stack([rows, ops.cast(targets, "int32")], axis=-1)
    target_logit = _take(logits, targets)
    nll = ops.max(logits, axis=-1) - target_logit - ops.log(ops.max(p, axis=-1))
    return nll, p, at


def _minus_one(p, at, targets):
    """p - onehot(targets)."""
    return ops.scatter_update(p, at, _take(p, targets) - 1.0)


def _take(values, columns):
    """values[n, columns[n]], `(n,)`."""
    return ops.take_along_axis(
        values, ops.cast(columns, "int32")[:, None], axis=-1
    )[:, 0]
