"""The generated corpus: fixed text, exact perplexity, true arcs."""

import collections
import math
import random
import time
from pathlib import Path

import numpy as np
import pytest

from dsl.datasets import DataError, ptb, wikitext2
from dsl.datasets.corpus import SPLITS
from dsl.datasets.generated import corpus as generated
from dsl.datasets.generated import lexicon
from dsl.datasets.generated.scoring import Scorer
from dsl.datasets.generated.sentences import build_grammar


@pytest.fixture(scope="module")
def loaded():
    return generated.load_with_arcs()


def sentences_of(corpus, arcs, split):
    """Yields (words, distances) of each sentence."""
    tokens = getattr(corpus, split)
    words = [corpus.vocabulary[token] for token in tokens]
    ends = np.flatnonzero(tokens == corpus.vocabulary.index("<eos>")) + 1
    start = 0
    for end in ends.tolist():
        yield words[start:end], arcs[split][start:end].tolist()
        start = end
    assert start == len(tokens)


def generate():
    """The corpus, and not what an earlier call has left of it."""
    generated.load_with_arcs.cache_clear()
    return generated.load()


def test_text_is_the_documented_one(loaded):
    corpus = loaded[0]
    assert corpus.name == "generated"
    assert corpus.sha256 == generated.SHA256
    again = generate()
    assert again is not corpus
    assert again.vocabulary == corpus.vocabulary
    for split in SPLITS:
        np.testing.assert_array_equal(
            getattr(again, split), getattr(corpus, split)
        )
    assert again.true_perplexity == corpus.true_perplexity


def test_other_text_is_refused(monkeypatch):
    monkeypatch.setattr(generated, "SEEDS", {**generated.SEEDS, "valid": 99})
    with pytest.raises(DataError, match="generated valid text.*Received"):
        generate()


def test_generation_is_quick():
    start = time.process_time()
    generate()
    assert time.process_time() - start < 15.0


def test_sizes(loaded):
    corpus, arcs = loaded
    for split, size in generated.TOKENS.items():
        tokens = getattr(corpus, split)
        assert tokens.dtype == arcs[split].dtype == np.int32
        assert tokens.shape == arcs[split].shape
        assert size <= len(tokens) < size + 60
        assert corpus.vocabulary[tokens[-1]] == "<eos>"


def test_vocabulary_is_closed_and_uneven(loaded):
    corpus = loaded[0]
    grammar = generated.grammar()
    everything = {w for words in grammar.words.values() for w in words}
    assert set(corpus.vocabulary) == everything
    assert 300 <= len(corpus.vocabulary) <= 1500
    counts = np.bincount(corpus.train)
    assert (np.diff(counts) <= 0).all()
    assert counts.min() >= 10
    ranks = np.arange(1, len(counts) + 1)
    slope = np.polyfit(np.log(ranks[9:]), np.log(counts[9:]), 1)[0]
    assert -1.5 < slope < -0.6  # Zipf's law has -1.


def test_splits_differ(loaded):
    texts = {
        split: {" ".join(words) for words, _ in sentences_of(*loaded, split)}
        for split in SPLITS
    }
    for split in ("valid", "test"):
        shared = texts[split] & texts["train"]
        assert len(shared) < 0.1 * len(texts[split])


@pytest.mark.parametrize("split", ["valid", "test"])
def test_true_perplexity_from_each_word(loaded, split):
    corpus, arcs = loaded
    scorer = Scorer(generated.grammar())
    logs = []
    for words, _ in sentences_of(corpus, arcs, split):
        logs += scorer.log_probabilities(words)
    assert len(logs) == len(getattr(corpus, split))
    assert max(logs) < 1e-12
    perplexity = math.exp(-math.fsum(logs) / len(logs))
    assert corpus.true_perplexity[split] == pytest.approx(perplexity)


def test_true_perplexity_of_train_from_derivations(loaded):
    corpus = loaded[0]
    generator = random.Random(generated.SEEDS["train"])
    total, tokens = 0.0, 0
    while tokens < len(corpus.train):
        sentence = generated.grammar().sample(generator)
        total -= sentence.log_probability
        tokens += len(sentence.words)
    assert corpus.true_perplexity["train"] == pytest.approx(
        math.exp(total / tokens)
    )


def test_entropy_rate_agrees_with_the_text():
    grammar = generated.grammar()
    rate = generated.entropy_rate()
    generator = random.Random(7)
    drawn = [grammar.sample(generator) for _ in range(20_000)]
    excess = np.array([-s.log_probability - rate * len(s.words) for s in drawn])
    error = excess.std() / math.sqrt(len(excess))
    assert abs(excess.mean()) < 3 * error
    # The error itself must be small for this to say anything: 0.5 %.
    assert error / grammar.expected_length() < 0.005 * rate


