"""Sequence transducers as they are trained: a reward at each step."""

from keras import ops

from dsl.models.cross_entropy import bit_nll
from dsl.policy.acting import Acting
from dsl.training.trainer import Trainer, entropy_of

RECENT = 100
"""Batches that the loss of the last ones is the mean of."""


class TransducerTrainer(Trainer):
    """Trains a transducer of bits, and the agent in it.

        L = mean over rows, steps and bits of -log p(y)  +  the agent's loss

    The agent is rewarded at each step, with -log p of the step's bits.

    Args:
        transducer: A `dsl.SequenceTransducer` with a logit for each bit.
        batch_size: Sequences a batch.
        signal: `dsl.policy.signal.PolicySignal`, or None where no agent
            learns.

    Call arguments:
        sequences: Float `(batch_size, time, features)`.

    Returns:
        What the transducer returns.
    """

    def __init__(self, transducer, batch_size, signal=None):
        super().__init__(
            transducer,
            batch_size,
            signal,
            Acting(signal.num_rollouts if signal else 1),
            seed=None,
            num_means=2,
            name="transducer_trainer",
        )

    def build_state(self):
        # Losses of the last batches, the newest first; below 0 is none.
        self.recent = self.add_weight(
            shape=(RECENT,), name="recent", initializer=_none, trainable=False
        )

    def call(self, sequences, training=False):
        return self.model(sequences, training=training, acting=self.acting)

    def read_targets(self, y):
        return ops.cast(y, "float32")

    def task(self, y_pred, targets, training):
        targets = ops.tile(targets, [self.num_rollouts, 1, 1])
        nll = bit_nll(y_pred["logits"], targets)
        loss = ops.mean(nll)
        if training:
            newest = ops.reshape(ops.stop_gradient(loss), (1,))
            self.recent.assign(ops.concatenate([newest, self.recent[:-1]]))
        correct_t = ops.all((y_pred["logits"] > 0) == (targets > 0.5), axis=-1)
        means = [loss, entropy_of(y_pred["policy"])]
        return loss, ops.sum(nll, axis=-1), correct_t, means

    def read_statistics(self):
        """Returns what was measured in this epoch so far.

        Returns:
            Dict of `loss` (nats a bit, the mean over the epoch's batches),
            `recent_loss` (over the last 100 batches, those of earlier epochs
            too) and `entropy` (nats).
        """
        loss, entropy = self.read_means()
        recent = ops.convert_to_numpy(self.recent)
        recent = recent[recent >= 0]
        mean = float(recent.mean()) if len(recent) else 0.0
        return {"loss": loss, "recent_loss": mean, "entropy": entropy}


def _none(shape, dtype=None):
    return -ops.ones(shape, dtype)
