"""Which words take a distance more often than by chance.

Chance deals the distances of a text out to its words at random. How many of
the n times that a word occurs then get distance k is hypergeometric, and the
tail of that distribution is an exact test.
"""

import collections
import dataclasses
import itertools
import math
import operator

from dsl.analysis.connections import checked
from dsl.choices import check_count


@dataclasses.dataclass(frozen=True)
class Finding:
    """How often a word, or a pair of words, takes a distance.

    Attributes:
        distance: k.
        words: The word w_t; of a pair also the word w_{t-k}.
        times: n, how often it occurs.
        taken: x, how often it takes distance k.
        chance: Share of the occurrences that chance would give it.
        p_value: Probability that chance gives it x or more.
        q_value: The same, adjusted for the number of tests.
    """

    distance: int
    words: tuple[str, ...]
    times: int
    taken: int
    chance: float
    p_value: float
    q_value: float

    @property
    def share(self):
        """x / n."""
        return self.taken / self.times

    @property
    def ratio(self):
        """The size of the effect: the share over that of chance."""
        return self.share / self.chance


def single_words(words, look_back, num_actions, min_count=20):
    """Tests which words take a distance more often than all words do.

        x ~ Hypergeometric(N words, n times w, M times distance k)

    Args:
        words: The words that were read, in order, list of strings.
        look_back: k_t of each word, 0 if it is not known. Such words are left
            out, and the first K, which have no choice of all distances.
        num_actions: K, the largest distance.
        min_count: How often a word must occur to be tested.

    Returns:
        List of a `Finding` for each word and distance 2..K that was tested.

    Raises:
        ValueError: If there is not one distance of 0..K a word, or a count is
            below 1.

    Reference: Fisher's exact test, one-sided.
    """
    chosen = _chosen(words, look_back, num_actions, min_count)
    total = len(chosen)
    marked = collections.Counter(k for k, *_ in chosen)
    times = collections.Counter(word for _, word, _ in chosen)
    taken = collections.Counter((k, word) for k, word, _ in chosen)
    return _tested(
        (k, (word,), times[word], taken[k, word], marked[k], total)
        for k in range(2, num_actions + 1)
        for word in times
        if times[word] >= min_count and marked[k]
    )


def word_pairs(words, look_back, num_actions, min_count=20):
    """Tests to which words a word is connected more often than to others.

        x ~ Hypergeometric(N times w, n of them w' k words back,
                           M of them distance k)

    Chance here keeps the distances of each word, so that what is found is due
    to the word that stands k words back and not to w alone.

    Args:
        words: As for `single_words`.
        look_back: As for `single_words`.
        num_actions: K, the largest distance.
        min_count: How often w' must stand k words before w to be tested.

    Returns:
        List of a `Finding` for each pair (w, w') and distance 2..K that was
        tested.

    Raises:
        ValueError: As `single_words`.
    """
    chosen = _chosen(words, look_back, num_actions, min_count)
    total = collections.Counter(word for _, word, _ in chosen)
    marked = collections.Counter((k, word) for k, word, _ in chosen)
    taken = collections.Counter((k, w, before[-k]) for k, w, before in chosen)
    times = collections.Counter(
        (k, word, before[-k])
        for _, word, before in chosen
        for k in range(2, num_actions + 1)
    )
    return _tested(
        (
            k,
            (word, other),
            n,
            taken[k, word, other],
            marked[k, word],
            total[word],
        )
        for (k, word, other), n in times.items()
        if n >= min_count and marked[k, word]
    )


def strongest(findings, level=0.05, top=5):
    """What is significant, the largest effects of each distance.

    Args:
        findings: List of `Finding`.
        level: Largest `q_value`.
        top: Findings a distance.

    Returns:
        List of `Finding` in the order of distances, the largest `ratio` first.
    """
    check_count("top", top, "the number of findings a distance")
    found = [one for one in findings if one.q_value <= level]
    found.sort(
        key=lambda one: (one.distance, -one.ratio, one.p_value, one.words)
    )
    by_distance = itertools.groupby(found, key=operator.attrgetter("distance"))
    return [one for _, some in by_distance for one in list(some)[:top]]


