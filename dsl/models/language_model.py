"""The language model."""

import keras
from keras import ops

from dsl.cells.lstm import dense
from dsl.models import stack
from dsl.seeds import spread


@keras.saving.register_keras_serializable(package="dsl")
class LanguageModel(keras.Model):
    """Predicts each next word from all words before it.

        x = dropout(E[w_t])
        x = dropout(layer(x))         for each recurrent layer
        log p(w_{t+1} | ...) ~ x W + b

    Embedding and softmax weights are separate. The recurrent states are
    arguments and results: the model keeps nothing between calls.

    Args:
        vocabulary_size: Number of words.
        layers: Recurrent layers, bottom first, each with
            `return_sequences=True` and `return_state=True`. The last one may
            return its policy (`dsl.DynamicSkipLSTM`).
        embedding_units: Width of the word vectors.
        dropout: Rate on the word vectors and after each recurrent layer,
            drawn anew at each position (Zaremba et al. 2014).
        initializer: For embedding, softmax weights and softmax bias. An
            integer as its seed gives all three the same draw; a
            `keras.random.SeedGenerator` gives each its own.
        seed: Seed of the dropout.

    Call arguments:
        tokens: Word ids, int32 `(batch, time)`.
        states: Flat list of the states of all layers, bottom first; zeros by
            default.
        training: Whether dropout is applied.
        num_rollouts: How often the top layer is run from the same state.
        task_rollouts: How many of these, from the first on, the logits are
            for, all by default; the predictions of the others come apart, so
            that a loss can leave them out at no cost.
        action_selection: Passed to the top layer.
        look_back: Optional distances that the top layer is to take, integer
            `(batch, time)`; 0 leaves the choice to it.

    Returns:
        Dict of `logits` `(task_rollouts * batch, time, vocabulary_size)`,
        `probe_logits`, those of the other rollouts if there are any, `states`
        (flat list, those of the top layer with rollouts * batch rows),
        `policy` (dict, empty for a plain model) and `observed`, the agent's
        e_t = [x_t ; h_{t-1}], `(rollouts * batch, time, features + units)`
        (None for a plain model).

    Example:
        >>> layer = keras.layers.LSTM(
        ...     4, return_sequences=True, return_state=True
        ... )
        >>> model = LanguageModel(11, [layer], embedding_units=3)
        >>> tuple(model(keras.ops.zeros((2, 7), "int32"))["logits"].shape)
        (2, 7, 11)

    Reference: Zaremba, Sutskever & Vinyals 2014, arXiv:1409.2329.
    """

    def __init__(
        self,
        vocabulary_size,
        layers,
        embedding_units,
        dropout=0.0,
        initializer="uniform",
        seed=None,
        **kwargs,
    ):
        stack.check_layers(layers)
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.embedding_units = embedding_units
        self.dropout = dropout
        self.seed = seed
        self.initializer = keras.initializers.get(initializer)
        self.embedding = keras.layers.Embedding(
            vocabulary_size,
            embedding_units,
            embeddings_initializer=self.initializer,
            name="embedding",
        )
        self.recurrent_layers = list(layers)
        self.dropouts = [
            keras.layers.Dropout(dropout, seed=one)
            for one in spread(seed, len(self.recurrent_layers) + 1)
        ]

    def build(self, tokens_shape=None):
        self.embedding.build(tokens_shape)
        features = self.embedding_units
        for layer in self.recurrent_layers:
            layer.build((None, None, features))
            features = layer.cell.output_size
        self.softmax_kernel = self.add_weight(
            shape=(features, self.vocabulary_size),
            name="softmax_kernel",
            initializer=_again(self.initializer),
        )
        self.softmax_bias = self.add_weight(
            shape=(self.vocabulary_size,),
            name="softmax_bias",
            initializer=_again(self.initializer),
        )

    @property
    def state_sizes(self):
        """Sizes of the states in the order of `states`."""
        return stack.state_sizes(self.recurrent_layers)

    def initial_states(self, batch_size):
        """Zero states, one `(batch_size, size)` tensor each."""
        return [
            ops.zeros((batch_size, size), self.compute_dtype)
            for size in self.state_sizes
        ]

    def call(
        self,
        tokens,
        states=None,
        training=False,
        num_rollouts=1,
        task_rollouts=None,
        action_selection=None,
        look_back=None,
    ):
        if states is None:
            states = self.initial_states(ops.shape(tokens)[0])
        x = self.dropouts[0](self.embedding(tokens), training=training)
        found = stack.run(
            self.recurrent_layers,
            x,
            states,
            self.dropouts[1:],
            training=training,
            num_rollouts=num_rollouts,
            action_selection=action_selection,
            look_back=look_back,
        )
        hidden = found.pop("hidden")
        batch = ops.shape(tokens)[0]
        return {
            **self._predict(hidden, batch, num_rollouts, task_rollouts),
            **found,
        }

    def _predict(self, hidden, batch, num_rollouts, task_rollouts):
        """Logits of the task's rollouts, and of the others apart."""
        if task_rollouts in (None, num_rollouts):
            return {"logits": self._logits(hidden)}
        # Two products: what no loss reaches costs no backward pass.
        rows = task_rollouts * batch
        return {
            "logits": self._logits(hidden[:rows]),
            "probe_logits": self._logits(hidden[rows:]),
        }

    def _logits(self, hidden):
        return dense(hidden, self.softmax_kernel) + self.softmax_bias

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "layers": [
                keras.saving.serialize_keras_object(layer)
                for layer in self.recurrent_layers
            ],
            "embedding_units": self.embedding_units,
            "dropout": self.dropout,
            "initializer": keras.initializers.serialize(self.initializer),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        layers = config.pop("layers")
        layers = [keras.saving.deserialize_keras_object(x) for x in layers]
        return cls(layers=layers, **config)


def _again(initializer):
    """The initializer for one more weight.

    Keras fixes the draw of an unseeded initializer when it is made; a clone
    draws anew. A seed generator must not be cloned: it goes on by itself.
    """
    unseeded = initializer.get_config().get("seed", 0) is None
    return initializer.clone() if unseeded else initializer
