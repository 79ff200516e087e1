"""Language models that read words as characters."""

import cases
import character_reference
import keras
import numpy as np
import pytest
import small_models
from gradients import gradients
from keras import ops
from small_models import BATCH, EMBEDDING, STEPS, WORDS
from small_runs import uncompiled

import dsl
from dsl.analysis import gradient_norms
from dsl.analysis.hidden_gradients import hidden_gradients
from dsl.datasets import characters, streams
from dsl.runs.folder import RunFolder
from dsl.scoring.streams import score
from dsl.training.optimizers import GroupedOptimizer
from language_modeling import model as building
from language_modeling.task import TASK
from tests.layers import test_character_encoder as encoders

VOCABULARY = "<eos> <unk> a bb abc cab abba ab-c acacac b caaaaab".split()
ALPHABET = characters.alphabet(VOCABULARY)
SPELLING = characters.spell(VOCABULARY, ALPHABET)
TOKENS = small_models.text().reshape(BATCH, STEPS)


def weights():
    """Of an encoder as wide as a small model's word vectors."""
    return encoders.random_weights(3, 1, len(ALPHABET), maps=(1, 2, 2))


def build(**options):
    embedding = dsl.CharacterEmbedding(SPELLING, encoders.build(weights()))
    return small_models.build(embedding=embedding, **options)


def oracle(tokens, states=None):
    """What the model returns, by loops over NumPy."""
    words = [[c for c in row if c] for row in SPELLING]
    encoded = [character_reference.encode(word, weights()) for word in words]
    table = np.array(encoded)
    assert table.shape == (WORDS, EMBEDDING)
    model = {**small_models.random_weights(), "embedding": table}
    return small_models.oracle(tokens, states, model)


def distinct(count=1, seed=4):
    """Consecutive segments of a text, plain and with each word once."""
    rows = small_models.text(BATCH * (count * STEPS + 1), seed)
    plain = streams.Segments(rows.reshape(BATCH, -1), STEPS)
    return list(plain), list(streams.DistinctWords(plain))


def train(batches, graph=False):
    """A trainer after these batches, and their losses."""
    trainer = small_models.trainer(
        build(action_selection="greedy"),
        optimizer=GroupedOptimizer(keras.optimizers.SGD(0.1), max_norm=1.0),
        graph=graph,
    )
    losses = [float(trainer.train_on_batch(*batch)) for batch in batches]
    return trainer, losses


def test_it_is_the_oracle():
    model, right = build(), oracle(TOKENS)
    found = model(ops.array(TOKENS))
    np.testing.assert_allclose(found["logits"], right["logits"], atol=1e-4)
    small_models.assert_states(found["states"], right["states"])
    # Words that were encoded before.
    again = model(ops.array(TOKENS), vectors=model.encode_words())
    np.testing.assert_allclose(again["logits"], right["logits"], atol=1e-4)


def test_each_word_of_a_segment_is_encoded_once():
    """To the same training as with each word where it stands."""
    plain, once = distinct()
    assert once[0][0]["words"].size < TOKENS.size
    found, losses = train(once, graph=True)
    right, expected = train(plain)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    first = small_models.nll(oracle(plain[0][0])["logits"], plain[0][1])
    np.testing.assert_allclose(losses[0], first.sum(1).mean(), rtol=1e-4)
    for one, other in zip(found.weights, right.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, err_msg=one.path)
    embeddings = found.language_model.embedding.encoder.embeddings
    moved = cases.to_numpy(embeddings) - np.float32(weights()["embeddings"])
    assert moved[1:].any() and not moved[0].any()


def test_keras_fit_takes_plain_words():
    (batch,), _ = distinct()
    right, _ = train([batch])
    found, _ = train([])
    found.fit(*batch, batch_size=BATCH, epochs=1, verbose=0)
    for one, other in zip(found.weights, right.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, err_msg=one.path)


def test_the_clip_is_by_the_norm_of_all_gradients():
    """Those of the encoder, too, of which the first row has none."""
    (batch,), (once,) = distinct()
    model = build(action_selection="greedy")
    before = [cases.to_numpy(v).copy() for v in model.trainable_variables]
    trainer = small_models.trainer(model)
    x, y = (ops.array(part) for part in batch)

    def loss():
        return trainer.compute_loss(x, y, trainer(x, training=True))

    _, found, _ = gradients(loss, model.trainable_variables)
    norm = np.sqrt(sum(np.sum(np.square(g)) for g in found))
    assert norm > 1.0
    after = train([once])[0].language_model.trainable_variables
    for old, new, gradient in zip(before, after, found, strict=True):
        np.testing.assert_allclose(
            new, old - 0.1 * gradient / norm, atol=1e-5, err_msg=new.path
        )


