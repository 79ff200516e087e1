"""Training and scoring language models on contiguous streams of text."""

import dataclasses
import math
import time

import keras
import numpy as np
from keras import ops

from dsl import metrics
from dsl.datasets import streams
from dsl.runs import DivergedError


class CarriedStates(keras.layers.Layer):
    """The recurrent states of parallel streams between two segments.

    Args:
        language_model: The `dsl.LanguageModel` whose states these are.
        batch_size: Number of streams.
        keep_buffer: Whether past states are carried; if not, only h and c of
            the top layer are (published code).
    """

    def __init__(self, language_model, batch_size, keep_buffer=True):
        super().__init__(name="carried_states", trainable=False)
        self.sizes = language_model.state_sizes
        top = len(language_model.recurrent_layers[-1].state_size)
        self.num_kept = len(self.sizes) - (0 if keep_buffer else top - 2)
        self.batch_size = batch_size

    def build(self, input_shape=None):
        if self.built:
            return
        self.states = [
            self.add_weight(
                shape=(self.batch_size, size),
                name=f"state_{n}",
                initializer="zeros",
            )
            for n, size in enumerate(self.sizes)
        ]
        self.built = True

    def read(self):
        """List of the states, each `(batch_size, size)`."""
        return [ops.copy(state) for state in self.states]

    def write(self, states):
        """Keeps the first `batch_size` rows of each state, no gradient."""
        for n, (kept, new) in enumerate(zip(self.states, states, strict=True)):
            new = ops.stop_gradient(new[: self.batch_size])
            kept.assign(new if n < self.num_kept else ops.zeros_like(new))

    def reset(self):
        """Sets all streams back to the start of a text."""
        for state in self.states:
            state.assign(ops.zeros(state.shape, state.dtype))


class StreamTrainer(keras.Model):
    """Trains a language model segment by segment.

        L = mean over rows of sum_t -log p(y_t)  +  the agent's loss

    States are carried from one segment to the next without gradient, and
    reset by `carried.reset()`. Of several rollouts the first one is carried on.

    Args:
        language_model: A `dsl.LanguageModel`.
        batch_size: Number of streams.
        signal: `dsl.policy_signal.PolicySignal`, or None for a model without
            an agent.
        keep_buffer: Whether past states are carried along; if not, only h
            and c are (published code).

    Call arguments:
        tokens: Word ids, int32 `(batch_size, time)`.

    Returns:
        What the language model returns.
    """

    def __init__(
        self, language_model, batch_size, signal=None, keep_buffer=True
    ):
        super().__init__(name="stream_trainer")
        self.language_model = language_model
        self.batch_size = batch_size
        self.signal = signal
        self.carried = CarriedStates(language_model, batch_size, keep_buffer)

    @property
    def num_rollouts(self):
        """Rollouts of the top layer from the same state."""
        return 1 if self.signal is None else self.signal.num_rollouts

    def build(self, tokens_shape):
        model = self.language_model
        if not model.built:
            model.build(tokens_shape)
            model.built = True
        if self.signal is not None:
            rows = self.num_rollouts * self.batch_size
            top = model.recurrent_layers[-1].cell
            features = top.kernel.shape[0] + top.units
            self.signal.build(
                (rows, tokens_shape[1]), (rows, tokens_shape[1], features)
            )
            self.signal.built = True
        self.carried.build()
        # Sums since the last `read_statistics`: segments, mean nll, mean
        # entropy, then how often each distance was taken.
        self.statistics = self.add_weight(
            shape=(3 + self._num_actions(),),
            name="statistics",
            initializer="zeros",
            trainable=False,
        )

    def _num_actions(self):
        top = self.language_model.recurrent_layers[-1]
        return getattr(top, "num_actions", 1)

    def call(self, tokens, training=False):
        outputs = self.language_model(
            tokens,
            states=self.carried.read(),
            training=training,
            num_rollouts=self.num_rollouts,
        )
        if training:
            self.carried.write(outputs["states"])
        return outputs

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        logits = y_pred["logits"]
        targets = ops.tile(ops.cast(y, "int32"), [self.num_rollouts, 1])
        nll_t = token_nll(logits, targets)
        loss = ops.mean(ops.sum(nll_t, axis=-1))
        chosen = y_pred["policy"]
        if self.signal is not None:
            loss = loss + self.signal(
                nll_t,
                chosen,
                y_pred["observed"],
                correct_t=self._correct(logits, targets),
                training=training,
            )
        if training:
            self._count(nll_t, chosen)
        return loss

    def _correct(self, logits, targets):
        if self.signal.reward != "correct":
            return None
        best = ops.cast(ops.argmax(logits, axis=-1), targets.dtype)
        return ops.equal(best, targets)

    def _count(self, nll_t, chosen):
        mean_nll = ops.mean(nll_t)
        counts = ops.zeros((self._num_actions(),))
        mean_entropy = ops.zeros(())
        if chosen:
            taken = ops.one_hot(
                chosen["look_back"] - 1, self._num_actions(), dtype="float32"
            )
            counts = ops.mean(taken, axis=(0, 1))
            mean_entropy = ops.mean(chosen["entropy"])
        self.statistics.assign_add(
            ops.concatenate(
                [
                    ops.stop_gradient(
                        ops.stack([ops.ones(()), mean_nll, mean_entropy])
                    ),
                    counts,
                ]
            )
        )

    def read_statistics(self):
        """Returns the means since the last call, and starts anew.

        Returns:
            Dict of `perplexity`, `entropy` (nats) and `histogram` (share of
            each distance 1..K).
        """
        n, nll, entropy, *counts = ops.convert_to_numpy(self.statistics)
        self.statistics.assign(ops.zeros(self.statistics.shape))
        n = max(float(n), 1.0)
        return {
            "perplexity": metrics.perplexity(float(nll), n),
            "entropy": float(entropy) / n,
            "histogram": [float(count) / n for count in counts],
        }


