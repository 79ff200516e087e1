"""Sequence classifiers as they are trained: a reward at the end."""

import keras
from keras import ops

from dsl.models.cross_entropy import token_nll


class ClassifierTrainer(keras.Model):
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
        super().__init__(name="classifier_trainer")
        self.classifier = classifier
        self.batch_size = batch_size
        self.signal = signal
        self.task_weight = task_weight
        self.impose = impose
        self.num_rollouts = signal.num_rollouts if signal else 1
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, symbols_shape):
        model = self.classifier
        if not model.built:
            model.build(symbols_shape)
            model.built = True
        if self.signal is not None:
            shape = (self.num_rollouts * self.batch_size, symbols_shape[1])
            top = model.recurrent_layers[-1].cell
            self.signal.build(shape, (*shape, top.kernel.shape[0] + top.units))
            self.signal.built = True
        # Sums over the epoch: batches, mean nll, share of right answers, mean
        # entropy of a choice.
        self.statistics = self.add_weight(
            shape=(4,), name="statistics", initializer="zeros", trainable=False
        )

    def call(self, symbols, training=False):
        look_back = None
        if training and self.impose is not None:
            look_back = self.impose(symbols, self.seed_generator)
        return self.classifier(
            symbols,
            training=training,
            num_rollouts=self.num_rollouts,
            look_back=look_back,
        )

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        labels = ops.tile(ops.cast(y, "int32"), [self.num_rollouts])
        nll = token_nll(y_pred["logits"], labels)
        best = ops.argmax(y_pred["logits"], axis=-1)
        correct = ops.equal(ops.cast(best, "int32"), labels)
        loss = self.task_weight * ops.mean(nll)
        chosen = y_pred["policy"]
        if self.signal is not None:
            loss = loss + self.signal(
                nll[:, None],
                chosen,
                y_pred["observed"],
                correct_t=correct[:, None],
                training=training,
            )
        if training:
            self._count(nll, correct, chosen)
        return loss

    def _count(self, nll, correct, chosen):
        entropy = ops.mean(chosen["entropy"]) if chosen else ops.zeros(())
        means = [
            ops.ones(()),
            ops.mean(nll),
            ops.mean(ops.cast(correct, "float32")),
            entropy,
        ]
        self.statistics.assign_add(ops.stop_gradient(ops.stack(means)))

    def begin_epoch(self):
        """Sets the statistics back."""
        self.statistics.assign(ops.zeros(self.statistics.shape))

    def read_statistics(self):
        """Returns the means over the batches of this epoch so far.

        Returns:
            Dict of `loss` (nats), `accuracy` (share) and `entropy` (nats).
        """
        n, nll, correct, entropy = ops.convert_to_numpy(self.statistics)
        n = max(float(n), 1.0)
        return {
            "loss": float(nll) / n,
            "accuracy": float(correct) / n,
            "entropy": float(entropy) / n,
        }
