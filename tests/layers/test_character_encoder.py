"""The character encoder and its parts, against loops over NumPy."""

import cases
import character_reference
import keras
import numpy as np
import pytest
import reference
from gradients import gradients
from keras import ops

import dsl

CHARACTERS, EMBEDDING = 9, 3
WIDTHS, MAPS = (2, 1, 4), (3, 2, 5)
UNITS = sum(MAPS)
# Shorter and longer than the widest window; one that repeats itself.
WORDS = [[1, 3, 2], [1, 4, 5, 6, 7, 8, 2], [1, 4, 4, 4, 2], [5], [1, 2]]


def table(width=7):
    """The words in rows of zeros."""
    rows = np.zeros((len(WORDS), width), "int32")
    for row, word in zip(rows, WORDS, strict=True):
        row[: len(word)] = word
    return rows


def random_weights(seed=0, highways=2, characters=CHARACTERS, maps=MAPS):
    """Weights of the oracle; no character's vector is zero there."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(scale=0.7, size=shape)

    weights = {"embeddings": normal(characters, EMBEDDING)}
    for width, outputs in zip(WIDTHS, maps, strict=True):
        weights[f"kernel_{width}"] = normal(width, EMBEDDING, outputs)
        weights[f"bias_{width}"] = normal(outputs)
    shapes = [(sum(maps), sum(maps)), (sum(maps),)] * 2
    weights["highways"] = [
        tuple(normal(*shape) for shape in shapes) for _ in range(highways)
    ]
    return weights


def build(weights=None, cls=dsl.CharacterEncoder):
    """An encoder, with the weights of the oracle."""
    weights = weights or random_weights()
    widths = character_reference.widths(weights)
    encoder = cls(
        len(weights["embeddings"]),
        EMBEDDING,
        widths=widths,
        feature_maps=[len(weights[f"bias_{width}"]) for width in widths],
        highway_layers=len(weights["highways"]),
    )
    encoder.build()
    encoder.embeddings.assign(weights["embeddings"])
    for width, (kernel, bias) in zip(widths, encoder.windows, strict=True):
        kernel.assign(weights[f"kernel_{width}"])
        bias.assign(weights[f"bias_{width}"])
    for layer, values in zip(
        encoder.highways, weights["highways"], strict=True
    ):
        layer.set_weights(values)
    return encoder


def encode(encoder, rows):
    return cases.to_numpy(encoder(ops.convert_to_tensor(rows)))


@pytest.mark.backend
def test_it_is_the_oracle():
    weights = random_weights()
    right = [character_reference.encode(word, weights) for word in WORDS]
    found = encode(build(), table())
    np.testing.assert_allclose(found, right, atol=1e-5)
    # For any leading axes.
    found = encode(build(), table()[[[0, 1, 2], [3, 4, 0]]])
    assert found.shape == (2, 3, UNITS)
    np.testing.assert_allclose(found[1, 1], right[4], atol=1e-5)


def test_no_highway():
    weights = random_weights(highways=0)
    right = [character_reference.encode(word, weights) for word in WORDS]
    found = encode(build(weights), table())
    np.testing.assert_allclose(found, right, atol=1e-5)


def test_a_wider_table_changes_nothing():
    encoder = build()
    found = encode(encoder, table())
    for width in (8, 30):
        wider = encode(encoder, table(width))
        np.testing.assert_allclose(wider, found, atol=1e-6)
    for word, right in zip(WORDS, found, strict=True):
        alone = encode(encoder, np.array([word]))
        np.testing.assert_allclose(alone[0], right, atol=1e-6)


@pytest.mark.parametrize("width", [7, 12])
def test_the_published_windows_differ_for_the_longest_words_alone(width):
    """The departure that the layer documents."""
    weights, found = random_weights(), encode(build(), table())
    differ = []
    for word, ours in zip(WORDS, found, strict=True):
        theirs = character_reference.encode_in_table(word, weights, width)
        same = np.allclose(ours, theirs, atol=1e-5)
        differ.append(not same)
        if len(word) <= width - max(WIDTHS):
            assert same
    assert any(differ) == (width == 7)


def as_oracle(encoder, values):
    """The weights of an oracle from one array a variable."""
    values = [np.asarray(value, np.float64) for value in values]
    names = [v.name for v in encoder.weights]
    split = 1 + 2 * len(WIDTHS)
    weights = dict(zip(names[:split], values[:split], strict=True))
    rest = values[split:]
    weights["highways"] = [
        tuple(rest[n : n + 4]) for n in range(0, len(rest), 4)
    ]
    return weights


def test_gradient_of_every_weight():
    encoder, rows = build(), ops.array(table())
    rng = np.random.default_rng(5)
    upstream = rng.normal(size=(len(WORDS), UNITS))
    variables = encoder.trainable_variables

    def loss():
        return ops.sum(encoder(rows) * upstream.astype("float32"))

    _, found, _ = gradients(loss, variables)
    assert not found[0][0].any()
    start = [cases.to_numpy(v).astype(np.float64) for v in variables]
    point = {str(n): value for n, value in enumerate(start)}

    def value(point):
        weights = as_oracle(encoder, point.values())
        encoded = [character_reference.encode(w, weights) for w in WORDS]
        return np.sum(np.array(encoded) * upstream)

    assert float(loss()) == pytest.approx(value(point), rel=1e-4)
    for n, gradient in enumerate(found):
        direction = {str(m): np.zeros_like(x) for m, x in enumerate(start)}
        direction[str(n)] = rng.normal(size=start[n].shape)
        right = reference.directional_derivative(value, point, direction)
        along = np.sum(gradient * direction[str(n)])
        np.testing.assert_allclose(
            along, right, rtol=1e-3, atol=1e-3, err_msg=variables[n].path
        )


class ResetEncoder(dsl.CharacterEncoder):
    """As published: the first row is read, and reset after each update."""

    def _vectors(self):
        return self.embeddings


def test_a_first_row_that_is_not_read_is_one_that_is_reset():
    """And stays zero, without being reset."""
    rng = np.random.default_rng(6)
    upstream = ops.array(rng.normal(size=(len(WORDS), UNITS)), "float32")
    rows, trained = ops.array(table()), []
    for cls in (dsl.CharacterEncoder, ResetEncoder):
        encoder = build(cls=cls)

        def reset(embeddings=encoder.embeddings):
            values = cases.to_numpy(embeddings).copy()
            values[0] = 0.0
            embeddings.assign(values)

        def loss(encoder=encoder):
            return ops.sum(encoder(rows) * upstream)

        reset()
        for _ in range(2):
            found = gradients(loss, encoder.trainable_variables)[1]
            for variable, gradient in zip(
                encoder.trainable_variables, found, strict=True
            ):
                variable.assign_sub(0.1 * gradient)
            if cls is ResetEncoder:
                assert found[0][0].any()
                reset()
        assert not cases.to_numpy(encoder.embeddings)[0].any()
        trained.append([cases.to_numpy(v) for v in encoder.weights])
    for ours, published in zip(*trained, strict=True):
        np.testing.assert_allclose(ours, published, atol=1e-5)
    assert np.abs(trained[0][0] - random_weights()["embeddings"]).max() > 0.1


def test_the_first_row_starts_at_zero_and_no_two_weights_alike():
    encoder = dsl.CharacterEncoder(
        CHARACTERS, EMBEDDING, widths=WIDTHS, feature_maps=MAPS
    )
    encoder.build()
    drawn = [cases.to_numpy(v) for v in encoder.weights]
    assert not drawn[0][0].any() and drawn[0][1:].all()
    firsts = {value.flat[-1].item() for value in drawn}
    assert len(firsts) == len(drawn) == 1 + 2 * 3 + 2 * 4
    assert all(np.abs(value).max() <= 0.05 for value in drawn)


def test_the_highway_is_the_oracle():
    rng = np.random.default_rng(7)
    layer = dsl.Highway(transform_bias=-0.5)
    x = rng.normal(size=(2, 3, 4))
    layer.build(x.shape)
    weights = [rng.normal(size=v.shape) for v in layer.weights]
    layer.set_weights(weights)
    right = character_reference.highway(x, weights, -0.5)
    found = cases.to_numpy(layer(x.astype("float32")))
    np.testing.assert_allclose(found, right, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        dsl.Highway("tanh", -1.0, bias_initializer="ones"),
        dsl.CharacterEncoder(
            CHARACTERS, EMBEDDING, widths=WIDTHS, feature_maps=MAPS
        ),
        dsl.CharacterEmbedding(WORDS, build()),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_config_round_trip(layer):
    rows = table() if isinstance(layer, dsl.CharacterEncoder) else [[0, 3, 1]]
    if isinstance(layer, dsl.Highway):
        rows = np.ones((2, 3), "float32")
    right = encode(layer, np.asarray(rows))
    again = type(layer).from_config(layer.get_config())
    assert encode(again, np.asarray(rows)).shape == right.shape
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(encode(again, np.asarray(rows)), right)
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("width", [7, 9])
def test_words_by_their_ids(width):
    encoder = build()
    embedding = dsl.CharacterEmbedding(table(width), encoder)
    right = encode(encoder, table())
    tokens = np.array([[4, 0, 1], [1, 2, 3]])
    found = encode(embedding, tokens)
    np.testing.assert_allclose(found, right[tokens], atol=1e-6)
    assert embedding.output_dim == UNITS
    found = cases.to_numpy(embedding.all_vectors(block=2))
    np.testing.assert_allclose(found, right, atol=1e-6)


@pytest.fixture
def channels_first():
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format(before)


def test_keras_layout_of_images_changes_nothing(channels_first):
    encoder = build()
    found = encode(encoder, table())
    keras.config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(found, encode(encoder, table()))


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64"])
def test_ids_of_another_type(dtype):
    embedding = dsl.CharacterEmbedding(WORDS, build())
    tokens = np.array([[2, 0, 1], [1, 2, 3]])
    right = encode(embedding, tokens)
    np.testing.assert_array_equal(
        encode(embedding, tokens.astype(dtype)), right
    )
    rows = table().astype(dtype)
    np.testing.assert_array_equal(
        encode(embedding.encoder, rows), encode(embedding.encoder, table())
    )
    symbolic = embedding(keras.Input((6,), dtype=dtype))
    assert symbolic.shape == (None, 6, UNITS)
    assert embedding.compute_output_shape((2, 3)) == (2, 3, UNITS)


def test_ids_that_half_precision_would_round():
    spelling = [[1]] * 257 + [[2], [3]]
    encoder = dsl.CharacterEncoder(9, 2, (1,), (3,), dtype="mixed_bfloat16")
    embedding = dsl.CharacterEmbedding(
        spelling, encoder, dtype="mixed_bfloat16"
    )
    found = embedding(np.array([[256.0, 257.0, 258.0]]))
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    found = cases.to_numpy(ops.cast(found, "float32"))[0]
    assert np.all(np.any(found[1:] != found[:-1], axis=-1))


def test_a_mask_of_word_zero_as_in_keras():
    tokens = np.array([[2, 0, 1], [1, 2, 0]])
    embedding = dsl.CharacterEmbedding(WORDS, build(), mask_zero=True)
    found = embedding.compute_mask(ops.array(tokens))
    np.testing.assert_array_equal(found, tokens != 0)
    layer = dsl.LSTM(3)
    right = layer(embedding(tokens), mask=tokens != 0)
    model = keras.Sequential([embedding, layer])
    np.testing.assert_array_equal(model(ops.array(tokens)), right)
    again = dsl.CharacterEmbedding.from_config(embedding.get_config())
    assert again.mask_zero and again.supports_masking
    plain = dsl.CharacterEmbedding(WORDS, build())
    assert plain.compute_mask(ops.array(tokens)) is None


def test_another_precision():
    encoder = dsl.CharacterEncoder(9, 2, (2,), (3,), dtype="mixed_bfloat16")
    found = encoder(ops.array(table()))
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_characters": 0}, "`num_characters` is the number of ids"),
        ({"embedding_units": 1.5}, "`embedding_units` is the width of E"),
        ({"widths": (1, 0)}, "at least 1. Received: widths=0"),
        ({"feature_maps": (1, "2")}, "Received: feature_maps='2'"),
        ({"widths": (2, 2)}, "distinct, and one at least. Received: widths="),
        ({"widths": (), "feature_maps": ()}, "Received: widths=\\(\\)"),
        ({"feature_maps": (3,)}, "as many as `widths`. Received: 1 for 2"),
        ({"highway_layers": -1}, "`highway_layers` is how many there are"),
    ],
)
def test_encoders_that_cannot_be(options, message):
    options = {
        "num_characters": 9,
        "widths": (1, 2),
        "feature_maps": (3, 4),
        **options,
    }
    with pytest.raises(ValueError, match=message):
        dsl.CharacterEncoder(**options)


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ([], "a word of a character or more. Received: 0 words"),
        (np.zeros((2, 3), int), "Received: 2 words without"),
        ([[1, 9]], "must be in \\[1, 9\\). Received: \\[1, 9\\]"),
        ([[1, 0, 2]], "Received: \\[1, 0, 2\\]"),
    ],
)
def test_spellings_that_cannot_be(spelling, message):
    with pytest.raises(ValueError, match=message):
        dsl.CharacterEmbedding(spelling, dsl.CharacterEncoder(9))
