"""The classifier of whole sequences."""

import keras
from keras import ops

from dsl.choices import check_count
from dsl.models import stack
from dsl.models.logits_model import LogitsModel
from dsl.policy.acting import ONCE
from dsl.steps import as_ids


@keras.saving.register_keras_serializable(package="dsl")
class SequenceClassifier(LogitsModel):
    """Classifies a sequence of symbols by what is left at its end.

        x_t = onehot(w_t)
        h = layer(...layer(x))             each recurrent layer
        log p(y | w_1..w_T) ~ h_T V + v

    Args:
        num_symbols: Size of the alphabet.
        num_classes: Number of classes.
        layers: Recurrent layers, bottom first, each with
            `return_sequences=True` and `return_state=True`; or
            `keras.layers.Bidirectional` around one. The last one may
            return its policy (`dsl.DynamicSkipLSTM`); an attention that it
            returns (`dsl.AttentionLSTM`) is left aside.
        kernel_initializer: For V.
        bias_initializer: For v.

    Trains in `fit` with a loss of logits and plain labels, integer `(batch,)`;
    see `dsl.models.logits_model.LogitsModel`.

    Call arguments:
        symbols: Whole numbers `(batch, time)` in [0, num_symbols).
        training: Whether the layers are in training mode.
        mask: Which symbols count, bool `(batch, time)`; None for the mask that
            Keras has noted of the symbols, or all.
        acting: How the top layer acts, a `dsl.policy.acting.Acting`.

    Returns:
        Dict of `logits`, `(rollouts * batch, num_classes)`; `policy`, the
        top layer's dict, empty for a layer that does not choose; of one that
        does also `observed`, its e_t, `(rollouts * batch, time, features +
        units)`.

    Raises:
        ValueError: If a number is not positive or the layers do not fit.

    Example:
        >>> layer = keras.layers.LSTM(
        ...     4, return_sequences=True, return_state=True
        ... )
        >>> model = SequenceClassifier(10, 3, [layer])
        >>> tuple(model(keras.ops.zeros((2, 7), "int32"))["logits"].shape)
        (2, 3)

    Reference: the number-prediction model of Gui et al., AAAI 2019, whose
    published code starts V from N(0, 0.3) and v from 0.1.
    """

    def __init__(
        self,
        num_symbols,
        num_classes,
        layers,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        check_count("num_symbols", num_symbols, "the size of the alphabet")
        check_count("num_classes", num_classes, "the number of classes")
        stack.check_layers(layers)
        super().__init__(**kwargs)
        self.num_symbols = num_symbols
        self.num_classes = num_classes
        self.recurrent_layers = list(layers)
        self.supports_masking = True
        self.readout = keras.layers.Dense(
            num_classes,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            name="readout",
        )

    def build(self, symbols_shape=None):
        features = stack.build(self.recurrent_layers, self.num_symbols)
        self.readout.build((None, features))

    def compute_mask(self, symbols, mask=None):
        return None

    def call(self, symbols, training=False, mask=None, acting=ONCE):
        states = [
            ops.zeros((ops.shape(symbols)[0], size), self.compute_dtype)
            for size in stack.state_sizes(self.recurrent_layers)
        ]
        found = stack.run(
            self.recurrent_layers,
            ops.one_hot(
                as_ids(symbols), self.num_symbols, dtype=self.compute_dtype
            ),
            states,
            training=training,
            mask=mask,
            acting=acting,
        )
        logits = self.readout(stack.at_end(self.recurrent_layers, found))
        more = ("policy", "observed")
        return {"logits": logits, **{k: found[k] for k in more if k in found}}

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "num_symbols": self.num_symbols,
            "num_classes": self.num_classes,
            "layers": [serialize(layer) for layer in self.recurrent_layers],
            "kernel_initializer": serialize(self.readout.kernel_initializer),
            "bias_initializer": serialize(self.readout.bias_initializer),
        }

    @classmethod
    def from_config(cls, config):
        layers = config.pop("layers")
        layers = [keras.saving.deserialize_keras_object(x) for x in layers]
        return cls(layers=layers, **config)
