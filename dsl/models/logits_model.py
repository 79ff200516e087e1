"""What the models have in common: losses and metrics are of their logits."""

import inspect

import keras

from dsl.policy.collection import warn_of_no_learning


class LogitsModel(keras.Model):
    """A model that returns a dict, of which losses and metrics see `logits`.

    So `compile` takes one loss, and metrics, of plain labels, as for a model
    that returns nothing else; or dicts with `logits` as their key, if the
    labels are such a dict too. A loss must take logits
    (`keras.losses.SparseCategoricalCrossentropy(from_logits=True)`).

    Raises:
        ValueError: In training, if a loss takes probabilities.
    """

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        check_losses(self.loss)
        for layer in self.recurrent_layers if training else []:
            reinforced = getattr(layer, "estimator", None) == "reinforce"
            if reinforced and layer.trainable and layer.num_actions > 1:
                warn_of_no_learning(layer.name)
        return super().compute_loss(
            x, y, _logits_of(y, y_pred), sample_weight, training
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(
            x, y, _logits_of(y, y_pred), sample_weight
        )


def check_losses(losses):
    """Raises a ValueError if one of the losses takes probabilities."""
    for loss in keras.tree.flatten(losses):
        if _takes_probabilities(loss):
            raise ValueError(
                "the model returns logits, of which a loss must be told by "
                "from_logits=True, as in keras.losses."
                "SparseCategoricalCrossentropy(from_logits=True). "
                f"Received: loss={loss!r}"
            )


def _logits_of(labels, predictions):
    """The logits, by their name where the labels have names."""
    logits = predictions["logits"]
    return {"logits": logits} if isinstance(labels, dict) else logits


def _takes_probabilities(loss):
    """Whether a loss of Keras, as `compile` takes it, wants probabilities."""
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        return getattr(loss, "from_logits", True) is False
    if not callable(loss):
        return False
    option = inspect.signature(loss).parameters.get("from_logits")
    return option is not None and option.default is False