def hypergeometric_tail(taken, times, marked, total):
    """The probability of so many marked ones, or more, among those drawn.

        P(X >= x) = sum_{j >= x} C(M, j) C(N - M, n - j) / C(N, n)

    Args:
        taken: x, marked ones among those drawn.
        times: n, how many are drawn, without replacement.
        marked: M, how many of all are marked.
        total: N, how many there are.

    Returns:
        Float in [0, 1], exact but for rounding; 0 below what a float can hold.

    Raises:
        ValueError: If more are drawn or marked than there are.
    """
    if not (0 <= times <= total and 0 <= marked <= total):
        raise ValueError(
            "`times` and `marked` must be at least 0 and at most `total`. "
            f"Received: times={times!r}, marked={marked!r}, total={total!r}"
        )
    least, most = max(0, times + marked - total), min(times, marked)
    if taken <= least:
        return 1.0
    if taken > most:
        return 0.0
    if taken * (total + 2) > (times + 1) * (marked + 1):
        return _sum_away(taken, most, times, marked, total)
    return 1.0 - _sum_away(taken - 1, least, times, marked, total)


def benjamini_hochberg(p_values):
    """Adjusts p-values for how many there are.

        q_(i) = min_{j >= i} p_(j) m / j   of the sorted p_(1) <= ... <= p_(m)

    Of all tests with q <= a, a share of a at most is expected to be chance, if
    the tests are independent or positively dependent. Those of one word are
    not quite: its distances exclude each other.

    Args:
        p_values: Floats in [0, 1].

    Returns:
        List of as many q in [0, 1], in the same order.

    Reference: Benjamini & Hochberg, Controlling the False Discovery Rate,
    Journal of the Royal Statistical Society B 57 (1995).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, least = [1.0] * len(p_values), 1.0
    for rank in range(len(order), 0, -1):
        at = order[rank - 1]
        least = min(least, p_values[at] * len(order) / rank)
        adjusted[at] = least
    return adjusted


def _chosen(words, look_back, num_actions, min_count):
    """Distance, word and the K words before it, wherever all K are choices."""
    check_count("min_count", min_count, "the least count that is tested")
    words, look_back = checked(words, look_back, num_actions)
    return [
        (look_back[t], words[t], words[t - num_actions : t])
        for t in range(num_actions, len(words))
        if look_back[t]
    ]


def _tested(counts):
    """Findings of `(k, words, n, x, M, N)`, tested all together."""
    counts = list(counts)
    p_values = [
        hypergeometric_tail(taken, times, marked, total)
        for _, _, times, taken, marked, total in counts
    ]
    return [
        Finding(k, words, times, taken, marked / total, p_value, q_value)
        for (k, words, times, taken, marked, total), p_value, q_value in zip(
            counts, p_values, benjamini_hochberg(p_values), strict=True
        )
    ]


def _sum_away(start, stop, times, marked, total):
    """Sums P(X = j) from `start` to `stop`, both on one side of the mode."""
    rest = total - marked - times
    up = start <= stop
    parts, factor, j = [1.0], 1.0, start
    # Ever smaller: what is beyond the sum's last digit is left out.
    while j != stop and factor > 1e-18:
        if up:
            factor *= (marked - j) * (times - j) / ((j + 1) * (rest + j + 1))
        else:
            above = (marked - j + 1) * (times - j + 1)
            factor *= j * (rest + j) / above
        parts.append(factor)
        j += 1 if up else -1
    first = math.exp(_log_probability(start, times, marked, total))
    return min(1.0, first * math.fsum(parts))


def _log_probability(taken, times, marked, total):
    """log of C(M, x) C(N - M, n - x) / C(N, n)."""
    return (
        _log_choose(marked, taken)
        + _log_choose(total - marked, times - taken)
        - _log_choose(total, times)
    )


def _log_choose(n, k):
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
