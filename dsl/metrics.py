"""What the papers report, computed from what a model returns."""

import math

import numpy as np


def perplexity(nll, count=None):
    """exp of the mean negative log-likelihood per predicted token.

    Args:
        nll: -log p of each token in nats, any shape; or their sum, if `count`
            is given.
        count: Number of predicted tokens.

    Returns:
        Python float; infinity where the mean exceeds what a float can hold,
        NaN where a token's is NaN.
    """
    nll = np.asarray(nll, dtype=np.float64)
    mean = nll.mean() if count is None else nll.sum() / count
    return math.inf if mean > 700.0 else math.exp(mean)


def look_back_histogram(look_back, num_actions):
    """Share of each look-back distance.

    Args:
        look_back: Integer array of distances in 1..K; zeros (masked steps)
            are left out.
        num_actions: K.

    Returns:
        List of K floats that sum to 1, or of zeros when nothing was counted.
    """
    counts = np.bincount(
        np.asarray(look_back).ravel(), minlength=num_actions + 1
    )[1:]
    return (counts / max(counts.sum(), 1)).tolist()


def mean_look_back(histogram):
    """Mean distance under a histogram of the distances 1..K."""
    return float(np.dot(np.arange(1, len(histogram) + 1), histogram))
