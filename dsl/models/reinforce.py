"""REINFORCE within `fit`, for any model."""

import keras
from keras import ops

from dsl.layers.dynamic_skip_lstm import collected_choices
from dsl.models.logits_model import LogitsModel, check_losses
from dsl.policy_signal import PolicySignal


@keras.saving.register_keras_serializable(package="dsl")
class Reinforce(keras.Model):
    """A Keras model whose skips learn by REINFORCE, in plain `fit`.

        L = loss(y, model(x)) + mean over rows of
            sum_t -log pi(a_t) (R - b)  -  beta * sum_t H(pi_t)
        R = -loss of the row,   b = mean of R over the batch

    What a row has lost is the reward of all choices that were made for it, of
    every `dsl.DynamicSkipLSTM(..., estimator="reinforce")` in the model: an
    unbiased gradient of the expected loss, wherever the layers stand. Of a
    loss at each step of a causal model it is a noisy one, for a choice earns
    what came before it as well; `dsl.stream_trainer` gives each what follows.

    Args:
        model: The Keras model, of one output; or a model of this library, of
            which the logits count.
        signal: `dsl.PolicySignal` that weighs rewards and entropy, of the
            baseline "batch_mean" or "none"; by default
            `PolicySignal(baseline="batch_mean", entropy_weight=0.01)`.

    Call arguments:
        inputs: What the model takes.
        training: Whether actions are drawn.

    Returns:
        What the model returns, or its logits.

    Raises:
        ValueError: If the signal has another baseline; in training, if no
            layer of the model chooses, or there is not one loss, or a loss of
            logits takes probabilities.

    Example:
        >>> from dsl.layers.dynamic_skip_lstm import DynamicSkipLSTM
        >>> skipping = DynamicSkipLSTM(4, num_actions=3, estimator="reinforce")
        >>> model = Reinforce(
        ...     keras.Sequential([skipping, keras.layers.Dense(1)])
        ... )
        >>> model.compile(loss="mse", jit_compile=False)
        >>> x, y = keras.ops.ones((2, 7, 3)), keras.ops.ones((2, 1))
        >>> history = model.fit(x, y, verbose=0)

    Reference: Williams 1992, "Simple statistical gradient-following
    algorithms"; Gui et al., AAAI 2019, https://arxiv.org/abs/1811.03873
    """

    def __init__(self, model, signal=None, **kwargs):
        super().__init__(**kwargs)
        self.model = model
        self.signal = signal or PolicySignal(
            baseline="batch_mean", entropy_weight=0.01
        )
        if self.signal.baseline not in ("batch_mean", "none"):
            raise ValueError(
                "`signal` must have the baseline 'batch_mean' or 'none': here "
                "there is one rollout, of any length. Received: "
                f"baseline={self.signal.baseline!r}"
            )
        if not self.signal.built:  # One that was loaded is.
            self.signal.build(())
        self._forget_choices()

    def _forget_choices(self):
        # Past `__setattr__`, which tracks lists: tensors of one step.
        self.__dict__["_choices"] = []

    def call(self, inputs, training=False):
        with collected_choices() as choices:
            outputs = self.model(inputs, training=training)
        if isinstance(self.model, LogitsModel):
            outputs = outputs["logits"]
        self.__dict__["_choices"] = choices
        return outputs

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if isinstance(self.model, LogitsModel):
            check_losses(self.loss)
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        choices = self._choices
        self._forget_choices()
        if not training:
            return loss
        if not choices:
            raise ValueError(
                "`model` must hold a dsl.DynamicSkipLSTM with "
                "estimator='reinforce' and num_actions of at least 2. "
                f"Received: {self.model.name!r}, without a choice"
            )
        lost = self._row_losses(y, y_pred, sample_weight)
        # All layers are one policy: the order of choices does not matter.
        chosen = {
            key: ops.concatenate([one[key] for one in choices], axis=-1)
            for key in choices[0]
        }
        earned = self.signal(lost, chosen, None, training=training)
        return loss + ops.cast(earned, loss.dtype)

    def _row_losses(self, y, y_pred, sample_weight):
        """What each row has lost, float32 `(batch, 1)`, without a gradient."""
        loss = keras.losses.get(self.loss)
        if not callable(loss):
            raise ValueError(
                "the reward is the loss of the model's one output, and "
                f"`loss` must be one loss. Received: loss={self.loss!r}"
            )
        by_row = _ByRow(loss)(y, y_pred, sample_weight)
        by_row = ops.reshape(by_row, (ops.shape(by_row)[0], -1))
        by_row = ops.mean(by_row, axis=-1, keepdims=True)
        return ops.stop_gradient(ops.cast(by_row, "float32"))

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "model": serialize(self.model),
            "signal": serialize(self.signal),
        }

    @classmethod
    def from_config(cls, config):
        for key in ("model", "signal"):
            config[key] = keras.saving.deserialize_keras_object(config[key])
        return cls(**config)


class _ByRow(keras.losses.Loss):
    """A loss before it is reduced, with the mask and weights that Keras uses.

    Args:
        loss: A Keras loss, or a function `(y_true, y_pred)`.
    """

    def __init__(self, loss):
        super().__init__(name="by_row", reduction="none")
        self._function = getattr(loss, "call", loss)

    def call(self, y_true, y_pred):
        return self._function(y_true, y_pred)
