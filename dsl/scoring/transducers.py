"""What a sequence transducer puts out, and which past states it read."""

import keras
import numpy as np
from keras import ops

from dsl.policy.acting import Acting
from dsl.seeds import drawing_from


class TransducerScorer(keras.Model):
    """Runs sequences through a transducer; is compiled once for all calls.

    Args:
        transducer: A built `dsl.SequenceTransducer`.
        action_selection: "greedy" or "sampled".
        jit_compile: Whether to compile with XLA.

    Call arguments:
        sequences: Float `(batch, time, features)`.

    Returns:
        Dict of `logits`, `(batch, time, outputs)`; and `look_back`, the
        distances that were chosen, or attended to most, int32 `(batch, time)`,
        0 for a model that does neither.
    """

    def __init__(
        self, transducer, action_selection="greedy", jit_compile=False
    ):
        super().__init__(name="transducer_scorer")
        self.transducer = transducer
        self.acting = Acting(action_selection=action_selection)
        self.compile(jit_compile=jit_compile)

    def call(self, sequences, training=False):
        found = self.transducer(sequences, training=False, acting=self.acting)
        look_back = found["policy"].get("look_back")
        if look_back is None and "attention" in found:
            look_back = 1 + ops.argmax(found["attention"], axis=-1)
        if look_back is None:
            look_back = ops.zeros_like(sequences[:, :, 0])
        return {
            "logits": found["logits"],
            "look_back": ops.cast(look_back, "int32"),
        }

    def score(self, sequences, *, seed=0, batch_size=100):
        """Runs any number of sequences.

        The result depends on the weights and the arguments alone, and the
        random numbers of the model go on afterwards as if nothing had been
        scored.

        Args:
            sequences: Float `(n, time, features)`.
            seed: Of whatever is drawn.
            batch_size: Sequences a call.

        Returns:
            Dict of what a call returns, NumPy arrays of all `n` sequences.
        """
        parts = []
        with drawing_from(self.transducer, seed):
            for start in range(0, len(sequences), batch_size):
                part = sequences[start : start + batch_size]
                parts.append(self.predict_on_batch(part))
        return {
            key: np.concatenate([part[key] for part in parts])
            for key in ("logits", "look_back")
        }
