"""Numbers that are reported, and the norm that is clipped."""

import numpy as np
import pytest
import reference

from dsl import metrics


def test_perplexity():
    log_probs = np.log(np.random.default_rng(0).uniform(0.01, 1.0, (3, 5)))
    expected = reference.perplexity(log_probs)
    assert metrics.perplexity(-log_probs) == pytest.approx(expected)
    total = -log_probs.sum()
    assert metrics.perplexity(total, count=15) == pytest.approx(expected)
    assert metrics.perplexity(np.full(4, np.log(7.0))) == pytest.approx(7.0)
    assert metrics.perplexity([1e6]) == float("inf")


def test_bits_per_character():
    # A word of probability 1/8 and one of 1/2, of 3 and 1 characters.
    nll = [np.log(8.0), np.log(2.0)]
    assert metrics.bits_per_character(nll, 4) == pytest.approx(1.0)
    assert metrics.bits_per_character(nll) == pytest.approx(2.0)
    perplexity = metrics.perplexity(nll)
    assert np.log2(perplexity) == pytest.approx(2.0)


def test_look_back_histogram():
    look_back = np.array([[0, 1, 3], [3, 3, 2]])
    found = metrics.look_back_histogram(look_back, 4)
    assert found == pytest.approx([0.2, 0.2, 0.6, 0.0])
    assert metrics.mean_look_back(found) == pytest.approx(2.4)
    assert metrics.look_back_histogram([0, 0], 3) == [0.0, 0.0, 0.0]
