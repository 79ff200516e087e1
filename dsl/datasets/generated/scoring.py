"""Exact next-word probabilities under a grammar, and what its arcs carry."""

import collections
import math
from collections.abc import Mapping, Sequence

from dsl.datasets.generated.grammar import Grammar, Symbol


class Scorer:
    """Computes P(w_t | earlier words of the sentence), exactly.

    It keeps every way in which the rules can produce the words so far, with
    what each way still has to produce, and the probability of each. The sum
    of these is the probability of the prefix, and

        P(w_t | w_1 .. w_t-1) = P(w_1 .. w_t) / P(w_1 .. w_t-1).

    Nothing is assumed of the grammar but that its depth is bounded: a
    sentence with several derivations gets the sum of their probabilities.

    Args:
        grammar: The grammar.
    """

    def __init__(self, grammar: Grammar):
        self._grammar = grammar
        self._first: dict[Symbol, frozenset] = {}
        self._nullable: dict[Symbol, bool] = {}
        self._prepare(grammar.start)

    def _prepare(self, symbol: Symbol) -> None:
        """Finds the words that can begin a symbol, and if it can be empty."""
        if symbol in self._first:
            return
        if symbol in self._grammar.words:
            self._first[symbol] = frozenset(self._grammar.words[symbol])
            self._nullable[symbol] = False
            return
        first: set[str] = set()
        nullable = False
        for _, parts in self._grammar.rules[symbol]:
            open_so_far = True
            for part in parts:
                self._prepare(part.symbol)
                if open_so_far:
                    first |= self._first[part.symbol]
                open_so_far = open_so_far and self._nullable[part.symbol]
            nullable = nullable or open_so_far
        self._first[symbol] = frozenset(first)
        self._nullable[symbol] = nullable

    def log_probabilities(self, words: Sequence[str]) -> list[float]:
        """Scores the words of one sentence.

        Args:
            words: The sentence, its last word included.

        Returns:
            For each word, log P(word | the words before it), in nats. Their
            sum is the log-probability of the sentence.

        Raises:
            ValueError: If the grammar cannot produce the sentence.
        """
        ways = {(self._grammar.start, None): 1.0}
        logs = []
        for index, word in enumerate(words):
            ways = self._advance(ways, word)
            total = math.fsum(ways.values())
            if total == 0.0:
                raise ValueError(
                    "The grammar must be able to produce the sentence. "
                    f"Received: {word!r} at position {index} of "
                    f"{' '.join(words)!r}"
                )
            ways = {rest: chance / total for rest, chance in ways.items()}
            logs.append(math.log(total))
        ending = math.fsum(
            chance * self._empty_chance(rest) for rest, chance in ways.items()
        )
        if ending == 0.0:
            raise ValueError(
                "A sentence must be whole. Received: the beginning "
                f"{' '.join(words)!r}"
            )
        if logs:
            logs[-1] += math.log(ending)
        return logs

    def _advance(self, ways: dict, word: str) -> dict:
        """Returns the ways that go on with the word, and what is left."""
        after: dict = collections.defaultdict(float)
        todo = list(ways.items())
        while todo:
            rest, chance = todo.pop()
            if rest is None:
                continue
            symbol, below = rest
            if symbol in self._grammar.words:
                here = self._grammar.words[symbol].get(word, 0.0)
                if here:
                    after[below] += chance * here
                continue
            if word not in self._first[symbol] and not self._nullable[symbol]:
                continue
            for here, parts in self._grammar.rules[symbol]:
                longer = below
                for part in reversed(parts):
                    longer = (part.symbol, longer)
                todo.append((longer, chance * here))
        return after

    def _empty_chance(self, rest: tuple | None) -> float:
        """Returns the probability that nothing more comes."""
        if rest is None:
            return 1.0
        symbol, below = rest
        if not self._nullable[symbol]:
            return 0.0
        total = 0.0
        for here, parts in self._grammar.rules[symbol]:
            longer = below
            for part in reversed(parts):
                longer = (part.symbol, longer)
            total += here * self._empty_chance(longer)
        return total


def saved_nats(grammar: Grammar, dependent: Mapping[str, int]) -> float:
    """Computes what knowing the words that others hang on saves, exactly.

    A reader who does not know them still knows from the words between what
    kind of word comes next, its family F, but not which symbol A of it, and
    so can at best mix:

        q(w | F) = sum over A in F of u(A) p(w | A) / sum over A in F of u(A)
        saved = sum over A of u(A) sum over w of p(w | A) log(p(w | A) / q)

    with the expected uses u. It is a mutual information, never negative.

    Args:
        grammar: The grammar. Its dependent word symbols are tuples.
        dependent: First element of each such symbol to how many of its
            elements, from the left, make the family.

    Returns:
        Nats for a sentence, to be compared with `grammar.entropy()`.
    """
    uses = grammar.expected_uses()
    families = collections.defaultdict(list)
    for symbol in grammar.words:
        if uses.get(symbol) and isinstance(symbol, tuple):
            if symbol[0] in dependent:
                families[symbol[: dependent[symbol[0]]]].append(symbol)
    terms = []
    for symbols in families.values():
        mixed: dict[str, float] = collections.defaultdict(float)
        total = math.fsum(uses[symbol] for symbol in symbols)
        for symbol in symbols:
            for word, chance in grammar.words[symbol].items():
                mixed[word] += uses[symbol] / total * chance
        terms += [
            uses[symbol] * chance * math.log(chance / mixed[word])
            for symbol in symbols
            for word, chance in grammar.words[symbol].items()
        ]
    return math.fsum(terms)