def test_true_perplexities_are_near_the_entropy_rate(loaded):
    for value in loaded[0].true_perplexity.values():
        assert 25 < value < 60
        assert abs(math.log(value) - generated.entropy_rate()) < 0.02


def test_length_agrees_with_the_text(loaded):
    corpus, arcs = loaded
    lengths = [len(w) for w, _ in sentences_of(corpus, arcs, "train")]
    error = np.std(lengths) / math.sqrt(len(lengths))
    expected = generated.grammar().expected_length()
    assert abs(np.mean(lengths) - expected) < 3 * error


def test_dependencies_carry_information():
    assert 0.08 < generated.dependency_share() < 0.5


def test_no_sentence_has_two_derivations():
    """Checks that the next word always decides between the rules (LL(1)).

    Sets of words are bits of an integer. Where a phrase can be empty, what
    can follow it counts as its beginning.
    """
    grammar = build_grammar()
    index = {}
    for words in grammar.words.values():
        for word in words:
            index.setdefault(word, len(index))
    first = {
        symbol: sum(1 << index[word] for word in words)
        for symbol, words in grammar.words.items()
    }
    empty = dict.fromkeys(first, False)
    first.update(dict.fromkeys(grammar.rules, 0))
    empty.update(dict.fromkeys(grammar.rules, False))
    follow = dict.fromkeys(first, 0)

    def begin(parts):
        bits = 0
        for part in parts:
            bits |= first[part.symbol]
            if not empty[part.symbol]:
                return bits, False
        return bits, True

    def sweep():
        before = hash((tuple(first.values()), tuple(follow.values())))
        for symbol, alternatives in grammar.rules.items():
            for _, parts in alternatives:
                bits, nothing = begin(parts)
                first[symbol] |= bits
                empty[symbol] |= nothing
                for i, part in enumerate(parts):
                    bits, nothing = begin(parts[i + 1 :])
                    if nothing:
                        bits |= follow[symbol]
                    follow[part.symbol] |= bits
        return before != hash((tuple(first.values()), tuple(follow.values())))

    while sweep():
        pass
    for symbol, alternatives in grammar.rules.items():
        seen = 0
        for _, parts in alternatives:
            bits, nothing = begin(parts)
            if nothing:
                bits |= follow[symbol]
            assert not seen & bits, symbol
            seen |= bits


# What each word is, from the lexicon and not from the grammar.


def word_table():
    """Word to (class, features)."""
    table = {}
    for kind in lexicon.KINDS:
        for noun in lexicon.NOUNS[kind].split():
            table[noun] = ("noun", kind, "sg")
            table[lexicon.plural(noun)] = ("noun", kind, "pl")
        for verbs in (lexicon.INTRANSITIVE_VERBS, lexicon.TRANSITIVE_VERBS):
            for verb in verbs[kind].split():
                table[verb] = ("verb", kind, "pl")
                table[lexicon.add_s(verb)] = ("verb", kind, "sg")
        for adjective in lexicon.ADJECTIVES[kind].split():
            table[adjective] = ("adjective", kind, None)
    for particle, verbs in lexicon.PARTICLES.items():
        table[particle] = ("particle", particle, None)
        for verb in verbs.split():
            table[verb] = ("verb", None, "pl", particle)
            table[lexicon.add_s(verb)] = ("verb", None, "sg", particle)
    for verb in lexicon.REFLEXIVE_VERBS.split():
        table[verb] = ("verb", None, "pl")
        table[lexicon.add_s(verb)] = ("verb", None, "sg")
    for number, verbs in lexicon.LINK_VERBS.items():
        for verb in verbs.split():
            table[verb] = ("verb", None, number)
    for kind, names in lexicon.NAMES.items():
        for name in names.split():
            table[name] = ("name", kind, "sg")
        table[lexicon.PRONOUNS[kind]] = ("pronoun", kind, "sg")
    return table


PAIRS = {
    **{closer: opener for opener, closer in lexicon.CORRELATIVES.items()},
    "''": "``",
    "and": "both",
    "nor": "neither",
}
REFLEXIVES = {
    "himself": ("man",),
    "herself": ("woman",),
    "itself": tuple(k for k in lexicon.KINDS if k not in ("man", "woman")),
}


