"""Numbers that are reported."""

import numpy as np
import pytest
import reference
from run_folders import make_text

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


def test_the_excess_over_the_truth_is_in_nats_a_word():
    assert metrics.excess_nll(2.0 * np.e, 2.0) == pytest.approx(1.0)
    assert metrics.excess_nll(3.0, 3.0) == 0.0
    with pytest.raises(ValueError, match="above 0. Received: 1.0 and 0.0"):
        metrics.excess_nll(1.0, 0.0)


def test_look_back_histogram():
    look_back = np.array([[0, 1, 3], [3, 3, 2]])
    found = metrics.look_back_histogram(look_back, 4)
    assert found == pytest.approx([0.2, 0.2, 0.6, 0.0])
    assert metrics.mean_look_back(found) == pytest.approx(2.4)
    assert metrics.look_back_histogram([0, 0], 3) == [0.0, 0.0, 0.0]


# The interval of a difference.


def test_interval_of_two_sentences_by_hand():
    # Two sentences of 1 and 3 tokens: a draw is one of (0, 0), (0, 1), (1, 0)
    # and (1, 1), a quarter each, so the ends are those of one sentence alone.
    nll_a = np.log([2.0, 3.0, 3.0, 3.0])
    nll_b = np.log([5.0, 4.0, 4.0, 4.0])
    found = metrics.paired_bootstrap(nll_a, nll_b, [4, 7, 7, 7], samples=500)
    whole = (5 * 4**3) ** 0.25 - (2 * 3**3) ** 0.25
    assert found == pytest.approx(
        {"difference": whole, "low": 4 - 3, "high": 5 - 2}
    )
    # Half of the draws hold both sentences, and only those count here.
    inner = metrics.paired_bootstrap(
        nll_a, nll_b, [4, 7, 7, 7], samples=500, level=0.3
    )
    assert inner == pytest.approx(
        {"difference": whole, "low": whole, "high": whole}
    )


def delta_method(nll_a, nll_b, sentence):
    """Standard error of the difference, sentences independent."""
    names = np.unique(sentence)
    means = nll_a.mean(), nll_b.mean()
    residual = [
        np.exp(means[1]) * (nll_b[sentence == name] - means[1]).sum()
        - np.exp(means[0]) * (nll_a[sentence == name] - means[0]).sum()
        for name in names
    ]
    return np.sqrt(len(names) * np.var(residual)) / len(nll_a)


def test_interval_has_the_width_of_the_delta_method():
    nll_a, nll_b, sentence = make_text()
    found = metrics.paired_bootstrap(nll_a, nll_b, sentence, level=0.9)
    error = delta_method(nll_a, nll_b, sentence)
    assert found["high"] - found["low"] == pytest.approx(
        2 * 1.645 * error, rel=0.05
    )
    middle = (found["high"] + found["low"]) / 2
    assert middle == pytest.approx(found["difference"], abs=0.2 * error)


def test_interval_covers_the_truth_as_often_as_it_says():
    truth = np.exp(4.03) - np.exp(4.0)
    covered = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        sentence = np.repeat(np.arange(100), 10)
        shared = np.repeat(rng.normal(0.0, 0.3, 100), 10)
        nll_a = 4.0 + shared + rng.normal(0.0, 0.5, 1000)
        nll_b = 4.03 + shared + rng.normal(0.0, 0.5, 1000)
        found = metrics.paired_bootstrap(
            nll_a, nll_b, sentence, samples=300, level=0.8, seed=seed
        )
        covered += found["low"] <= truth <= found["high"]
    # Four standard errors of a share of 0.8 in 300.
    assert covered / 300 == pytest.approx(0.8, abs=0.093)


