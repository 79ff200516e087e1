"""The spelling of words."""

import numpy as np
import pytest

from dsl.datasets import characters, streams

WORDS = ["the", "<unk>", "<eos>", "N", "é-b"]


def test_the_alphabet_is_that_of_the_words():
    found = characters.alphabet(WORDS)
    assert found[:5] == characters.SPECIAL
    # Those of "<unk>" and "<eos>" do not count.
    assert found[5:] == tuple("-Nbehté")


def test_words_between_start_and_end_and_then_zeros():
    found = characters.spell(WORDS, characters.alphabet(WORDS))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(
        found,
        [
            [1, 10, 9, 8, 2],
            [1, 3, 2, 0, 0],
            [1, 4, 2, 0, 0],
            [1, 6, 2, 0, 0],
            [1, 11, 5, 7, 2],
        ],
    )


def test_long_words_are_cut_and_strange_characters_unknown():
    found = characters.spell(["abcd", "a?"], characters.alphabet("abcd"), 5)
    np.testing.assert_array_equal(found, [[1, 5, 6, 7, 2], [1, 5, 3, 2, 0]])
    assert characters.spell([], characters.SPECIAL).shape == (0, 0)
    # A word that looks like a part of it is no special character.
    found = characters.spell(["<e"], characters.alphabet(["<e"]))
    np.testing.assert_array_equal(found, [[1, 5, 6, 2]])


def test_room_for_a_character():
    with pytest.raises(ValueError, match="at least 3 in all. Received: max_"):
        characters.spell(["a"], characters.SPECIAL, max_length=2)


def test_segments_name_each_word_once():
    rng = np.random.default_rng(0)
    rows = rng.integers(3, 20, (3, 41)).astype("int32")
    rows[:, :5] = 7
    segments = streams.Segments(rows, 5)
    distinct = streams.DistinctWords(segments)
    assert len(distinct) == len(segments) == 8
    most = max(len(set(x.flat)) for x, _ in segments)
    for (x, y), (inputs, targets) in zip(segments, distinct, strict=True):
        words, tokens = inputs["words"], inputs["tokens"]
        np.testing.assert_array_equal(words[tokens], x)
        np.testing.assert_array_equal(targets, y)
        assert words.shape == (most,)
        assert words.dtype == tokens.dtype == np.int32
        count = len(set(x.flat))
        assert len(set(words[:count])) == count and not words[count:].any()
    assert distinct[0][0]["words"][1:].tolist() == [0] * (most - 1)
    with pytest.raises(IndexError):
        distinct[8]
    assert len(streams.DistinctWords(streams.Segments(rows, 50))) == 0