class StreamScorer(keras.Model):
    """Scores text under a language model, carrying states along.

    Args:
        language_model: A built `dsl.LanguageModel`.
        batch_size: Number of streams; equal streams give several samples.
        action_selection: "greedy" or "sampled".
        keep_buffer: As for `StreamTrainer`.

    Call arguments:
        words: Dict of `tokens` and `targets`, int32 `(batch_size, time)`.

    Returns:
        Dict of `nll`, -log p of each target in nats, `(batch_size, time)`,
        and `look_back`, the distances, int32, same shape (zeros for a model
        without an agent).
    """

    def __init__(
        self,
        language_model,
        batch_size,
        action_selection="greedy",
        keep_buffer=True,
    ):
        super().__init__(name="stream_scorer")
        self.language_model = language_model
        self.carried = CarriedStates(language_model, batch_size, keep_buffer)
        self.action_selection = action_selection

    def build(self, shapes):
        self.carried.build()

    def call(self, words, training=False):
        outputs = self.language_model(
            words["tokens"],
            states=self.carried.read(),
            training=False,
            action_selection=self.action_selection,
        )
        self.carried.write(outputs["states"])
        look_back = outputs["policy"].get(
            "look_back", ops.zeros_like(words["tokens"])
        )
        nll = token_nll(outputs["logits"], words["targets"])
        return {"nll": nll, "look_back": look_back}


def token_nll(logits, targets):
    """-log p(target) in nats, at least float32.

    Args:
        logits: Float `(batch, time, words)`.
        targets: Integer `(batch, time)`.

    Returns:
        Float `(batch, time)`.
    """
    words = logits.shape[-1]
    flat = ops.sparse_categorical_crossentropy(
        ops.reshape(targets, (-1,)),
        ops.cast(ops.reshape(logits, (-1, words)), "float32"),
        from_logits=True,
    )
    return ops.reshape(flat, ops.shape(targets))


def score(
    language_model,
    tokens,
    *,
    num_streams=1,
    segment=100,
    whole_segments=False,
    copies=1,
    action_selection="greedy",
    keep_buffer=True,
    jit_compile=False,
):
    """Scores every token of a text but the first.

    Args:
        language_model: A built `dsl.LanguageModel`.
        tokens: Word ids, int `(n,)`.
        num_streams: Streams the text is cut into; 1 reads it as it stands,
            independent of any batch size.
        segment: Steps a call.
        whole_segments: Whether to drop the last, shorter segment (published
            protocol).
        copies: How often each stream is scored side by side, each with
            sampled actions of its own.
        action_selection: "greedy" or "sampled".
        keep_buffer: As for `StreamTrainer`.
        jit_compile: Whether to compile with XLA.

    Returns:
        Dict of `nll` (float64) and `look_back` (int), both
        `(copies, num_streams, predicted tokens)`.

    Raises:
        ValueError: If the text is too short to predict anything.
    """
    rows = np.tile(streams.batch(tokens, num_streams), (copies, 1))
    scorer = StreamScorer(
        language_model, len(rows), action_selection, keep_buffer
    )
    scorer.compile(jit_compile=jit_compile)
    parts = {"nll": [], "look_back": []}
    length = rows.shape[1] - 1
    stop = length // segment * segment if whole_segments else length
    if stop < 1:
        raise ValueError(
            "the text must hold something to predict. Received: "
            f"{len(tokens)} tokens for {num_streams} streams"
        )
    for start in range(0, stop, segment):
        end = min(start + segment, stop)
        part = scorer.predict_on_batch(
            {
                "tokens": rows[:, start:end],
                "targets": rows[:, start + 1 : end + 1],
            }
        )
        for key, values in parts.items():
            values.append(np.asarray(part[key]))
    shape = (copies, num_streams, -1)
    joined = {
        key: np.concatenate(values, axis=1).reshape(shape)
        for key, values in parts.items()
    }
    return {**joined, "nll": joined["nll"].astype(np.float64)}


