"""Grammars: exact probabilities and entropies against enumeration."""

import collections
import itertools
import math
import random

import pytest

from dsl.datasets.generated.grammar import PARENT, Grammar, Part
from dsl.datasets.generated.scoring import Scorer, saved_nats
from dsl.datasets.generated.word_symbols import zipf

WORDS = {
    ("noun", "sg"): {"dog": 2.0, "cat": 1.0},
    ("noun", "pl"): {"dogs": 1.0, "cats": 3.0},
    ("verb", "sg"): {"barks": 1.0, "runs": 1.0},
    ("verb", "pl"): {"bark": 1.0, "run": 4.0},
    "near": {"near": 1.0},
    "end": {"<eos>": 1.0},
}


def agreement_grammar():
    """Verbs agree with the noun before an optional phrase."""
    rules = {
        "sentence": [
            (
                weight,
                [
                    Part(("noun", number)),
                    Part("phrase"),
                    Part(("verb", number), on=0),
                    Part("end"),
                ],
            )
            for weight, number in ((0.7, "sg"), (0.3, "pl"))
        ],
        "phrase": [
            (0.6, []),
            (0.3, [Part("near"), Part(("noun", "sg"))]),
            (0.1, [Part("near"), Part(("noun", "pl"))]),
        ],
    }
    return Grammar("sentence", rules, WORDS)


def ambiguous_grammar():
    """`a a` has two derivations, `a a a` has one."""
    rules = {
        "sentence": [
            (0.5, [Part("x"), Part("x")]),
            (0.2, [Part("one"), Part("one")]),
            (0.3, [Part("one"), Part("maybe"), Part("two")]),
        ],
        "x": [(0.5, [Part("one")]), (0.5, [Part("two")])],
        "maybe": [(0.5, []), (0.5, [Part("one")])],
    }
    words = {"one": {"a": 1.0, "b": 1.0}, "two": {"a": 1.0, "c": 3.0}}
    return Grammar("sentence", rules, words)


def enumerate_derivations(grammar, symbol):
    """All (words, probability) of a symbol, from the definition alone."""
    if symbol in grammar.words:
        return [((word,), p) for word, p in grammar.words[symbol].items()]
    results = []
    for chance, parts in grammar.rules[symbol]:
        below = [enumerate_derivations(grammar, p.symbol) for p in parts]
        for choice in itertools.product(*below):
            words = tuple(w for some, _ in choice for w in some)
            results.append((words, chance * math.prod(p for _, p in choice)))
    return results


def enumerate_sentences(grammar):
    totals = collections.defaultdict(float)
    for words, chance in enumerate_derivations(grammar, grammar.start):
        totals[words] += chance
    return totals


GRAMMARS = [agreement_grammar, ambiguous_grammar]


@pytest.mark.parametrize("make", GRAMMARS)
def test_probabilities_sum_to_one(make):
    total = math.fsum(enumerate_sentences(make()).values())
    assert total == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("make", GRAMMARS)
