"""Sequence classifiers as they are trained: a reward at the end."""

from keras import ops

from dsl.models.cross_entropy import token_nll
from dsl.policy.acting import Acting
from dsl.training.trainer import Trainer, entropy_of


class ClassifierTrainer(Trainer):
    """Trains a classifier of sequences, and the agent in it.

        L = w * mean over rows of -log p(y)  +  the agent's loss

    The agent is rewarded once, at the end of the sequence. In its place,
    distances can be imposed: the controls that tell what the choice is worth.

    Args:
        classifier: A `dsl.SequenceClassifier`.
        batch_size: Sequences a batch.
        signal: `dsl.policy.signal.PolicySignal`, or None where no agent
            learns.
        task_weight: w; 1/10 in the published code, by mistake. Adam takes
            the scale out of a loss, so that it matters only to variables that
            task and agent share.
        impose: Function `(symbols, seed_generator)` that gives the distances
            to take in training, integer `(batch, time)`; 0 leaves the choice
            to the agent.
        seed: Of what `impose` draws.

    Call arguments:
        symbols: Integer `(batch_size, time)`.

    Returns:
        What the classifier returns.
    """

    def __init__(
        self,
        classifier,
        batch_size,
        signal=None,
        *,
        task_weight=1.0,
        impose=None,
        seed=None,
    ):
        super().__init__(
            classifier,
            batch_size,
            signal,
            Acting(signal.num_rollouts if signal else 1),
            seed=seed,
            num_means=3,
            name="classifier_trainer",
        )
        self.task_weight = task_weight
        self.impose = impose

    @property
    def classifier(self):
        """The model that is trained."""
        return self.model

    def call(self, symbols, training=False):
        look_back = None
        if training and self.impose is not None:
            look_back = self.impose(symbols, self.seed_generator)
        return self.model(
            symbols, training=training, acting=self.acting.taking(look_back)
        )

    def task(self, y_pred, targets, training):
        labels = ops.tile(targets, [self.num_rollouts])
        nll = token_nll(y_pred["logits"], labels)
        best = ops.argmax(y_pred["logits"], axis=-1)
        correct = ops.equal(ops.cast(best, "int32"), labels)
        means = [
            ops.mean(nll),
            ops.mean(ops.cast(correct, "float32")),
            entropy_of(y_pred["policy"]),
        ]
        loss = self.task_weight * means[0]
        return loss, nll[:, None], correct[:, None], means

    def read_statistics(self):
        """Returns the means over the batches of this epoch so far.

        Returns:
            Dict of `loss` (nats), `accuracy` (share) and `entropy` (nats).
        """
        loss, accuracy, entropy = self.read_means()
        return {"loss": loss, "accuracy": accuracy, "entropy": entropy}
