"""What copies are worth, and which states they were read from."""

import math
import time

import numpy as np

from copy_task.model import reaching
from dsl.experiment import kinds
from dsl.scoring.transducers import TransducerScorer

_Z = 1.959963984540054  # Of a normal distribution, for 95 %.


def make_scorer(args, model, length=None):
    """What runs sequences through a model.

    Args:
        args: The settings.
        model: The trained model.
        length: Vectors of their patterns, for which it gets the past states
            that they need; None leaves it those that it has.
    """
    if length is not None:
        model = reaching(args, model, length)
    return TransducerScorer(model, "greedy", kinds.jit_compile(args))


def measure(logits, examples):
    """What the copies of examples are worth.

    Args:
        logits: Float `(n, steps, bits)`.
        examples: The `dsl.datasets.copying.Examples`.

    Returns:
        Dict of the `loss`, nats a bit over all steps; the `published_loss`,
        see there; the `answer_loss`, over the answers alone;
        `bits_per_sequence`, -log2 p of a whole answer; the `bit_errors`, their
        share in the answers; and the share of `exact` answers. Of the last
        three also the ends of an interval of 95 %, `<name>_low` and
        `<name>_high`, over the sequences.
    """
    logits = np.asarray(logits, np.float64)
    settings, answer = examples.settings, examples.answer[:, :, None]
    nll = bit_nll(logits, examples.targets)
    wrong = ((logits > 0) != examples.ones) & answer
    # Of a sequence: nats of its answer, and its wrong bits.
    bits = (bit_nll(logits, examples.ones) * answer).sum(
        axis=(1, 2)
    ) / math.log(2.0)
    share = wrong.sum(axis=(1, 2)) / (examples.lengths * settings.bits)
    exact = ~wrong.any(axis=(1, 2))
    return {
        "loss": float(nll.mean()),
        "published_loss": published_loss(logits, examples),
        "answer_loss": float(nll[examples.answer].mean()),
        **_with_interval("bits_per_sequence", bits),
        **_with_interval("bit_errors", share),
        "exact": float(exact.mean()),
        **_wilson("exact", int(exact.sum()), len(exact)),
    }


def bit_nll(logits, targets):
    """-log p of bits in nats, as `dsl.models.cross_entropy.bit_nll`."""
    certain = np.maximum(logits, 0.0) - logits * targets
    return certain + np.log1p(np.exp(-np.abs(logits)))


def probabilities(logits):
    """sigm(z) of logits, float64."""
    z = np.clip(np.asarray(logits, np.float64), -60.0, 60.0)
    return 1.0 / (1.0 + np.exp(-z))


def published_loss(logits, examples, low=0.001):
    """The loss of the published code, in nats a bit over all steps.

        q = low + (1 - low) p,   -y log q - (1 - y) log(1 - q)

    of targets y of `low` or 1, with q clipped as there. A model that is trained
    on bits says how likely a 1 is, p, and q is what it then expects of y; one
    that is trained on y gives q itself. The least that there is of it, 0.00693
    for lengths of 1 to 20, is `published_floor`.

    Args:
        logits: Float `(n, steps, bits)`.
        examples: The `dsl.datasets.copying.Examples`.
        low: The published target of a 0.
    """
    q = probabilities(logits)
    if examples.settings.low != low:
        q = low + (1.0 - low) * q
    return _clipped_loss(q, np.where(examples.ones, 1.0, low))


def published_floor(examples, low=0.001):
    """The `published_loss` of the targets themselves."""
    targets = np.where(examples.ones, 1.0, low)
    return _clipped_loss(targets, targets)


def _clipped_loss(q, y):
    one = y * np.log(np.clip(q, 1e-6, 0.9999))
    zero = (1.0 - y) * np.log(np.clip(1.0 - q, 1e-10, 0.9999))
    return float(-(one + zero).mean())


def _with_interval(name, values):
    """The mean over sequences, and the ends of its interval."""
    mean = float(values.mean())
    half = _Z * float(values.std(ddof=1)) / math.sqrt(len(values))
    return {name: mean, f"{name}_low": mean - half, f"{name}_high": mean + half}


def _wilson(name, successes, count):
    """The ends of Wilson's interval of a share (Wilson 1927)."""
    share, z = successes / count, _Z
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(
        share * (1 - share) / count + z * z / (4 * count * count)
    )
    scale = 1 + z * z / count
    low = max((middle - half) / scale, 0.0)
    high = min((middle + half) / scale, 1.0)
    # By rounding, an end may pass a share of 0 or 1.
    return {f"{name}_low": min(low, share), f"{name}_high": max(high, share)}


def measure_all(args, model, data, split):
    """Measures a split and, of the test, each length.

    Returns:
        Dict as `measure` gives it; for each length M of the test the same with
        "_M" behind each name; `examples`, of each length the first sequence's
        output in percent and where it read; and `seconds`.
    """
    started = time.perf_counter()
    examples = getattr(data, split)
    scored = make_scorer(args, model).score(examples.inputs, seed=args.seed)
    found = measure(scored["logits"], examples)
    found["published_floor"] = published_floor(examples)
    found["sequences"] = len(examples)
    if split == "test":
        found["examples"] = {}
        for length, examples in data.lengths.items():
            scored = score_length(args, model, data, length)
            measured = measure(scored["logits"], examples)
            found |= {f"{k}_{length}": v for k, v in measured.items()}
            found["examples"][str(length)] = example(scored)
    found["seconds"] = time.perf_counter() - started
    return found


def score_length(args, model, data, length):
    """Runs the test sequences of a length: `logits` and `look_back` of each."""
    scorer = make_scorer(args, model, length)
    return scorer.score(data.lengths[length].inputs, seed=args.seed)


def example(scored):
    """The first sequence of what `score` gave, in few numbers."""
    p = probabilities(scored["logits"][0])
    return {
        "output": np.rint(100 * p).astype(int).tolist(),
        "look_back": scored["look_back"][0].tolist(),
    }