def check_arc(table, words, position, distance):
    """Asserts that the word hangs on a word that it agrees with."""
    word, head = words[position], words[position - distance]
    kind_of_word = table.get(word, ("other",))
    if word in PAIRS:
        assert head == PAIRS[word]
    elif kind_of_word[0] == "verb":
        assert table[head][0] in ("noun", "name", "pronoun")
        assert table[head][2] == kind_of_word[2]
        assert kind_of_word[1] in (None, table[head][1])
    elif word in REFLEXIVES:
        assert table[head][1] in REFLEXIVES[word]
        assert table[head][2] == "sg"
    elif word == "themselves":
        assert table[head][2] == "pl"
    elif kind_of_word[0] == "particle":
        assert table[head][3] == kind_of_word[1]
    elif kind_of_word[0] == "pronoun":
        assert table[head] == ("name", *kind_of_word[1:])
        assert distance == position
    elif kind_of_word[0] == "adjective":  # After a linking verb.
        assert table[head][1] == kind_of_word[1]
    elif word in ("who", "which", "that"):
        assert distance == 1 and table[head][0] == "noun"
    elif kind_of_word[0] == "noun" and head in table:
        assert table[head][:2] == ("adjective", kind_of_word[1])
    elif kind_of_word[0] == "noun":
        plural = head in lexicon.PLURAL_DETERMINERS.split()
        assert kind_of_word[2] == ("pl" if plural else "sg")
        assert plural or head in lexicon.SINGULAR_DETERMINERS.split()
    else:
        assert word in lexicon.SPEECH_VERBS.split()
        assert table[head][0] == "name" and distance == 1
    return kind_of_word[0]


def test_arcs(loaded):
    table = word_table()
    kinds = collections.Counter()
    for words, distances in sentences_of(*loaded, "train"):
        for position, distance in enumerate(distances):
            assert 0 <= distance <= position
            if distance:
                kind = check_arc(table, words, position, distance)
                kinds[kind] += 1
            else:
                word = words[position]
                kind = table.get(word, ("other",))[0]
                assert word not in PAIRS and word not in REFLEXIVES
                assert kind not in ("verb", "particle", "pronoun")
    assert min(kinds[k] for k in ("verb", "particle", "pronoun")) > 1000


def test_brackets_close_in_order(loaded):
    """Pairs nest: a second half hangs on the latest open first half."""
    openers = set(PAIRS.values())
    for words, distances in sentences_of(*loaded, "train"):
        stack = []
        for position, word in enumerate(words):
            if word in openers:
                stack.append(position)
            elif word in PAIRS:
                assert stack.pop() == position - distances[position]
        assert not stack


def test_particles_close_in_order(loaded):
    """A particle hangs on the latest particle verb still without one."""
    table = word_table()
    for words, distances in sentences_of(*loaded, "train"):
        stack = []
        for position, word in enumerate(words):
            if len(table.get(word, ())) == 4:
                stack.append(position)
            elif word in lexicon.PARTICLES:
                assert stack.pop() == position - distances[position]
        assert not stack


def test_verbs_hang_on_subjects_at_many_distances(loaded):
    table = word_table()
    found = collections.Counter()
    for words, distances in sentences_of(*loaded, "train"):
        for word, distance in zip(words, distances, strict=True):
            if table.get(word, ("other",))[0] == "verb":
                found[distance] += 1
    total = sum(found.values())
    assert sum(n for d, n in found.items() if d >= 3) > 0.3 * total
    assert sum(n for d, n in found.items() if d >= 6) > 0.1 * total
    assert sum(n for d, n in found.items() if d > 10) > 0.01 * total


def test_no_word_stands_in_two_lists():
    seen = collections.Counter()
    for symbol, words in generated.grammar().words.items():
        name = symbol[0] if isinstance(symbol, tuple) else symbol
        if name != "predicate adjective":  # The same words by design.
            seen.update(words.keys())
    assert [w for w, n in seen.items() if n > 1] == ["that"]


@pytest.mark.parametrize(
    "word, form",
    [("bush", "bushes"), ("lily", "lilies"), ("boy", "boys"), ("dog", "dogs")],
)
def test_add_s(word, form):
    assert lexicon.add_s(word) == form


def test_readme_has_the_numbers(loaded):
    corpus = loaded[0]
    readme = Path(__file__).parents[3] / "data" / "README.md"
    text = readme.read_text(encoding="utf-8")
    for split in SPLITS:
        assert (
            f"| {split} | {len(getattr(corpus, split)):,} "
            f"| {corpus.true_perplexity[split]:.3f} "
            f"| `{corpus.sha256[split]}` |"
        ) in text
        for known in (ptb.WORDS, ptb.CHARACTERS, wikitext2.WORDS):
            assert known.sha256[split] in text
            assert f"{known.tokens[split]:,}" in text
    rate = generated.entropy_rate()
    assert f"{rate:.4f} nats" in text and f"of {math.exp(rate):.3f};" in text
    assert f"saves {100 * generated.dependency_share():.1f} %" in text