def test_scorer_equals_enumeration(make):
    grammar = make()
    sentences = enumerate_sentences(grammar)
    prefixes = collections.defaultdict(float)
    for words, chance in sentences.items():
        for length in range(len(words) + 1):
            prefixes[words[:length]] += chance
    scorer = Scorer(grammar)
    for words, chance in sentences.items():
        logs = scorer.log_probabilities(words)
        assert math.exp(sum(logs)) == pytest.approx(chance, rel=1e-12)
        for i in range(len(words) - 1):
            expected = prefixes[words[: i + 1]] / prefixes[words[:i]]
            assert math.exp(logs[i]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("make", GRAMMARS)
def test_length_equals_enumeration(make):
    grammar = make()
    expected = math.fsum(
        len(words) * p for words, p in enumerate_sentences(grammar).items()
    )
    assert grammar.expected_length() == pytest.approx(expected, rel=1e-12)


def test_entropy_equals_enumeration():
    grammar = agreement_grammar()
    sentences = enumerate_sentences(grammar)
    entropy = -math.fsum(p * math.log(p) for p in sentences.values())
    assert grammar.entropy() == pytest.approx(entropy, rel=1e-12)
    length = math.fsum(len(words) * p for words, p in sentences.items())
    rate = entropy / length
    assert grammar.entropy_rate() == pytest.approx(rate, rel=1e-12)


def test_entropy_of_derivations_where_they_are_ambiguous():
    grammar = ambiguous_grammar()
    derivations = enumerate_derivations(grammar, grammar.start)
    entropy = -math.fsum(p * math.log(p) for _, p in derivations)
    assert grammar.entropy() == pytest.approx(entropy, rel=1e-12)
    sentences = enumerate_sentences(grammar)
    assert entropy > -math.fsum(p * math.log(p) for p in sentences.values())


def test_saved_nats_is_the_mutual_information():
    grammar = agreement_grammar()
    joint = collections.defaultdict(float)  # (subject's number, verb)
    for words, chance in enumerate_sentences(grammar).items():
        number = "pl" if words[0].endswith("s") else "sg"
        joint[number, words[-2]] += chance
    numbers, verbs = collections.Counter(), collections.Counter()
    for (number, verb), chance in joint.items():
        numbers[number] += chance
        verbs[verb] += chance
    expected = math.fsum(
        p * math.log(p / (numbers[number] * verbs[verb]))
        for (number, verb), p in joint.items()
    )
    saved = saved_nats(grammar, {"verb": 1})
    assert saved == pytest.approx(expected, rel=1e-12)
    assert saved_nats(grammar, {"verb": 2}) == pytest.approx(0.0, abs=1e-15)


def test_samples_follow_the_probabilities():
    grammar = agreement_grammar()
    sentences = enumerate_sentences(grammar)
    generator = random.Random(5)
    n = 20_000
    counts = collections.Counter()
    for _ in range(n):
        sentence = grammar.sample(generator)
        counts[tuple(sentence.words)] += 1
        chance = sentences[tuple(sentence.words)]
        assert sentence.log_probability == pytest.approx(math.log(chance))
    deviation = sum(
        (counts[words] - n * p) ** 2 / (n * p) for words, p in sentences.items()
    )
    free = len(sentences) - 1
    assert abs(deviation - free) < 4 * math.sqrt(2 * free)


def test_arcs_are_handed_down():
    rules = {
        ("pair", 0): [(1.0, [])],
        "inside": [(1.0, [Part("mark", on=PARENT), Part("deeper", on=PARENT)])],
        "deeper": [(1.0, [Part("mark"), Part("mark", on=PARENT)])],
    }
    for depth in (1, 2, 3):
        inner = Part(("pair", depth - 1))
        rules["pair", depth] = [
            (1.0, [Part("open"), inner, Part("close", on=0), inner]),
        ]
    rules["sentence"] = [
        (1.0, [Part("open"), Part("inside", on=0), Part(("pair", 3))])
    ]
    words = {"open": {"(": 1}, "close": {")": 1}, "mark": {"x": 1}}
    sentence = Grammar("sentence", rules, words).sample(random.Random(0))
    assert sentence.words[:4] == ["(", "x", "x", "x"]
    assert sentence.distances[:4] == [0, 1, 0, 3]
    stack = []
    for position, word in enumerate(sentence.words[4:]):
        distance = sentence.distances[position + 4]
        if word == "(":
            stack.append(position)
            assert distance == 0
        else:
            assert distance == position - stack.pop()
    assert max(sentence.distances) > 4


def test_scorer_refuses_what_cannot_be():
    scorer = Scorer(agreement_grammar())
    with pytest.raises(ValueError, match="produce.*'bark' at position 1"):
        scorer.log_probabilities(["dog", "bark", "<eos>"])
    with pytest.raises(ValueError, match="whole.*'dog barks'"):
        scorer.log_probabilities(["dog", "barks"])


ONE = {"one": {"a": 1.0}}


@pytest.mark.parametrize(
    "rules, words, rule",
    [
        ({"s": [(1.0, [Part("t")])]}, ONE, "known. Received: 't'"),
        ({}, ONE, "known. Received: 's'"),
        ({"s": [(0.0, [Part("one")])]}, ONE, "weight above 0"),
        ({"s": []}, ONE, "weight above 0"),
        ({"s": [(1.0, [])], "one": [(1.0, [])]}, ONE, "not both"),
        ({"s": [(1.0, [Part("one", on=0)])]}, ONE, "earlier word"),
        ({"s": [(1.0, [Part("one", on=-2)])]}, ONE, "earlier word"),
        ({"s": [(1.0, [Part("s")])]}, ONE, "contain itself"),
        (
            {"s": [(1.0, [Part("t"), Part("one", on=0)])], "t": [(1.0, [])]},
            ONE,
            "earlier word",
        ),
    ],
)
def test_bad_grammars(rules, words, rule):
    with pytest.raises(ValueError, match=rule):
        Grammar("s", rules, words)


def test_zipf_weights():
    assert zipf("a b c", 1.0) == {"a": 1.0, "b": 0.5, "c": 1 / 3}
