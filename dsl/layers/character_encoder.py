"""Vectors of words from the characters that they are spelled with."""

import keras
from keras import ops

from dsl.choices import check_count
from dsl.initializers import again
from dsl.layers.highway import Highway
from dsl.steps import as_ids


@keras.saving.register_keras_serializable(package="dsl")
class CharacterEncoder(keras.layers.Layer):
    """Encodes words from their characters (Kim et al. 2016).

        x_t = E[c_t],  E[0] = 0
        y_w = tanh(max over t of sum_{o < w} x_{t+o} K_w[o] + b_w)
        y = highway(... highway([y_w of every width w]))

    A window starts at each character of a word, and one behind it; what it
    sees beyond the word is zero. So how far a row is filled up with zeros
    changes nothing, and words shorter than a window need no care. The bias
    and tanh, which rise, are left until after the largest value is found.

    Args:
        num_characters: Number of characters, 0 included.
        embedding_units: Width of E.
        widths: Each w, distinct.
        feature_maps: Outputs of each width, as many.
        highway_layers: Number of highway layers.
        transform_bias: Constant added to their gates.
        initializer: For all weights. An integer as its seed gives all of a
            shape the same draw; a `keras.random.SeedGenerator` gives each
            its own.

    Call arguments:
        characters: Character ids, integer `(..., width)`: each row a word,
            then zeros.

    Returns:
        Float `(..., units)`, units the sum of the feature maps.

    Raises:
        ValueError: If a number is not positive, or the widths are not
            distinct or not as many as the feature maps.

    Example:
        >>> encoder = CharacterEncoder(9, 2, widths=(1, 2), feature_maps=(3, 4))
        >>> tuple(encoder(keras.ops.array([[1, 5, 2], [1, 2, 0]])).shape)
        (2, 7)

    Reference: Kim, Jernite, Sontag & Rush, AAAI 2016, arXiv:1508.06615.
    Departures: In the published code no window reaches beyond the longest of
    all words, of W characters (start and end counted), so that those of more
    than W - w characters are seen by fewer. There the first row of E is reset
    after each update; here it is never read, which is the same but for its
    part in the norm of the gradient.
    """

    def __init__(
        self,
        num_characters,
        embedding_units=15,
        widths=(1, 2, 3, 4, 5, 6, 7),
        feature_maps=(50, 100, 150, 200, 200, 200, 200),
        highway_layers=2,
        transform_bias=-2.0,
        initializer="uniform",
        **kwargs,
    ):
        check_count("num_characters", num_characters, "the number of ids")
        check_count("embedding_units", embedding_units, "the width of E")
        _check_windows(widths, feature_maps)
        if highway_layers != 0:
            check_count("highway_layers", highway_layers, "how many there are")
        super().__init__(**kwargs)
        self.num_characters = num_characters
        self.embedding_units = embedding_units
        self.widths = tuple(widths)
        self.feature_maps = tuple(feature_maps)
        self.highway_layers = highway_layers
        self.transform_bias = transform_bias
        self.initializer = keras.initializers.get(initializer)
        self.highways = [
            Highway(
                transform_bias=transform_bias,
                kernel_initializer=self.initializer,
                bias_initializer=self.initializer,
                dtype=self.dtype_policy,
                name=f"highway_{n}",
            )
            for n in range(highway_layers)
        ]

    @property
    def units(self):
        """Width of the encodings."""
        return sum(self.feature_maps)

    def build(self, characters_shape=None):
        self.embeddings = self.add_weight(
            shape=(self.num_characters, self.embedding_units),
            name="embeddings",
            initializer=self._draw_embeddings,
        )
        self.windows = [
            (
                self.add_weight(
                    shape=(width, self.embedding_units, maps),
                    name=f"kernel_{width}",
                    initializer=again(self.initializer),
                ),
                self.add_weight(
                    shape=(maps,),
                    name=f"bias_{width}",
                    initializer=again(self.initializer),
                ),
            )
            for width, maps in zip(self.widths, self.feature_maps, strict=True)
        ]
        for layer in self.highways:
            layer.build((None, self.units))

    def _draw_embeddings(self, shape, dtype=None):
        rows = again(self.initializer)((shape[0] - 1, shape[1]), dtype)
        return _after_zero(rows)

    def call(self, characters):
        lead, width = ops.shape(characters)[:-1], characters.shape[-1]
        rows = ops.reshape(as_ids(characters), (-1, width))
        rows = ops.pad(rows, [[0, 0], [0, max(self.widths)]])
        # (rows, width + the widest window, embedding_units)
        x = ops.take(self._vectors(), rows, axis=0)
        y = ops.concatenate(
            [
                _features(x[:, : width + kernel.shape[0]], kernel, bias)
                for kernel, bias in self.windows
            ],
            axis=-1,
        )
        for layer in self.highways:
            y = layer(y)
        return ops.reshape(y, (*lead, self.units))

    def compute_output_shape(self, characters_shape):
        return (*characters_shape[:-1], self.units)

    def _vectors(self):
        """E, of which the first row is not read: no gradient reaches it."""
        return _after_zero(self.embeddings[1:])

    def get_config(self):
        return {
            **super().get_config(),
            "num_characters": self.num_characters,
            "embedding_units": self.embedding_units,
            "widths": self.widths,
            "feature_maps": self.feature_maps,
            "highway_layers": self.highway_layers,
            "transform_bias": self.transform_bias,
            "initializer": keras.initializers.serialize(self.initializer),
        }


def _check_windows(widths, feature_maps):
    """Raises a ValueError unless each width has its feature maps."""
    for width in widths:
        check_count("widths", width, "the width of a window")
    for maps in feature_maps:
        check_count("feature_maps", maps, "the number of outputs of a width")
    if not widths or len(set(widths)) != len(widths):
        raise ValueError(
            "`widths` must be distinct, and one at least. "
            f"Received: widths={widths!r}"
        )
    if len(feature_maps) != len(widths):
        raise ValueError(
            "`feature_maps` must be as many as `widths`. Received: "
            f"{len(feature_maps)} for {len(widths)}"
        )


def _after_zero(rows):
    """The rows `(n, units)` after one of zeros."""
    return ops.pad(rows, [[1, 0], [0, 0]])


def _features(x, kernel, bias):
    """y_w `(n, maps)` of x `(n, width + w, embedding_units)`."""
    # (n, width + 1, maps)
    z = ops.conv(x, kernel, padding="valid", data_format="channels_last")
    return ops.tanh(ops.max(z, axis=1) + bias)
