"""What all trainers share."""

import keras
from keras import ops

from dsl.models import stack


class Trainer(keras.Model):
    """Trains a model, and the agent in it: the loss of both, and what it was.

        L = the loss of the task  +  the agent's loss

    A subclass says in `call` how the model is run, and in `task` what it is to
    learn. `dsl.training.loop.fit` calls `begin_epoch` and `read_statistics`.

    Args:
        model: The model that is trained, of a stack of `recurrent_layers`.
        batch_size: Rows of a batch.
        signal: `dsl.policy.signal.PolicySignal`, or None where no agent
            learns.
        acting: How the top layer acts in training, a
            `dsl.policy.acting.Acting`.
        seed: Of what is drawn in the agent's place.
        num_means: How many numbers `task` counts.
        name: Name of the trainer.
    """

    def __init__(
        self, model, batch_size, signal, acting, *, seed, num_means, name
    ):
        super().__init__(name=name)
        self.model = model
        self.batch_size = batch_size
        self.signal = signal
        self.acting = acting
        self.num_means = num_means
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def num_rollouts(self):
        """Rollouts of the top layer from the same state."""
        return self.acting.num_rollouts

    @property
    def task_rollouts(self):
        """How many of these the task is learned from, the first ones."""
        return self.acting.task_rollouts

    def build(self, shape):
        if not self.model.built:
            self.model.build(shape)
            self.model.built = True
        if self.signal is not None:
            rows = (self.num_rollouts * self.batch_size, shape[1])
            features = stack.observation_size(self.model.recurrent_layers)
            self.signal.build(rows, (*rows, features))
            self.signal.built = True
        self.build_state()
        # Sums over the epoch: batches, then what `task` counts of each.
        self.statistics = self.add_weight(
            shape=(1 + self.num_means,),
            name="statistics",
            initializer="zeros",
            trainable=False,
        )

    def build_state(self):
        """Makes the variables of a subclass's own."""

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        targets = self.read_targets(y)
        loss, nll_t, correct_t, means = self.task(y_pred, targets, training)
        if self.signal is not None:
            loss = loss + self.signal(
                nll_t,
                y_pred["policy"],
                y_pred["observed"],
                weight_t=y_pred.get("free"),
                correct_t=correct_t,
                training=training,
            )
        if training:
            one = ops.ones((1,))
            means = [ops.reshape(mean, (-1,)) for mean in means]
            sums = ops.stop_gradient(ops.concatenate([one, *means]))
            self.statistics.assign_add(sums)
        return loss

    def read_targets(self, y):
        """What `task` takes as targets, of what a batch holds."""
        return ops.cast(y, "int32")

    def task(self, y_pred, targets, training):
        """What the model is to learn.

        Args:
            y_pred: What `call` returned.
            targets: What `read_targets` gave.
            training: Whether the loss is to be differentiated.

        Returns:
            The loss; -log p of the last n targets of each row, float32
            `(rollouts * batch, n)`; whether each was predicted, bool of the
            same shape, or None where the signal does not ask; and a list of
            what is counted, float32, `num_means` numbers in all.
        """
        raise NotImplementedError

    def begin_epoch(self):
        """Sets the statistics back."""
        self.statistics.assign(ops.zeros(self.statistics.shape))

    def read_means(self):
        """The means over the batches of this epoch so far, as floats."""
        count, *sums = map(float, ops.convert_to_numpy(self.statistics))
        return [one / max(count, 1.0) for one in sums]


def entropy_of(chosen):
    """Mean entropy of the choices in nats, 0 where there are none."""
    return ops.mean(chosen["entropy"]) if chosen else ops.zeros(())
