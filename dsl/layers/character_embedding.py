"""Word ids to vectors, by way of the words' characters."""

import keras
import numpy as np
from keras import ops

from dsl.steps import as_ids


@keras.saving.register_keras_serializable(package="dsl")
class CharacterEmbedding(keras.layers.Layer):
    """In place of `keras.layers.Embedding`: vectors from characters.

        E[w] = encoder(spelling[w])

    Args:
        spelling: The character ids of each word: rows of integers of at least
            1, with zeros after their end or not, see
            `dsl.datasets.characters.spell`.
        encoder: The `dsl.CharacterEncoder`.
        mask_zero: Whether word 0 is padding, which the layers behind skip. It
            needs a spelling all the same.

    Call arguments:
        tokens: Word ids `(...)`, whole numbers of any type. Each is encoded,
            so that a caller does well to list equal ones once.

    Returns:
        Float `(..., output_dim)`.

    Raises:
        ValueError: If there is no word, or a character that is not in
            [1, encoder.num_characters).

    Example:
        >>> from dsl.layers.character_encoder import CharacterEncoder
        >>> encoder = CharacterEncoder(9, 2, widths=(2,), feature_maps=(3,))
        >>> embedding = CharacterEmbedding([[1, 5, 2], [1, 2]], encoder)
        >>> tuple(embedding(keras.ops.array([[0, 1, 1]])).shape)
        (1, 3, 3)
    """

    def __init__(self, spelling, encoder, mask_zero=False, **kwargs):
        super().__init__(**kwargs)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        # Half precision would round ids that come as floats.
        self.autocast = False
        rows = [np.trim_zeros(np.asarray(row, int), "b") for row in spelling]
        longest = max(map(len, rows), default=0)
        if not longest:
            raise ValueError(
                "`spelling` must hold a word of a character or more. "
                f"Received: {len(rows)} words without"
            )
        for row in rows:
            if np.any((row < 1) | (row >= encoder.num_characters)):
                raise ValueError(
                    "`spelling` holds character ids, which must be in [1, "
                    f"{encoder.num_characters}). Received: {row.tolist()}"
                )
        self.spelling = np.array(
            [np.pad(row, (0, longest - len(row))) for row in rows], np.int32
        )
        self.encoder = encoder

    @property
    def output_dim(self):
        """Width of the vectors."""
        return self.encoder.units

    def build(self, tokens_shape=None):
        # One read from a configuration comes built.
        if not self.encoder.built:
            self.encoder.build((None, self.spelling.shape[-1]))

    def call(self, tokens):
        return self.encoder(ops.take(self.spelling, as_ids(tokens), axis=0))

    def compute_mask(self, tokens, mask=None):
        return ops.not_equal(tokens, 0) if self.mask_zero else None

    def compute_output_shape(self, tokens_shape):
        return (*tokens_shape, self.output_dim)

    def all_vectors(self, block=500):
        """The vectors of all words, each encoded once.

        Args:
            block: Words at a time: what bounds the memory.

        Returns:
            Float `(words, output_dim)`.
        """
        ids = np.arange(len(self.spelling), dtype="int32")
        starts = range(0, len(ids), block)
        return ops.concatenate([self(ids[n : n + block]) for n in starts])

    def get_config(self):
        rows = [np.trim_zeros(row, "b").tolist() for row in self.spelling]
        encoder = keras.saving.serialize_keras_object(self.encoder)
        return {
            **super().get_config(),
            "spelling": rows,
            "encoder": encoder,
            "mask_zero": self.mask_zero,
        }

    @classmethod
    def from_config(cls, config):
        encoder = keras.saving.deserialize_keras_object(config.pop("encoder"))
        return cls(encoder=encoder, **config)
