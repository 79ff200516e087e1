"""The text that language models are timed on."""

import numpy as np


def integers():
    """The function `(high, shape, dtype)` that draws each batch alike."""
    draw = np.random.default_rng(0)
    return lambda high, shape, dtype: draw.integers(high, None, shape, dtype)


def batch(size, draw):
    """Words and the words after them, each int32 `(batch, steps)`.

    As in a text, the nth word comes in proportion to about 1 / n (Zipf's law):

        n = floor((V + 1)^u),   u uniform in [0, 1)

    Args:
        size: A `plan.Size`.
        draw: What `integers` returned.
    """
    shape, high = (size.batch, size.steps), 2**30
    uniform = (draw(high, shape, "int32") / high for _ in "xy")
    return tuple(
        np.floor((size.vocabulary + 1) ** u).astype("int32") - 1
        for u in uniform
    )


def listed(words):
    """Words as what reads characters takes them: each spelled once.

    Args:
        words: Integer `(batch, steps)`.

    Returns:
        Dict of the different `words`, `(n,)`, and of the `tokens`,
        `(batch, steps)`: which of them stands there.
    """
    found, tokens = np.unique(words, return_inverse=True)
    return {"words": found, "tokens": tokens.reshape(words.shape)}


def distinct(size):
    """How many different words a batch of this size holds."""
    words, _ = batch(size, integers())
    return len(np.unique(words))