# Learning-rate schedules.


def conditional_decay(rate, perplexity, reference, *, factor, margin, floor):
    """Decays the rate when validation stops improving (published code).

    The first epoch sets the reference. An epoch whose perplexity is at least
    `margin` below the reference becomes the new one; any other multiplies
    the rate by `factor`, down to `floor`.

    Args:
        rate: Learning rate of the epoch that ended.
        perplexity: Its validation perplexity.
        reference: Perplexity to improve on, or None after the first epoch.
        factor: Multiplier in (0, 1].
        margin: Improvement that counts, in perplexity.
        floor: Smallest rate.

    Returns:
        The next epoch's rate, and the reference.
    """
    if reference is None or perplexity <= reference - margin:
        return rate, perplexity
    return max(rate * factor, min(floor, rate)), reference


def fixed_decay(rate, epoch, *, factor, constant_epochs):
    """Zaremba's schedule: constant, then one factor an epoch.

    Args:
        rate: Initial learning rate.
        epoch: 1 for the first epoch.
        factor: Multiplier in (0, 1].
        constant_epochs: Epochs at the initial rate.

    Returns:
        The rate of this epoch.
    """
    return rate * factor ** max(epoch - constant_epochs, 0)


@dataclasses.dataclass
class Schedule:
    """The learning rate of each epoch.

    Attributes:
        rate: Rate of the coming epoch; at first, the initial one.
        factor: Multiplier of a decay.
        constant_epochs: Epochs before a fixed decay; None for the
            conditional one.
        margin: See `conditional_decay`.
        floor: See `conditional_decay`.
        reference: Perplexity to improve on.
        epoch: Epochs finished.
    """

    rate: float
    factor: float
    constant_epochs: int | None = None
    margin: float = 1.0
    floor: float = 0.0
    reference: float | None = None
    epoch: int = 0

    def __post_init__(self):
        self.initial_rate = self.rate

    def finish_epoch(self, perplexity):
        """Moves on to the next epoch, given this one's validation."""
        self.epoch += 1
        if self.constant_epochs is None:
            self.rate, self.reference = conditional_decay(
                self.rate,
                perplexity,
                self.reference,
                factor=self.factor,
                margin=self.margin,
                floor=self.floor,
            )
        else:
            self.rate = fixed_decay(
                self.initial_rate,
                self.epoch + 1,
                factor=self.factor,
                constant_epochs=self.constant_epochs,
            )


def train_epoch(trainer, tokens, num_steps, max_steps=None, on_step=None):
    """Runs one pass over the training text, from reset states.

    Args:
        trainer: A compiled and built `StreamTrainer`.
        tokens: Word ids, int `(n,)`.
        num_steps: Length of a segment.
        max_steps: Segments at most, or None.
        on_step: Called as `on_step(step, steps, loss)` after each segment.

    Returns:
        Dict of `perplexity`, `entropy`, `histogram`, `steps`, `seconds` and
        `tokens_per_second`.

    Raises:
        DivergedError: If the loss is NaN or infinite.
        ValueError: If the text does not fill one segment.
    """
    rows = streams.batch(tokens, trainer.batch_size)
    steps = streams.count_segments(rows, num_steps)
    if steps == 0:
        raise ValueError(
            "the text must fill one segment of every stream. Received: "
            f"{len(tokens)} tokens for {len(rows)} streams of {num_steps}"
        )
    steps = steps if max_steps is None else min(steps, max_steps)
    trainer.carried.reset()
    started = time.perf_counter()
    for step, (x, y) in enumerate(streams.segments(rows, num_steps), 1):
        if step > steps:
            break
        loss = float(trainer.train_on_batch(x, y))
        if not math.isfinite(loss):
            raise DivergedError(
                "the loss must stay finite; lower the learning rate or the "
                f"clipping norm. Received: loss={loss} at step {step}"
            )
        if on_step is not None:
            on_step(step, steps, loss)
    seconds = time.perf_counter() - started
    return {
        **trainer.read_statistics(),
        "steps": steps,
        "seconds": seconds,
        "tokens_per_second": steps * rows.shape[0] * num_steps / seconds,
    }
