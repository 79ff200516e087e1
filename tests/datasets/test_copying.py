"""The sequences of the copy task, against cases written by hand."""

import numpy as np
import pytest

from dsl.datasets import copying

pytestmark = pytest.mark.backend

DRAWN = copying.Settings(max_length=6, min_length=2, bits=3)


def one(length, **settings):
    """A single sequence whose pattern has this length."""
    wanted = copying.Settings(max_length=4, bits=2, **settings)
    found = copying.draw(wanted, 50, np.random.default_rng(1))
    row = int(np.flatnonzero(found.lengths == length)[0])
    return found.inputs[row], found.targets[row]


def test_a_pattern_of_one_vector_by_hand():
    inputs, targets = one(1)
    vector = inputs[1, 2:].tolist()
    assert inputs.tolist() == [
        [0, 1, 0, 0],
        [0, 0, *vector],
        [1, 0, 0, 0],
        *[[0, 0, 0, 0]] * 7,
    ]
    assert targets.tolist() == [[0, 0]] * 3 + [vector] + [[0, 0]] * 6


def test_the_longest_pattern_fills_its_sequence():
    inputs, targets = one(4)
    pattern = inputs[1:5, 2:]
    assert inputs[0].tolist() == [0, 1, 0, 0]
    assert inputs[5].tolist() == [1, 0, 0, 0]
    assert not inputs[6:].any() and not inputs[1:5, :2].any()
    assert not targets[:6].any()
    np.testing.assert_array_equal(targets[6:], pattern)


def test_a_delay_is_silence_before_the_answer():
    inputs, targets = one(1, delay=3)
    assert len(inputs) == 13 and not inputs[3:].any()
    assert not targets[:6].any() and not targets[7:].any()
    np.testing.assert_array_equal(targets[6], inputs[1, 2:])


def test_published_values_stand_everywhere():
    hard, soft = (
        copying.stream(copying.Settings(4, bits=2, low=low), 20, 7)
        for low in (0.0, 0.001)
    )
    for a, b in ((hard.inputs, soft.inputs), (hard.targets, soft.targets)):
        np.testing.assert_allclose(b, 0.001 + 0.999 * a, atol=1e-7)
        assert b.dtype == np.float32


def test_the_answer_is_where_the_pattern_is_wanted():
    found = copying.stream(DRAWN, 200, 3)
    assert found.answer.sum(axis=1).tolist() == found.lengths.tolist()
    assert not found.targets[~found.answer].any()
    for row, length in enumerate(found.lengths):
        np.testing.assert_array_equal(
            found.targets[row][found.answer[row]],
            found.inputs[row, 1 : length + 1, 2:],
        )


def test_lengths_are_even_and_bits_fair():
    found = copying.stream(copying.Settings(), 20_000, 5)
    counts = np.bincount(found.lengths, minlength=21)
    assert counts[0] == 0 and len(counts) == 21
    assert np.abs(counts[1:] / 20_000 - 0.05).max() < 0.007
    assert abs(found.targets[found.answer].mean() - 0.5) < 0.002
    # The share of ones is half of what the answers are of all steps.
    assert abs(found.targets.mean() - 10.5 / 84) < 0.002


def test_the_same_seeds_are_the_same_sequences():
    a, b, other, another = (
        copying.stream(DRAWN, 4, *seeds)
        for seeds in ((1, 0, 2), (1, 0, 2), (1, 0, 3), (2, 0, 2))
    )
    assert a.sha256 == b.sha256
    assert len({a.sha256, other.sha256, another.sha256}) == 3


def test_one_length():
    found = copying.stream(DRAWN.of_length(9), 30, 1)
    assert set(found.lengths) == {9} and found.inputs.shape == (30, 20, 5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_length": 0}, "`max_length` is the most vectors"),
        ({"min_length": 21}, "`min_length` must be at most"),
        ({"low": 1.0}, "`low` must be below `high`"),
        ({"high": 1.5}, "`high` is a target and must be in"),
        ({"delay": -1}, "`delay` is a number of steps"),
        ({"bits": 2.5}, "`bits` is the bits of a vector"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        copying.Settings(**settings)
