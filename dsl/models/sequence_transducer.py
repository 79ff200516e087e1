"""The model that answers at each step of a sequence."""

import keras
from keras import ops

from dsl.choices import check_count
from dsl.models import stack
from dsl.models.logits_model import LogitsModel
from dsl.policy.acting import ONCE


@keras.saving.register_keras_serializable(package="dsl")
class SequenceTransducer(LogitsModel):
    """Reads a sequence of vectors, and puts out logits at each step.

        h_t = layer(...layer(x_t))         each recurrent layer
        log p(y_t | x_1..x_t) ~ h_t V + v

    Args:
        num_features: Size of x_t.
        num_outputs: Logits of a step: one a bit, for a loss of bits, or one a
            class.
        layers: Recurrent layers, bottom first, each with
            `return_sequences=True` and `return_state=True`; or
            `keras.layers.Bidirectional` around one. The last one may return
            its policy (`dsl.DynamicSkipLSTM`) or its attention
            (`dsl.AttentionLSTM`).
        kernel_initializer: For V.
        bias_initializer: For v.

    Trains in `fit` with a loss of logits, such as
    `keras.losses.BinaryCrossentropy(from_logits=True)`; see
    `dsl.models.logits_model.LogitsModel`.

    Call arguments:
        sequences: Float `(batch, time, num_features)`.
        training: Whether the layers are in training mode.
        mask: Which steps count, bool `(batch, time)`; None for all.
        acting: How the top layer acts, a `dsl.policy.acting.Acting`.

    Returns:
        Dict of `logits`, `(rollouts * batch, time, num_outputs)`; `policy`,
        the top layer's dict, empty for a layer that does not choose; of one
        that does also `observed`, its e_t; of one that returns its
        `attention` those weights, `(batch, time, num_states)`.

    Raises:
        ValueError: If a number is not positive or the layers do not fit.

    Example:
        >>> layer = keras.layers.LSTM(
        ...     4, return_sequences=True, return_state=True
        ... )
        >>> model = SequenceTransducer(10, 8, [layer])
        >>> tuple(model(keras.ops.zeros((2, 7, 10)))["logits"].shape)
        (2, 7, 8)

    Reference: the copy task's network of Graves et al. 2014, arXiv:1410.5401.
    """

    def __init__(
        self,
        num_features,
        num_outputs,
        layers,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        check_count("num_features", num_features, "the size of an input")
        check_count("num_outputs", num_outputs, "the logits of a step")
        stack.check_layers(layers)
        super().__init__(**kwargs)
        self.num_features = num_features
        self.num_outputs = num_outputs
        self.recurrent_layers = list(layers)
        self.supports_masking = True
        self.readout = keras.layers.Dense(
            num_outputs,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            name="readout",
        )

    def build(self, sequences_shape=None):
        features = stack.build(self.recurrent_layers, self.num_features)
        self.readout.build((None, None, features))

    def call(self, sequences, training=False, mask=None, acting=ONCE):
        sequences = ops.cast(sequences, self.compute_dtype)
        states = [
            ops.zeros((ops.shape(sequences)[0], size), self.compute_dtype)
            for size in stack.state_sizes(self.recurrent_layers)
        ]
        found = stack.run(
            self.recurrent_layers,
            sequences,
            states,
            training=training,
            mask=mask,
            acting=acting,
        )
        more = ("policy", "observed", "attention")
        return {
            "logits": self.readout(found["hidden"]),
            **{name: found[name] for name in more if name in found},
        }

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "num_features": self.num_features,
            "num_outputs": self.num_outputs,
            "layers": [serialize(layer) for layer in self.recurrent_layers],
            "kernel_initializer": serialize(self.readout.kernel_initializer),
            "bias_initializer": serialize(self.readout.bias_initializer),
        }

    @classmethod
    def from_config(cls, config):
        layers = config.pop("layers")
        layers = [keras.saving.deserialize_keras_object(x) for x in layers]
        return cls(layers=layers, **config)
