"""The language model."""

import keras
from keras import ops

from dsl.initializers import again
from dsl.models import stack
from dsl.models.logits_model import LogitsModel
from dsl.policy.acting import ONCE
from dsl.seeds import spread
from dsl.steps import dense


@keras.saving.register_keras_serializable(package="dsl")
class LanguageModel(LogitsModel):
    """Predicts each next word from all words before it.

        x = dropout(E[w_t])
        x = dropout(layer(x))         for each recurrent layer
        log p(w_{t+1} | ...) ~ x W + b

    E is a table of word vectors, or made of the words' characters. Embedding
    and softmax weights are separate. The recurrent states are arguments and
    results: the model keeps nothing between calls.

    Trains in `fit` with a loss of logits and plain labels, the next words
    `(batch, time)`; see `dsl.models.logits_model.LogitsModel`.

    Args:
        vocabulary_size: Number of words.
        layers: Recurrent layers, bottom first, each with
            `return_sequences=True` and `return_state=True`. The last one may
            return its policy (`dsl.DynamicSkipLSTM`) or its attention
            (`dsl.AttentionLSTM`).
        embedding_units: Width of the word vectors, None with an `embedding`.
        dropout: Rate on the word vectors and after each recurrent layer,
            drawn anew at each position (Zaremba et al. 2014).
        initializer: For embedding, softmax weights and softmax bias. An
            integer as its seed gives all three the same draw; a
            `keras.random.SeedGenerator` gives each its own.
        seed: Seed of the dropout.
        embedding: Layer from word ids to vectors of `output_dim`, in place of
            a table, such as `dsl.CharacterEmbedding`; what it puts out is not
            dropped (Kim et al. 2016).

    Call arguments:
        tokens: Word ids, int32 `(batch, time)`.
        states: Flat list of the states of all layers, bottom first; zeros by
            default.
        training: Whether dropout is applied.
        acting: How the top layer acts, a `dsl.policy.acting.Acting`. The logits
            are those of its `task_rollouts`; the predictions of the others
            come apart, so that a loss can leave them out at no cost.
        vectors: Optional vectors that `tokens` number, float `(words,
            features)`, in place of E: words that were embedded once.
        predict: Whether logits are computed. If not, `hidden` and
            `probe_hidden` stand in their place, what they are computed from;
            see `dsl.models.word_losses`.

    Returns:
        Dict of `logits` `(task_rollouts * batch, time, vocabulary_size)`,
        `probe_logits`, those of the other rollouts if there are any, `states`
        (flat list, those of the top layer with rollouts * batch rows),
        `top_inputs`, what the top layer read, `(batch, time, features)`,
        `policy` (dict, empty for a model that does not choose); of a model
        that chooses also `observed`, the agent's e_t = [x_t ; h_{t-1}],
        `(rollouts * batch, time, features + units)`; of one whose last layer
        returns its attention also `attention`, the weights of the past
        states, nearest first, `(batch, time, num_states)`.

    Raises:
        ValueError: If the layers do not fit, or there is not one of
            `embedding_units` and `embedding`.

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
        embedding_units=None,
        dropout=0.0,
        initializer="uniform",
        seed=None,
        embedding=None,
        **kwargs,
    ):
        stack.check_layers(layers, causal=True)
        if (embedding is None) == (embedding_units is None):
            raise ValueError(
                "`embedding_units` is the width of word vectors, and "
                "`embedding` what makes them: one of both must be given. "
                f"Received: {embedding_units!r} and {embedding!r}"
            )
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.embedding_units = embedding_units
        self.dropout = dropout
        self.seed = seed
        self.initializer = keras.initializers.get(initializer)
        self.embedding = embedding or keras.layers.Embedding(
            vocabulary_size,
            embedding_units,
            embeddings_initializer=self.initializer,
            name="embedding",
        )
        self.recurrent_layers = list(layers)
        rates = [dropout] * (len(self.recurrent_layers) + 1)
        if embedding is not None:
            rates[0] = 0.0
        self.dropouts = [
            keras.layers.Dropout(rate, seed=one)
            for rate, one in zip(rates, spread(seed, len(rates)), strict=True)
        ]

    def build(self, tokens_shape=None):
        self.embedding.build(tokens_shape)
        features = stack.build(self.recurrent_layers, self.embedding.output_dim)
        self.softmax_kernel = self.add_weight(
            shape=(features, self.vocabulary_size),
            name="softmax_kernel",
            initializer=again(self.initializer),
        )
        self.softmax_bias = self.add_weight(
            shape=(self.vocabulary_size,),
            name="softmax_bias",
            initializer=again(self.initializer),
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

    def encode_words(self):
        """The vectors of all words, for `vectors`, where that saves work.

        Returns:
            Float `(vocabulary_size, features)`, or None for an embedding that
            is a table already.
        """
        all_vectors = getattr(self.embedding, "all_vectors", None)
        return None if all_vectors is None else all_vectors()

    def call(
        self,
        tokens,
        states=None,
        training=False,
        acting=ONCE,
        vectors=None,
        predict=True,
    ):
        if states is None:
            states = self.initial_states(ops.shape(tokens)[0])
        if vectors is None:
            x = self.embedding(tokens)
        else:
            x = ops.take(vectors, tokens, axis=0)
        x = self.dropouts[0](x, training=training)
        found = stack.run(
            self.recurrent_layers,
            x,
            states,
            self.dropouts[1:],
            training=training,
            acting=acting,
        )
        hidden = {"": found.pop("hidden")}
        if acting.task_rollouts < acting.num_rollouts:
            # Two products: what no loss reaches costs no backward pass.
            rows = acting.task_rollouts * ops.shape(tokens)[0]
            hidden = {"": hidden[""][:rows], "probe_": hidden[""][rows:]}
        if not predict:
            return {**{f"{key}hidden": x for key, x in hidden.items()}, **found}
        logits = {f"{key}logits": self.logits(x) for key, x in hidden.items()}
        return {**logits, **found}

    def softmax_weights(self):
        """Kernel `(units, words)` and bias of the softmax, as they compute."""
        return [
            ops.cast(weight, self.compute_dtype)
            for weight in (self.softmax_kernel, self.softmax_bias)
        ]

    def logits(self, hidden):
        """z = h W + b: `(..., words)` of the top layer's `(..., units)`."""
        return dense(hidden, self.softmax_kernel) + self.softmax_bias

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        is_table = self.embedding_units is not None
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "layers": [serialize(layer) for layer in self.recurrent_layers],
            "embedding_units": self.embedding_units,
            "dropout": self.dropout,
            "initializer": keras.initializers.serialize(self.initializer),
            "seed": self.seed,
            "embedding": None if is_table else serialize(self.embedding),
        }

    @classmethod
    def from_config(cls, config):
        restore = keras.saving.deserialize_keras_object
        layers = [restore(layer) for layer in config.pop("layers")]
        embedding = restore(config.pop("embedding", None))
        return cls(layers=layers, embedding=embedding, **config)


def encoded_words(layer, language_model):
    """The vectors of all words as a weight of a layer, so that none is remade.

    Args:
        layer: Any Keras layer; a constant would be compiled into its program.
        language_model: A built `dsl.LanguageModel`.

    Returns:
        Variable `(words, features)`, not trainable; None unless words are made
        of their characters.
    """
    vectors = language_model.encode_words()
    return (
        vectors
        if vectors is None
        else layer.add_weight(
            shape=vectors.shape,
            name="vectors",
            initializer=lambda shape, dtype: ops.cast(vectors, dtype),
            trainable=False,
        )
    )
