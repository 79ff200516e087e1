"""REINFORCE within `fit`, for any model."""

import keras
from keras import ops

from dsl.choices import check_number
from dsl.models.logits_model import LogitsModel, check_losses
from dsl.policy import collection, gradient


@keras.saving.register_keras_serializable(package="dsl")
class Reinforce(keras.Model):
    """A Keras model whose skips learn by REINFORCE, in plain `fit`.

        L = 1/B sum_n l_n
            - w / B sum_n sum_t log pi(a_nt) (R_n - b_n)
            - beta / B sum_n sum_t H(pi_nt)
        R_n = -l_n,   b_n = mean of R over the other rows (0 for a single one)

    l_n is what row n of the batch adds to the model's loss, times B, whichever
    way Keras reduces, weighs and masks it. All choices that were made for a
    row, of every `dsl.DynamicSkipLSTM(..., estimator="reinforce")` in the
    model, earn its R_n. Its gradient is an unbiased one of the expected loss,
    wherever the layers stand, if w = 1, beta = 0 and rows do not touch each
    other (as in batch normalization). Where a causal model has a loss at each
    step, the gradient is noisy, for a choice also earns what came before it;
    the trainer of language models, `dsl.training.streams`, counts what follows.

    Args:
        model: The Keras model, of one output; or a model of this library, of
            which the logits count.
        policy_weight: w, at least 0.
        entropy_weight: beta.

    Call arguments:
        inputs: What the model takes.
        training: Whether actions are drawn.

    Returns:
        What the model returns, or its logits.

    Raises:
        ValueError: If a weight is out of range; in training, if no layer of
            the model chooses, or there is not one loss, or a loss of logits
            takes probabilities.

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
    algorithms"; Kool et al. 2019 for the baseline; Gui et al., AAAI 2019,
    https://arxiv.org/abs/1811.03873, whose reward is the log-likelihood.
    """

    def __init__(self, model, policy_weight=1.0, entropy_weight=0.01, **kwargs):
        check_number("policy_weight", policy_weight, "not negative", 0, 1e30)
        check_number(
            "entropy_weight", entropy_weight, "a finite number", -1e30, 1e30
        )
        super().__init__(**kwargs)
        self.model = model
        self.policy_weight = policy_weight
        self.entropy_weight = entropy_weight
        self._forget_choices()

    def _forget_choices(self):
        # Past `__setattr__`, which tracks lists: tensors of one step.
        self.__dict__["_choices"] = []

    def call(self, inputs, training=False):
        with collection.collect() as choices:
            outputs = self.model(inputs, training=training)
        if isinstance(self.model, LogitsModel):
            outputs = outputs["logits"]
        self.__dict__["_choices"] = choices
        return outputs

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if not (isinstance(self.loss, str) or callable(self.loss)):
            raise ValueError(
                "the reward is the loss of the model's one output, and "
                f"`loss` must be one loss. Received: loss={self.loss!r}"
            )
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
        reward = -self._row_losses(y, y_pred, sample_weight)
        others = ops.maximum(ops.cast(ops.shape(reward)[0] - 1, "float32"), 1.0)
        advantage = reward - (ops.sum(reward) - reward) / others
        for chosen in choices:
            earned = self.policy_weight * gradient.reinforce_loss(
                chosen["log_prob"], advantage
            )
            spread = gradient.entropy_bonus(chosen["entropy"])
            earned = earned - self.entropy_weight * spread
            loss = loss + ops.cast(earned, loss.dtype)
        return loss

    def _row_losses(self, y, y_pred, sample_weight):
        """l of each row, float32 `(batch, 1)`, without a gradient."""
        loss = keras.losses.get(self.loss)
        function = getattr(loss, "call", loss)

        def ones(y_true, y_pred):
            return ops.ones_like(function(y_true, y_pred))

        def reduce(function, reduction):
            found = _Reduced(function, reduction)(y, y_pred, sample_weight)
            return ops.cast(found, "float32")

        def by_row(function):
            values = reduce(function, "none")
            rows = ops.reshape(values, (ops.shape(values)[0], -1))
            return ops.mean(rows, axis=-1, keepdims=True)

        # What a loss of one everywhere comes to tells how rows are weighed.
        reduction = getattr(loss, "reduction", "sum_over_batch_size")
        scale = reduce(ones, reduction) / ops.mean(by_row(ones))
        return ops.stop_gradient(scale * by_row(function))

    def get_config(self):
        return {
            **super().get_config(),
            "model": keras.saving.serialize_keras_object(self.model),
            "policy_weight": self.policy_weight,
            "entropy_weight": self.entropy_weight,
        }

    @classmethod
    def from_config(cls, config):
        model = keras.saving.deserialize_keras_object(config["model"])
        return cls(**{**config, "model": model})


class _Reduced(keras.losses.Loss):
    """A function `(y_true, y_pred)`, masked, weighed and reduced by Keras."""

    def __init__(self, function, reduction):
        super().__init__(name="reduced", reduction=reduction)
        self._function = function

    def call(self, y_true, y_pred):
        return self._function(y_true, y_pred)
