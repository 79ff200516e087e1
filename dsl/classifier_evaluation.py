"""Scoring sequences under a classifier."""

import keras
import numpy as np
from keras import ops

from dsl.cross_entropy import token_nll
from dsl.evaluation import drawing_from


class ClassifierScorer(keras.Model):
    """Scores sequences under a classifier; is compiled once for all calls.

    Args:
        classifier: A built `dsl.SequenceClassifier`.
        action_selection: "greedy" or "sampled".
        jit_compile: Whether to compile with XLA.

    Call arguments:
        examples: Dict of `symbols` and, if the distances are not the model's
            to choose, `look_back`, integer `(batch, time)`; and of `labels`,
            integer `(batch,)`.

    Returns:
        Dict of `nll`, -log p of each label in nats; `correct`, whether it is
        the most probable class; `look_back`, the distance of the last step,
        0 for a model without an agent; each `(batch,)`.
    """

    def __init__(
        self, classifier, action_selection="greedy", jit_compile=False
    ):
        super().__init__(name="classifier_scorer")
        self.classifier = classifier
        self.action_selection = action_selection
        self.compile(jit_compile=jit_compile)

    def call(self, examples, training=False):
        outputs = self.classifier(
            examples["symbols"],
            training=False,
            action_selection=self.action_selection,
            look_back=examples.get("look_back"),
        )
        labels = examples["labels"]
        best = ops.argmax(outputs["logits"], axis=-1)
        distances = outputs["policy"].get("look_back")
        return {
            "nll": token_nll(outputs["logits"], labels),
            "correct": ops.equal(ops.cast(best, labels.dtype), labels),
            "look_back": ops.zeros_like(labels)
            if distances is None
            else distances[:, -1],
        }

    def score(
        self,
        symbols,
        labels,
        *,
        look_back=None,
        copies=1,
        seed=0,
        batch_size=1000,
    ):
        """Scores any number of sequences.

        The result depends on the weights and the arguments alone, and the
        random numbers of the model go on afterwards as if nothing had been
        scored.

        Args:
            symbols: Integer `(n, time)`.
            labels: Integer `(n,)`.
            look_back: Distances to take in place of the model's, `(n, time)`.
            copies: How often each sequence is scored, with draws of its own.
            seed: Of whatever is drawn.
            batch_size: Sequences a call.

        Returns:
            Dict of `nll` (float64), `correct` (bool) and `look_back` (int,
            that of the last step), each `(copies, n)`.
        """
        examples = {
            "symbols": np.asarray(symbols, "int32"),
            "labels": np.asarray(labels, "int32"),
        }
        if look_back is not None:
            examples["look_back"] = np.asarray(look_back, "int32")
        found = []
        with drawing_from(self.classifier, seed):
            for _ in range(copies):
                for start in range(0, len(labels), batch_size):
                    end = start + batch_size
                    found.append(
                        self.predict_on_batch(
                            {key: x[start:end] for key, x in examples.items()}
                        )
                    )
        joined = {
            key: np.concatenate([part[key] for part in found]).reshape(
                copies, -1
            )
            for key in ("nll", "correct", "look_back")
        }
        joined["nll"] = joined["nll"].astype(np.float64)
        return joined


def choices_by_symbol(symbols, look_back, num_symbols, num_actions):
    """How often each distance was chosen at the last step, by its symbol.

    Args:
        symbols: The last symbol of each sequence, integer `(n,)`.
        look_back: The distance chosen there, in 1..K, integer `(..., n)`.
        num_symbols: Size of the alphabet.
        num_actions: K.

    Returns:
        Float64 `(num_symbols, K)`; each row sums to 1, or is 0 throughout for
        a symbol that does not occur.
    """
    look_back = np.asarray(look_back)
    symbols = np.broadcast_to(symbols, look_back.shape)
    counts = np.zeros((num_symbols, num_actions))
    np.add.at(counts, (symbols, look_back - 1), 1.0)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
