"""What the papers report, computed from what a model returns."""

import functools
import math

import numpy as np

# Rows times draws of a bootstrap that are kept for the next one, a byte each.
_MOST_KEPT = 2**26


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


def excess_nll(perplexity, true_perplexity):
    """How far a perplexity is from the true one, of a known distribution.

        log(perplexity / true_perplexity)

    estimates, in nats a word, the Kullback-Leibler divergence of the model
    from the truth.

    Args:
        perplexity: Of the model, on a text drawn from the distribution.
        true_perplexity: Of the distribution itself, on the same text.

    Returns:
        A float.

    Raises:
        ValueError: If one of them is not above 0.
    """
    if min(perplexity, true_perplexity) <= 0.0:
        raise ValueError(
            "perplexities must be above 0. "
            f"Received: {perplexity!r} and {true_perplexity!r}"
        )
    return math.log(perplexity / true_perplexity)


def bits_per_character(nll, characters=None):
    """Mean negative log-likelihood per character, in bits.

        sum of -log p / (number of characters * ln 2)

    Where each token is a character, this is log2 of the perplexity. For a
    text of words the characters are those of the words and what parts them.

    Args:
        nll: -log p of each token in nats, any shape.
        characters: Number of characters that the tokens stand for; the number
            of tokens by default.

    Returns:
        Python float.

    Reference: Graves 2013, arXiv:1308.0850, section 3.1.
    """
    nll = np.asarray(nll, dtype=np.float64)
    count = nll.size if characters is None else characters
    return float(nll.sum() / (count * math.log(2.0)))


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


def paired_bootstrap(
    nll_a, nll_b, sentence, *, samples=10_000, level=0.95, seed=0
):
    """Interval of the difference of two perplexities over the same text.

    Sentences are drawn with replacement, as many as there are, the same ones
    for both systems, each with all of its tokens:

        difference = exp(mean(nll_b)) - exp(mean(nll_a))

    The interval lies between the percentiles of the difference over the
    draws. It speaks of the choice of the text, not of how much a system
    varies from one training to the next.

    Args:
        nll_a: -log p of each token under the first system, in nats, any
            shape.
        nll_b: The same of the second system.
        sentence: Number of the sentence that each token belongs to, integers
            of the same shape.
        samples: Number of draws.
        level: Share of the draws inside of the interval, in (0, 1).
        seed: Of the draws.

    Returns:
        Dict of floats: `difference`, the perplexity of b minus that of a, and
        `low` and `high`, the ends of its interval.

    Raises:
        ValueError: If the shapes differ, there is no token, a value or a
            perplexity is not finite, `level` is not in (0, 1) or `samples` is
            below 1; or if all tokens are of one sentence: all draws are the
            same then, and tell nothing.

    Reference: Koehn, Statistical Significance Tests for Machine Translation
    Evaluation, EMNLP 2004, https://aclanthology.org/W04-3250.
    """
    nll_a = np.asarray(nll_a, dtype=np.float64)
    nll_b = np.asarray(nll_b, dtype=np.float64)
    sentence = np.asarray(sentence)
    _check_paired(nll_a, nll_b, sentence)
    if not 0.0 < level < 1.0:
        raise ValueError(
            "`level` is a share of the draws and must lie between 0 and 1. "
            f"Received: level={level!r}"
        )
    if samples < 1:
        raise ValueError(
            "`samples` is the number of draws and must be at least 1. "
            f"Received: samples={samples!r}"
        )
    _, index = np.unique(sentence.ravel(), return_inverse=True)
    # exp(b) - exp(a) = exp(a) * (exp(b - a) - 1): exactly 0 for equal systems.
    columns = (np.ones(nll_a.size), nll_a.ravel(), (nll_b - nll_a).ravel())
    sums = np.stack([np.bincount(index, column) for column in columns], axis=1)
    count, total, change = resampled_sums(sums, samples, seed).T
    with np.errstate(over="ignore", invalid="ignore"):
        draws = np.exp(total / count) * np.expm1(change / count)
    if not np.isfinite(draws).all():
        raise ValueError(
            "`nll_a` and `nll_b` must have finite perplexities. Received: "
            f"means of {nll_a.mean():g} and {nll_b.mean():g} nats"
        )
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return {
        "difference": perplexity(nll_b) - perplexity(nll_a),
        "low": float(low),
        "high": float(high),
    }


def _check_paired(nll_a, nll_b, sentence):
    """Raises ValueError unless two systems scored the same tokens."""
    if not nll_a.shape == nll_b.shape == sentence.shape:
        raise ValueError(
            "`nll_a`, `nll_b` and `sentence` must have the same shape. "
            f"Received: {nll_a.shape}, {nll_b.shape} and {sentence.shape}"
        )
    if not nll_a.size:
        raise ValueError(
            "`nll_a` must hold at least one token. Received: "
            f"shape {nll_a.shape}"
        )
    for name, nll in (("nll_a", nll_a), ("nll_b", nll_b)):
        infinite = nll[~np.isfinite(nll)]
        if infinite.size:
            raise ValueError(
                f"`{name}` must be finite. Received: {infinite[0]} among "
                f"{nll.size:,} values"
            )
    if (sentence == sentence.flat[0]).all():
        raise ValueError(
            "`sentence` must tell two sentences or more apart, which an "
            "interval is over. Received: one"
        )


def resampled_sums(sums, samples, seed):
    """Sums over rows drawn with replacement, as many as there are, each time.

    Args:
        sums: Float `(rows, columns)`.
        samples: Number of draws.
        seed: Of the draws.

    Returns:
        Float `(samples, columns)`.
    """
    rows = len(sums)
    kept = rows * samples <= _MOST_KEPT
    drawn = (_kept_draws if kept else _draws)(rows, samples, seed)
    return np.concatenate([times @ sums for times in drawn])


def _draws(rows, samples, seed):
    """How often each row is drawn, each time, in blocks of bounded memory."""
    rng = np.random.default_rng(seed)
    at_once = max(1, 2**20 // rows)
    for start in range(0, samples, at_once):
        draws = min(at_once, samples - start)
        drawn = rng.integers(rows, size=(draws, rows))
        drawn += rows * np.arange(draws)[:, None]
        times = np.bincount(drawn.ravel(), minlength=draws * rows)
        yield times.reshape(draws, rows)


@functools.lru_cache(maxsize=1)
def _kept_draws(rows, samples, seed):
    """`_draws` as a list: many runs are compared over one text."""
    return [
        times.astype(np.min_scalar_type(times.max()))
        for times in _draws(rows, samples, seed)
    ]
