"""Exact tests, held against all that chance can do."""

import itertools
import math
import random
from fractions import Fraction

import pytest

from dsl.analysis import significance
from dsl.analysis.significance import Finding, hypergeometric_tail

pytestmark = pytest.mark.backend

#           the first K   tested from here on
WORDS = list("zz" + "aababcabb")
LOOK_BACK = [2, 1, 2, 1, 2, 2, 1, 1, 2, 1, 0]
ACTIONS = 2


def exact_tail(taken, times, marked, total):
    """The tail as a fraction, from the binomial coefficients."""
    return sum(
        Fraction(
            math.comb(marked, j) * math.comb(total - marked, times - j),
            math.comb(total, times),
        )
        for j in range(max(taken, 0), times + 1)
    )


def test_the_tail_counts_draws():
    """Every way to draw, one by one."""
    total = 7
    for marked, times in itertools.product(range(total + 1), repeat=2):
        draws = list(itertools.combinations(range(total), times))
        for taken in range(-1, times + 2):
            hits = [sum(n < marked for n in draw) >= taken for draw in draws]
            found = hypergeometric_tail(taken, times, marked, total)
            assert found == pytest.approx(sum(hits) / len(draws), abs=1e-14)


@pytest.mark.parametrize(
    ("times", "marked", "total"),
    [(150, 90, 400), (37, 1000, 5000), (400, 90, 500), (6, 2, 80_000)],
)
def test_the_tail_is_exact_however_small(times, marked, total):
    least, most = max(0, times + marked - total), min(times, marked)
    step = max(1, (most - least) // 9)
    smallest = 1.0
    for taken in range(least, most + 1, step):
        wanted = exact_tail(taken, times, marked, total)
        found = hypergeometric_tail(taken, times, marked, total)
        if wanted > Fraction(1, 10**300):
            assert found == pytest.approx(float(wanted), rel=1e-9, abs=0)
            smallest = min(smallest, found)
    assert smallest < 1e-6


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="Received: times=4, marked=1"):
        hypergeometric_tail(1, 4, 1, 3)


def test_the_example_of_benjamini_and_hochberg():
    """Section 3.2 of the paper: four of fifteen are significant at 0.05."""
    sorted_p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298]
    sorted_p += [0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    mixed = sorted_p[::2] + sorted_p[1::2]
    adjusted = significance.benjamini_hochberg(mixed)
    found = dict(zip(mixed, adjusted, strict=True))
    assert [p for p in sorted_p if found[p] <= 0.05] == sorted_p[:4]
    for rank, p in enumerate(sorted_p, start=1):
        later = enumerate(sorted_p[rank - 1 :], start=rank)
        assert found[p] == pytest.approx(min(15 * x / n for n, x in later))
    assert significance.benjamini_hochberg([]) == []


def dealt(positions):
    """All ways to deal the distances of these positions out among them."""
    for order in itertools.permutations(LOOK_BACK[t] for t in positions):
        yield dict(zip(positions, order, strict=True))


def test_single_words_against_all_ways_to_deal_the_distances_out():
    tested = [t for t in range(ACTIONS, len(WORDS)) if LOOK_BACK[t]]
    found = significance.single_words(WORDS, LOOK_BACK, ACTIONS, min_count=2)
    # "c" is too rare; "z" has no choice; the last distance is not known.
    assert [one.words for one in found] == [("a",), ("b",)]
    ways = list(dealt(tested))
    for one, (times, taken) in zip(found, [(4, 3), (3, 1)], strict=True):
        assert (one.distance, one.times, one.taken) == (2, times, taken)
        assert one.chance == pytest.approx(4 / 8)
        assert one.ratio == pytest.approx(taken / times / one.chance)
        mine = [t for t in tested if (WORDS[t],) == one.words]
        as_many = [sum(way[t] == 2 for t in mine) >= taken for way in ways]
        assert one.p_value == pytest.approx(sum(as_many) / len(ways))
    q = [one.q_value for one in found]
    assert q == significance.benjamini_hochberg([o.p_value for o in found])


# Occurrences of each pair, two words apart, and how many are connected. Of "c"
# nothing is tested: it never looks further back than one word.
PAIRS = {
    ("a", "z"): (2, 1),
    ("a", "a"): (1, 1),
    ("a", "b"): (1, 1),
    ("b", "a"): (1, 1),
    ("b", "b"): (1, 0),
    ("b", "c"): (1, 0),
}


def test_pairs_against_all_ways_to_deal_the_distances_of_a_word_out():
    found = significance.word_pairs(WORDS, LOOK_BACK, ACTIONS, min_count=1)
    assert {o.words: (o.times, o.taken) for o in found} == PAIRS
    for one in found:
        word, other = one.words
        mine = [t for t in range(ACTIONS, 10) if WORDS[t] == word]
        looking_back = sum(LOOK_BACK[t] == 2 for t in mine)
        assert one.chance == pytest.approx(looking_back / len(mine))
        ways = list(dealt(mine))
        near = [t for t in mine if WORDS[t - 2] == other]
        as_many = [sum(w[t] == 2 for t in near) >= one.taken for w in ways]
        assert one.p_value == pytest.approx(sum(as_many) / len(ways))
    often = significance.word_pairs(WORDS, LOOK_BACK, ACTIONS, min_count=2)
    assert [one.words for one in often] == [("a", "z")]


def test_what_depends_on_nothing_is_rarely_significant():
    rng = random.Random(0)
    words = rng.choices("abcdefgh", range(1, 9), k=4000)
    look_back = rng.choices((1, 2, 3), (6, 3, 1), k=4000)
    for test in (significance.single_words, significance.word_pairs):
        assert not significance.strongest(test(words, look_back, 3))
    # "a" looks back three words, and "b" two, where "h" stands there.
    for t in range(3, 4000):
        if words[t] == "a":
            look_back[t] = 3
        elif words[t - 2 : t + 1 : 2] == ["h", "b"]:
            look_back[t] = 2
    pairs = significance.word_pairs(words, look_back, 3)
    (found,) = significance.strongest(pairs)
    assert (found.distance, found.words, found.share) == (2, ("b", "h"), 1.0)
    single = significance.single_words(words, look_back, 3)
    (found,) = significance.strongest(single, top=1)[1:]
    assert (found.distance, found.words, found.share) == (3, ("a",), 1.0)


def test_the_strongest_are_the_largest_effects_that_are_significant():
    def finding(distance, word, taken, q_value):
        return Finding(distance, (word,), 10, taken, 0.1, 0.001, q_value)

    three = [finding(3, word, n, 0.01) for word, n in (("a", 4), ("b", 6))]
    rest = [finding(2, "c", 2, 0.05), finding(2, "d", 9, 0.0501)]
    found = significance.strongest([*three, *rest])
    assert [one.words[0] for one in found] == ["c", "b", "a"]
    found = significance.strongest([*three, *rest], level=0.06, top=1)
    assert [one.words[0] for one in found] == ["d", "b"]
    assert found[0].ratio == pytest.approx(9.0)


def test_what_does_not_fit_is_refused():
    for test in (significance.single_words, significance.word_pairs):
        with pytest.raises(ValueError, match="`num_actions`. Received: 2"):
            test(WORDS, LOOK_BACK, 1)
        with pytest.raises(ValueError, match="`min_count` is the least"):
            test(WORDS, LOOK_BACK, 2, min_count=0)
        assert test([], [], 3) == []
    with pytest.raises(ValueError, match="`top` is the number"):
        significance.strongest([], top=0)
