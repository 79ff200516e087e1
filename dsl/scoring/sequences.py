"""Scoring sequences under a classifier."""

import keras
import numpy as np
from keras import ops

from dsl.models.cross_entropy import token_nll
from dsl.policy.acting import Acting
from dsl.seeds import drawing_from


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
        the most probable class; each `(batch,)`; and `look_back`, the
        distances taken, `(batch, time)`, 0 for a model without an agent.
    """

    def __init__(
        self, classifier, action_selection="greedy", jit_compile=False
    ):
        super().__init__(name="classifier_scorer")
        self.classifier = classifier
        self.acting = Acting(action_selection=action_selection)
        self.compile(jit_compile=jit_compile)

    @property
    def action_selection(self):
        """How the classifier acts: "greedy" or "sampled"."""
        return self.acting.action_selection

    def call(self, examples, training=False):
        outputs = self.classifier(
            examples["symbols"],
            training=False,
            acting=self.acting.taking(examples.get("look_back")),
        )
        labels = examples["labels"]
        best = ops.argmax(outputs["logits"], axis=-1)
        distances = outputs["policy"].get("look_back")
        return {
            "nll": token_nll(outputs["logits"], labels),
            "correct": ops.equal(ops.cast(best, labels.dtype), labels),
            "look_back": ops.zeros_like(examples["symbols"])
            if distances is None
            else distances,
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
            Dict of `nll` (float64) and `correct` (bool), each `(copies, n)`,
            and `look_back` (int), `(copies, n, time)`.
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
            key: np.concatenate([part[key] for part in found])
            for key in ("nll", "correct", "look_back")
        }
        joined["nll"] = joined["nll"].astype(np.float64)
        return {
            key: x.reshape(copies, len(labels), *x.shape[1:])
            for key, x in joined.items()
        }


def choices_by_symbol(symbols, look_back, num_symbols, num_actions):
    """How often each distance was chosen, by the symbol that was read then.

    Args:
        symbols: The symbols, integer of a shape that broadcasts to that of
            the distances.
        look_back: The distances chosen there, in 1..K, integer `(...)`.
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


def choices_by_step(look_back, num_actions):
    """How often each distance was chosen at each step.

    Args:
        look_back: The distances, in 1..K, integer `(..., time)`.
        num_actions: K.

    Returns:
        Float64 `(time, K)`; each row sums to 1.
    """
    look_back = np.asarray(look_back)
    steps = np.broadcast_to(np.arange(look_back.shape[-1]), look_back.shape)
    return choices_by_symbol(steps, look_back, look_back.shape[-1], num_actions)


def hops_back(look_back, position):
    """How many choices lead from the last state back to an earlier one.

        t <- T;   t <- t - k_t   until t is the state asked for

    Args:
        look_back: Distances k_t, integer `(n, time)`.
        position: Which state is asked for, counted from 0 at the first step,
            integer `(n,)`.

    Returns:
        Integer `(n,)`; -1 where the choices lead past it.

    Raises:
        ValueError: If a distance is below 1.
    """
    look_back = np.asarray(look_back)
    if look_back.min(initial=1) < 1:
        raise ValueError(
            "`look_back` must hold distances of at least 1. "
            f"Received: {look_back.min()}"
        )
    at = np.full(len(look_back), look_back.shape[1] - 1)
    hops = np.zeros_like(at)
    while np.any(at > position):
        on = at > position
        at[on] -= look_back[on, at[on]]
        hops += on
    return np.where(at == position, hops, -1)
