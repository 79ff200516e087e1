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
    limited,
    split_words,
)


def test_split_words_ends_every_line():
    assert split_words(" a b \n c\n\nd") == (
        "a b <eos> c <eos> <eos> d <eos>".split()
    )
    assert split_words("a\n") == ["a", "<eos>"]
    assert split_words("") == []
    # What ends in a line feed and blanks has no further line.
    assert split_words("a \n ") == ["a", "<eos>"]


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


TEXTS = {
    "train": "c c c b b a a <unk>\nb b c d\n",
    "valid": "b d x\n",
    "test": "a y <unk>\n",
}


def words(corpus, split):
    return [corpus.vocabulary[n] for n in getattr(corpus, split)]


def test_the_most_frequent_words_are_kept():
    """c and b are kept, of four each; a (2), d and the rest are not."""
    whole = from_texts("tiny", TEXTS, replace_unknown=True)
    assert whole.vocabulary == ("b", "c", "<eos>", "a", "<unk>", "d")
    assert whole.unknown == {"train": 0, "valid": 1, "test": 1}
    corpus = limited(whole, 4)
    # Three of train's words join the one that was <unk> already.
    assert corpus.vocabulary == ("<unk>", "b", "c", "<eos>")
    assert " ".join(words(corpus, "train")) == (
        "c c c b b <unk> <unk> <unk> <eos> b b c <unk> <eos>"
    )
    assert " ".join(words(corpus, "valid")) == "b <unk> <unk> <eos>"
    assert " ".join(words(corpus, "test")) == "<unk> <unk> <unk> <eos>"
    assert corpus.unknown == {"train": 3, "valid": 2, "test": 2}
    assert corpus.train.dtype == np.int32
    assert not corpus.train.flags.writeable
    assert corpus.name == "tiny-4"
    assert corpus.sha256["train"] == whole.sha256["train"]


def test_equally_frequent_words_are_kept_alphabetically():
    texts = {"train": "z y x w\nz\n", "valid": "z\n", "test": "z\n"}
    corpus = limited(from_texts("tiny", texts), 4)
    assert corpus.vocabulary == ("<eos>", "<unk>", "z", "w")
    assert corpus.unknown == {"train": 2, "valid": 0, "test": 0}


def test_a_limit_that_limits_nothing_changes_nothing():
    whole = from_texts("tiny", TEXTS, replace_unknown=True)
    assert limited(whole, 6) is whole
    only = limited(whole, 2)
    assert only.vocabulary == ("<unk>", "<eos>")
    with pytest.raises(ValueError, match="at least 2. Received: size=1"):
        limited(whole, 1)


def test_a_text_may_have_the_word_of_the_unknown_ones_already():
    """Which train need not have, and nothing needs to be replaced."""
    texts = {"train": "a b\n", "valid": "a <unk>\n", "test": "b\n"}
    corpus = from_texts("tiny", texts, replace_unknown=True)
    assert corpus.vocabulary == ("<eos>", "a", "b", "<unk>")
    assert " ".join(words(corpus, "valid")) == "a <unk> <eos>"
    assert corpus.unknown == {"train": 0, "valid": 0, "test": 0}


def test_characters_of_a_text():
    """Letters, a blank between two words, and a line feed a line."""
    lines = ["ab c", "", "<unk> def", ""]
    text = "".join(f" {line} \n" for line in lines)
    corpus = from_texts("tiny", dict.fromkeys(("train", "valid", "test"), text))
    end = corpus.vocabulary.index("<eos>")
    before = np.append(end, corpus.train[:-1])
    found = corpus.count_characters(before, corpus.train)
    assert found.tolist() == [2, 2, 1, 1, 5, 4, 1, 1]
    assert found.sum() == len("\n".join([*lines, ""]))
    rows = found[1:].reshape(1, -1)
    np.testing.assert_array_equal(
        corpus.count_characters(before[None, 1:], corpus.train[None, 1:]), rows
    )


def test_each_symbol_of_a_text_of_characters_is_one():
    text = "a _ b \n b \n "
    corpus = from_texts("tiny", dict.fromkeys(("train", "valid", "test"), text))
    assert corpus.of_characters and len(corpus.train) == 6
    ones = corpus.count_characters(corpus.train, corpus.train)
    assert ones.tolist() == [1] * 6


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