@pytest.mark.backend
def test_scores_are_those_of_the_oracle():
    """The vocabulary is encoded once, which moves nothing."""
    model, text = build(dropout=0.5), small_models.text(21, seed=9)
    encoded = []
    encode = model.embedding.encoder.call

    def counted(spelled):
        encoded.append(len(spelled))
        return encode(spelled)

    model.embedding.encoder.call = counted
    found = score(model, text, segment=5)
    assert encoded == [WORDS]
    right = oracle(text[None, :-1])
    nll = small_models.nll(right["logits"], text[None, 1:])
    np.testing.assert_allclose(found["nll"][0], nll, atol=1e-4)
    np.testing.assert_array_equal(found["look_back"][0], right["look_back"])


def test_gradient_norms_encode_the_vocabulary_once():
    model, text = build(action_selection="greedy"), small_models.text(13)
    tokens, targets = text[None, :-1], text[None, 1:]
    expected = [hidden_gradients(model, tokens[:, :6], targets[:, :6])]
    expected.append(
        hidden_gradients(
            model, tokens[:, 6:], targets[:, 6:], expected[0]["states"]
        )
    )
    encoded = []
    encode = model.embedding.encoder.call

    def counted(spelled):
        encoded.append(len(spelled))
        return encode(spelled)

    model.embedding.encoder.call = counted
    with uncompiled():
        found = gradient_norms.text_norms(model, text, length=6, num_streams=1)
    assert encoded == [WORDS]
    right = np.concatenate([one["gradients"] for one in expected])
    np.testing.assert_allclose(found, np.linalg.norm(right, axis=-1), atol=1e-6)


def test_scores_in_another_precision():
    """The encoded words are kept in float32, whatever they come in."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        embedding = dsl.CharacterEmbedding(SPELLING, encoders.build(weights()))
        model = small_models.build(embedding=embedding, num_actions=1)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.encode_words().dtype == "bfloat16"
    text = small_models.text(24, seed=9)
    with uncompiled():
        found = score(model, text, segment=5)
    whole = model(ops.array(text[None, :-1]))["logits"]
    nll = small_models.nll(
        cases.to_numpy(ops.cast(whole, "float32")), text[None, 1:]
    )
    np.testing.assert_allclose(found["nll"][0], nll, atol=1e-5)


def test_what_comes_from_characters_is_not_dropped():
    """After each recurrent layer there is dropout, before the first none."""
    model = build(dropout=0.5)
    assert [layer.rate for layer in model.dropouts] == [0.0, 0.5, 0.5]


@pytest.mark.parametrize("given", [{}, {"embedding_units": 3, "embedding": 1}])
def test_one_way_to_read_words(given):
    layer = dsl.LSTM(4, return_sequences=True, return_state=True)
    with pytest.raises(ValueError, match="one of both must be given. Received"):
        dsl.LanguageModel(11, [layer], **given)


def test_config_round_trip_and_saved_model(tmp_path):
    model = build(dropout=0.25)
    expected = cases.to_numpy(model(ops.array(TOKENS))["logits"])
    model.save(tmp_path / "model.keras")
    again = dsl.LanguageModel.from_config(model.get_config())
    again.build((BATCH, STEPS))
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    for copy in (again, keras.models.load_model(tmp_path / "model.keras")):
        found = cases.to_numpy(copy(ops.array(TOKENS))["logits"])
        np.testing.assert_array_equal(found, expected)


def test_training_goes_on_from_a_checkpoint_to_the_same_bits(tmp_path):
    _, once = distinct(count=2)
    whole, _ = train(once)
    run = RunFolder.create(tmp_path, "run", {"settings": {}})
    stopped, _ = train(once[:1])
    run.save_last(stopped, {})
    again, _ = train([])
    run.load_last(again)
    run.close()
    again.train_on_batch(*once[1])
    for one, other in zip(again.weights, whole.weights, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)


@pytest.mark.parametrize(
    ("flags", "parameters"),
    [
        ("--preset char_large --model lstm", 19_367_965),
        ("--preset char_large --model fixed_skip --skip 3", 19_367_965),
        ("--preset char_large --model attention", 19_433_270),
        ("--preset char_small --model lstm", 5_310_115),
        ("--preset char_large --policy_units 50", 19_367_965 + 65_305),
        ("--preset char_large --policy_units 200", 19_367_965 + 261_205),
        ("--preset char_small --no-char --model lstm", 7_452_400),
    ],
)
def test_parameter_counts_of_the_paper(flags, parameters):
    """10,000 words of 46 characters and the 5 special ones; none is made."""
    letters = [chr(ord("A") + n) for n in range(46)]
    words = [letters[n % 46] for n in range(10_000)]
    args = TASK.parse(flags.split())
    with keras.StatelessScope(initialize_variables=False):
        model = building.build_model(args, len(words), words)
    assert model.count_params() == parameters


def test_a_model_of_characters_needs_words():
    args = TASK.parse("--char --rnn_size 8".split())
    with pytest.raises(ValueError, match="needs `words`. Received: None"):
        building.build_model(args, 11)
