"""Vocabulary, encoding, streams and segments."""

import os
import subprocess
import sys

import numpy as np
import pytest

from dsl.datasets import Corpus, DataError, decode, streams
from dsl.datasets.corpus import (
    build_vocabulary,
    encode,
    from_texts,
    split_words,
)


def test_split_words_ends_every_line():
    assert split_words(" a b \n c\n\nd") == (
        "a b <eos> c <eos> <eos> d <eos>".split()
    )
    assert split_words("a\n") == ["a", "<eos>"]
    assert split_words("") == []


def test_vocabulary_goes_by_frequency_then_alphabet():
    words = "b a c c b z y c".split()
    assert build_vocabulary(words) == ("c", "b", "a", "y", "z")


def test_encode_and_decode_are_inverse():
    vocabulary = ("the", "<eos>", "dog")
    ids = encode(["dog", "<eos>", "the"], vocabulary)
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, [2, 1, 0])
    assert decode(ids, vocabulary) == "dog <eos> the"


def test_encode_names_an_unknown_word():
    with pytest.raises(DataError, match="vocabulary.*Received: 'cat'"):
        encode(["dog", "cat"], ("dog",))


@pytest.mark.parametrize("token", [-1, 2])
def test_decode_refuses_an_unknown_id(token):
    with pytest.raises(ValueError, match=rf"\[0, 2\).*Received: {token}"):
        decode([token], ("a", "b"))


def test_from_texts_takes_the_vocabulary_from_train_alone():
    texts = {"train": "a b b\nb\n", "valid": "b\n", "test": "a a\n"}
    corpus = from_texts("tiny", texts)
    assert isinstance(corpus, Corpus)
    assert corpus.vocabulary == ("b", "<eos>", "a")
    np.testing.assert_array_equal(corpus.train, [2, 0, 0, 1, 0, 1])
    np.testing.assert_array_equal(corpus.valid, [0, 1])
    np.testing.assert_array_equal(corpus.test, [2, 2, 1])
    assert corpus.true_perplexity is None
    assert corpus.sha256["valid"] == (  # printf 'b\n' | sha256sum
        "0263829989b6fd954f72baaf2fc64bc2e2f01d692d4de72986ea808f6e99813f"
    )
    with pytest.raises(ValueError, match="read-only"):
        corpus.train[0] = 1
    with pytest.raises(DataError, match="'new'"):
        from_texts("tiny", {**texts, "test": "new\n"})


def test_import_is_light():
    code = (
        "import sys, dsl.datasets; "
        "print([m for m in ('keras', 'tensorflow') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert result.stdout.strip() == "[]"


def test_batch_makes_contiguous_streams():
    result = streams.batch(np.arange(11, dtype=np.int64), 3)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, [[0, 1, 2], [3, 4, 5], [6, 7, 8]])


def test_segments_shift_targets_by_one():
    rows = streams.batch(np.arange(16), 2)
    pieces = list(streams.Segments(rows, 3))
    assert len(pieces) == streams.count_segments(rows, 3) == 2
    np.testing.assert_array_equal(pieces[0][0], [[0, 1, 2], [8, 9, 10]])
    np.testing.assert_array_equal(pieces[0][1], [[1, 2, 3], [9, 10, 11]])
    np.testing.assert_array_equal(pieces[1][0], [[3, 4, 5], [11, 12, 13]])
    np.testing.assert_array_equal(pieces[1][1], [[4, 5, 6], [12, 13, 14]])


def test_segments_are_found_by_number():
    segments = streams.Segments(streams.batch(np.arange(16), 2), 3)
    for _ in range(2):
        np.testing.assert_array_equal(segments[1][0], [[3, 4, 5], [11, 12, 13]])
    for index in (-1, 2):
        with pytest.raises(IndexError):
            segments[index]


@pytest.mark.parametrize("n, count", [(1, 0), (4, 0), (5, 1), (8, 1), (9, 2)])
def test_only_whole_segments(n, count):
    rows = np.zeros((2, n), np.int32)
    assert streams.count_segments(rows, 4) == count
    pieces = list(streams.Segments(rows, 4))
    assert [x.shape for x, _ in pieces] == [(2, 4)] * count
    assert [y.shape for _, y in pieces] == [(2, 4)] * count


def test_streams_refuse_bad_input():
    tokens = np.arange(4)
    with pytest.raises(ValueError, match="1-D.*Received: shape=.2, 2."):
        streams.batch(tokens.reshape(2, 2), 2)
    with pytest.raises(ValueError, match="integers.*dtype=float64"):
        streams.batch(tokens.astype(float), 2)
    for size in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="`batch_size`.*Received"):
            streams.batch(tokens, size)
    with pytest.raises(ValueError, match="at least one token.*4 tokens"):
        streams.batch(tokens, 5)
    with pytest.raises(ValueError, match=r"\(batch, n\).*Received"):
        streams.Segments(tokens, 2)
    with pytest.raises(ValueError, match="`length`.*Received: length=0"):
        streams.Segments(tokens.reshape(2, 2), 0)
