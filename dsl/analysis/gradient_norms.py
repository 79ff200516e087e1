"""How far back the loss of a last word reaches: the vanishing gradient.

Reference: Gui et al., AAAI 2019, https://arxiv.org/abs/1811.03873, whose
figure shows it for a tagger; here it is that of a language model.
"""

import keras
import numpy as np
from keras import ops

from dsl import metrics
from dsl.analysis.hidden_gradients import check_precision, hidden_gradients
from dsl.datasets import streams
from dsl.models.carried_states import CarriedStates
from dsl.models.language_model import encoded_words
from dsl.policy.choosing import drawn_look_back
from dsl.seeds import drawing_from


class GradientMeter(keras.Model):
    """Computes `hidden_gradients` segment by segment, carrying states along.

    Args:
        language_model: As for `hidden_gradients`.
        batch_size: Number of streams.
        action_selection: "greedy" or "sampled".
        keep_buffer: As for `StreamTrainer`.

    Call arguments:
        words: Dict of `tokens`, `targets` and, if the distances are not the
            model's to choose, `look_back`, int32 `(batch_size, time)`.

    Returns:
        g_t, float `(batch_size, time, units)`.
    """

    def __init__(
        self,
        language_model,
        batch_size,
        action_selection="greedy",
        keep_buffer=True,
    ):
        super().__init__(name="gradient_meter")
        self.language_model = language_model
        self.carried = CarriedStates(language_model, batch_size, keep_buffer)
        self.action_selection = action_selection
        self.vectors = encoded_words(self, language_model)
        # Weights that the first call makes would be the cause of a second
        # program.
        self.carried.build()

    def call(self, words, training=False):
        found = hidden_gradients(
            self.language_model,
            words["tokens"],
            words["targets"],
            self.carried.read(),
            words.get("look_back"),
            self.action_selection,
            None if self.vectors is None else ops.copy(self.vectors),
        )
        self.carried.write(found["states"])
        return found["gradients"]


def text_norms(
    language_model,
    tokens,
    *,
    length,
    num_streams=100,
    action_selection="greedy",
    look_back_shares=None,
    keep_buffer=True,
    seed=0,
    jit_compile=False,
):
    """Computes the norms of `hidden_gradients` for each segment of a text.

    Args:
        language_model: As for `hidden_gradients`.
        tokens: Word ids, int `(n,)`.
        length: T, steps of a segment.
        num_streams: Streams that the text is cut into, read side by side. The
            states are carried along from segment to segment.
        action_selection: "greedy" or "sampled".
        look_back_shares: Probability of each distance 1..K, to take random
            distances in place of the model's.
        keep_buffer: As for `StreamTrainer`.
        seed: Of whatever is drawn.
        jit_compile: Whether to compile with XLA.

    Returns:
        ||g_t||, float64 `(segments, length)`: the L2 norm over the units of
        each step, of the first segments of all streams, then of the second.

    Raises:
        ValueError: If the text does not fill a segment of every stream, or as
            `hidden_gradients`.
    """
    check_precision(language_model)
    rows = streams.batch(tokens, num_streams)
    steps = streams.count_segments(rows, length) * length
    if steps == 0:
        raise ValueError(
            "the text must fill a segment of every stream. Received: "
            f"{len(tokens)} tokens for {num_streams} streams of {length} steps"
        )
    words = {"tokens": rows[:, :steps], "targets": rows[:, 1 : steps + 1]}
    if look_back_shares is not None:
        words["look_back"] = drawn_look_back(
            look_back_shares, words["tokens"].shape, seed
        )
    meter = GradientMeter(
        language_model, num_streams, action_selection, keep_buffer
    )
    meter.compile(jit_compile=jit_compile)
    norms = []
    with drawing_from(language_model, seed):
        for start in range(0, steps, length):
            gradients = meter.predict_on_batch(
                {k: x[:, start : start + length] for k, x in words.items()}
            )
            # Squares of small ones are beyond float32.
            wide = np.asarray(gradients, np.float64)
            norms.append(np.linalg.norm(wide, axis=-1))
    return np.concatenate(norms)


def normalized(norms):
    """Scales the norms to those of the last step.

        n_t = mean_b ||g_bt|| / mean_b ||g_bT||

    Args:
        norms: ||g_bt||, float `(segments, time)`.

    Returns:
        n_t, float64 `(time,)`, 1 at the end.

    Raises:
        ValueError: If no loss depends on its last state, or a gradient of
            one is not finite.
    """
    return np.mean(scaled(norms), axis=0)


def scaled(norms):
    """Each norm over the mean one of the last step.

        ||g_bt|| / mean_b ||g_bT||

    Args:
        norms: ||g_bt||, float `(segments, time)`.

    Returns:
        Float64 of the same shape, whose columns have the means n_t.

    Raises:
        ValueError: As `normalized`.
    """
    norms = np.asarray(norms, np.float64)
    last = norms[:, -1].mean()
    if not 0.0 < last < np.inf:
        raise ValueError(
            "`norms` must be above 0 at the last step, and finite. "
            f"Received: a mean of {last}"
        )
    return norms / last


def pooled(runs):
    """Takes the norms of several runs over one text together.

    Args:
        runs: List of arrays ||g_bt||, each `(segments, time)`.

    Returns:
        Float64 `(segments, time)`: the mean over the runs, each `scaled`.

    Raises:
        ValueError: As `normalized`.
    """
    return np.mean([scaled(norms) for norms in runs], axis=0)


def factor(norms_a, norms_b, step=0, *, samples=10_000, level=0.95, seed=0):
    """By what factor the normalized norm of one model is another's.

        n_t of b / n_t of a

    with a paired bootstrap: segments are drawn with replacement, as many as
    there are, the same ones for both models.

    Args:
        norms_a: ||g_bt|| of the first model, float `(segments, time)`.
        norms_b: The same of the second.
        step: t - 1, 0 for the first step.
        samples: Number of draws.
        level: Share of the draws inside of the interval.
        seed: Of the draws.

    Returns:
        Dict of floats: `factor`, and `low` and `high`, the ends of its
        interval. None if there is but one segment, which tells nothing of
        others, or if a draw leaves nothing of n_t of a, or of the last step
        of b.

    Raises:
        ValueError: If the shapes differ.
    """
    norms_a, norms_b = np.asarray(norms_a), np.asarray(norms_b)
    if norms_a.shape != norms_b.shape:
        raise ValueError(
            "`norms_a` and `norms_b` must be of the same segments. "
            f"Received: shapes {norms_a.shape} and {norms_b.shape}"
        )
    if len(norms_a) < 2:
        return None
    columns = norms_a[:, step], norms_a[:, -1], norms_b[:, step], norms_b[:, -1]
    sums = np.stack(columns, axis=1).astype(np.float64)
    draws = metrics.resampled_sums(sums, samples, seed)
    a, last_a, b, last_b = np.vstack([sums.sum(0), draws]).T
    if not (np.all(a > 0.0) and np.all(last_b > 0.0)):
        return None
    ratios = (b / last_b) / (a / last_a)
    low, high = np.quantile(ratios[1:], [0.5 - level / 2, 0.5 + level / 2])
    return {"factor": ratios[0], "low": low, "high": high}