def test_sentences_stay_together():
    rng = np.random.default_rng(0)
    sentence = np.repeat(np.arange(200), 25)
    nll_a = np.full(5000, 4.0)
    nll_b = 4.0 + np.repeat(rng.normal(0.0, 0.4, 200), 25)
    together = metrics.paired_bootstrap(nll_a, nll_b, sentence)
    alone = metrics.paired_bootstrap(nll_a, nll_b, np.arange(5000))
    widths = [found["high"] - found["low"] for found in (together, alone)]
    # 25 equal tokens say as much as one.
    assert widths[0] / widths[1] == pytest.approx(5.0, rel=0.1)


def test_both_systems_get_the_same_draws():
    nll_a, _, sentence = make_text()
    nll_a += np.random.default_rng(1).normal(0.0, 2.0, 400)[sentence]
    factor = metrics.paired_bootstrap(nll_a, nll_a + np.log(1.1), sentence)
    single = metrics.paired_bootstrap(np.zeros(len(nll_a)), nll_a, sentence)
    perplexity = metrics.perplexity(nll_a)
    assert factor["difference"] == pytest.approx(0.1 * perplexity)
    for end in ("low", "high"):
        assert factor[end] == pytest.approx(0.1 * (single[end] + 1.0))


def test_draws_that_are_kept_are_those_that_are_not(monkeypatch):
    sums = np.random.default_rng(0).normal(size=(700, 3))
    first, again = (metrics.resampled_sums(sums, 2000, 1) for _ in range(2))
    monkeypatch.setattr(metrics, "_MOST_KEPT", 0)
    anew = metrics.resampled_sums(sums, 2000, 1)
    np.testing.assert_array_equal(first, anew)
    np.testing.assert_array_equal(again, anew)
    assert np.any(anew != metrics.resampled_sums(sums, 2000, 2))


def test_equal_systems_differ_by_exactly_nothing():
    nll, _, sentence = make_text()
    found = metrics.paired_bootstrap(nll, nll.copy(), sentence, samples=3000)
    assert found == {"difference": 0.0, "low": 0.0, "high": 0.0}


def test_interval_depends_on_its_arguments_alone():
    text = make_text()
    first = metrics.paired_bootstrap(*text, samples=200)
    assert first == metrics.paired_bootstrap(*text, samples=200, seed=0)
    assert first != metrics.paired_bootstrap(*text, samples=200, seed=1)
    back = metrics.paired_bootstrap(text[1], text[0], text[2], samples=200)
    assert back["low"] == pytest.approx(-first["high"])
    # Numbers of sentences are names, and tokens may stand in any order.
    order = np.random.default_rng(0).permutation(len(text[0]))
    shuffled = [
        (values * factor)[order]
        for values, factor in zip(text, (1, 1, 3), strict=True)
    ]
    assert metrics.paired_bootstrap(*shuffled, samples=200) == pytest.approx(
        first
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nll_b": [1.0]}, r"same shape. Received: \(2,\), \(1,\) and \(2,\)"),
        ({"sentence": [0]}, r"same shape. Received: \(2,\), \(2,\) and \(1,\)"),
        ({"nll_a": [], "nll_b": [], "sentence": []}, "at least one token"),
        ({"sentence": [3, 3]}, "two sentences or more apart, .* one$"),
        ({"nll_a": [1.0, np.nan]}, "`nll_a` must be finite. Received: nan"),
        ({"nll_b": [np.inf, 1.0]}, "`nll_b` must be finite. Received: inf"),
        ({"nll_b": [800.0, 800.0]}, "finite perplexities. .* 1.5 and 800 nats"),
        ({"level": 0.0}, "between 0 and 1. Received: level=0.0"),
        ({"level": 1}, "between 0 and 1. Received: level=1"),
        ({"level": np.nan}, "between 0 and 1. Received: level=nan"),
        ({"samples": 0}, "at least 1. Received: samples=0"),
    ],
)
def test_interval_refuses(changes, message):
    arguments = {"nll_a": [1.0, 2.0], "nll_b": [1.0, 2.0], "sentence": [0, 1]}
    with pytest.raises(ValueError, match=message):
        metrics.paired_bootstrap(**(arguments | changes))
