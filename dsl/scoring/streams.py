"""Scoring text under a language model."""

import keras
import numpy as np
from keras import ops

from dsl.datasets import streams
from dsl.models.carried_states import CarriedStates
from dsl.models.cross_entropy import MOST_LOGITS
from dsl.models.language_model import encoded_words
from dsl.models.word_losses import WordLosses
from dsl.policy.acting import Acting
from dsl.policy.choosing import drawn_look_back
from dsl.seeds import drawing_from


class StreamScorer(keras.Model):
    """Scores text under a language model, carrying states along.

    Words that are made of their characters are encoded when it is made, each
    once.

    Args:
        language_model: A built `dsl.LanguageModel`.
        batch_size: Number of streams; equal streams give several samples.
        action_selection: "greedy" or "sampled".
        keep_buffer: As for `StreamTrainer`.
        most_logits: How many logits of a call are kept at once; where there
            are more, blocks of its positions take turns, unless it has been
            compiled for any length (as TensorFlow does for a shorter last
            call).

    Call arguments:
        words: Dict of `tokens`, `targets` and, if the distances are not the
            model's to choose, `look_back`, int32 `(batch_size, time)`.

    Returns:
        Dict of `nll`, -log p of each target in nats, `(batch_size, time)`;
        `look_back`, the distances that were chosen, or attended to most,
        int32, same shape (zeros for a model that does neither); and, of one
        that attends, `attention`, the weights, `(batch_size, time, K)`.
    """

    def __init__(
        self,
        language_model,
        batch_size,
        action_selection="greedy",
        keep_buffer=True,
        most_logits=MOST_LOGITS,
    ):
        super().__init__(name="stream_scorer")
        self.language_model = language_model
        self.carried = CarriedStates(language_model, batch_size, keep_buffer)
        self.acting = Acting(action_selection=action_selection)
        self.word_losses = WordLosses(language_model, most_logits)
        self.vectors = encoded_words(self, language_model)
        # Weights that the first call makes would be the cause of a second
        # program.
        self.carried.build()

    def call(self, words, training=False):
        outputs = self.language_model(
            words["tokens"],
            states=self.carried.read(),
            training=False,
            acting=self.acting.taking(words.get("look_back")),
            vectors=None if self.vectors is None else ops.copy(self.vectors),
            predict=self.word_losses.need_logits(words["tokens"].shape),
        )
        self.carried.write(outputs["states"])
        nll, _ = self.word_losses(outputs, words["targets"])
        found = {"nll": nll}
        attention = outputs.get("attention")
        if attention is not None:
            found["look_back"] = 1 + ops.argmax(attention, axis=-1)
            found["attention"] = attention
        else:
            found["look_back"] = outputs["policy"].get(
                "look_back", ops.zeros_like(words["tokens"])
            )
        return found


def score(
    language_model,
    tokens,
    *,
    num_streams=1,
    segment=100,
    whole_segments=False,
    copies=1,
    action_selection="greedy",
    look_back_shares=None,
    seed=0,
    keep_buffer=True,
    jit_compile=False,
):
    """Scores every token of a text but the first.

    The result depends on the weights and the arguments alone, and the random
    numbers of the model go on afterwards as if nothing had been scored.

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
        look_back_shares: Probability of each distance 1..K, to take random
            distances in place of the model's; (1, 0, ..., 0) is always the
            previous state.
        seed: Of whatever is drawn.
        keep_buffer: As for `StreamTrainer`.
        jit_compile: Whether to compile with XLA.

    Returns:
        Dict of `nll` (float64), `look_back`, `targets` and `inputs`, the word
        before each target (int), all `(copies, num_streams, predicted
        tokens)`; of a model that attends also `attention`, with one more
        axis, the distance.

    Raises:
        ValueError: If the text is too short to predict anything.
    """
    rows = np.tile(streams.batch(tokens, num_streams), (copies, 1))
    scorer = StreamScorer(
        language_model, len(rows), action_selection, keep_buffer
    )
    scorer.compile(jit_compile=jit_compile)
    words = {"tokens": rows[:, :-1], "targets": rows[:, 1:]}
    if look_back_shares is not None:
        words["look_back"] = drawn_look_back(
            look_back_shares, words["tokens"].shape, seed
        )
    parts = []
    length = rows.shape[1] - 1
    stop = length // segment * segment if whole_segments else length
    if stop < 1:
        raise ValueError(
            "the text must hold something to predict. Received: "
            f"{len(tokens)} tokens for {num_streams} streams"
        )
    with drawing_from(language_model, seed):
        for start in range(0, stop, segment):
            end = min(start + segment, stop)
            segment_words = {
                key: value[:, start:end] for key, value in words.items()
            }
            parts.append(scorer.predict_on_batch(segment_words))
    joined = {
        key: np.concatenate([np.asarray(part[key]) for part in parts], axis=1)
        for key in parts[0]
    }
    joined["nll"] = joined["nll"].astype(np.float64)
    joined["targets"] = words["targets"][:, :stop]
    joined["inputs"] = words["tokens"][:, :stop]
    return {
        key: value.reshape(copies, num_streams, *value.shape[1:])
        for key, value in joined.items()
    }
