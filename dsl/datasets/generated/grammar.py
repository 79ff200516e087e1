"""Probabilistic grammars with exact probabilities, entropies and arcs.

A grammar replaces the symbol at hand by the parts of a rule, drawn at random,
until only words are left. Sentences come out from left to right. A part may
hang on an earlier one: the word it becomes then records how far back that
other word stands, and a part that becomes several words hands the other word
on to those of its own parts that ask for it.
"""

import bisect
import dataclasses
import itertools
import math
import random
from collections.abc import Hashable, Mapping, Sequence

Symbol = Hashable

PARENT = -1  # A part hangs on whatever its own rule's symbol hangs on.


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of a rule.

    Attributes:
        symbol: What stands here.
        on: What it hangs on: the index of an earlier part of the rule, which
            must be a word; `PARENT`; or None for nothing.
    """

    symbol: Symbol
    on: int | None = None


@dataclasses.dataclass(frozen=True)
class Sentence:
    """One sentence drawn from a grammar.

    Attributes:
        words: The words.
        distances: For each word, how many words back the one stands that it
            hangs on; 0 if it hangs on none.
        log_probability: Natural logarithm of the derivation's probability.
    """

    words: list[str]
    distances: list[int]
    log_probability: float


Rule = tuple[float, Sequence[Part]]


class Grammar:
    """A probabilistic context-free grammar whose depth is bounded.

    Args:
        start: The symbol of a sentence.
        rules: Symbol to its rules, each a weight above 0 and the parts;
            weights are scaled to sum to one.
        words: Word symbol to words and their weights above 0, likewise.

    Attributes:
        start: As given.
        rules: Symbol to (probability, parts), as tuples.
        words: Word symbol to word to probability.

    Raises:
        ValueError: If a symbol is unknown or defined twice, a weight is not
            above 0, a part hangs on a later one or on one that is not a word,
            or a symbol contains itself.
    """

    def __init__(
        self,
        start: Symbol,
        rules: Mapping[Symbol, Sequence[Rule]],
        words: Mapping[Symbol, Mapping[str, float]],
    ):
        self.start = start
        self.words = {
            symbol: dict(
                zip(choices, _scale(symbol, choices.values()), strict=True)
            )
            for symbol, choices in words.items()
        }
        self.rules = {}
        for symbol, alternatives in rules.items():
            chances = _scale(symbol, [weight for weight, _ in alternatives])
            parts = [tuple(parts) for _, parts in alternatives]
            self.rules[symbol] = tuple(zip(chances, parts, strict=True))
        self._check()
        self._order = self._sort()
        self._compiled = self._compile()

    def _check(self) -> None:
        """Raises ValueError for rules that do not fit together."""
        for symbol in self.rules.keys() & self.words.keys():
            raise ValueError(
                "A symbol must be a phrase or a word, not both. "
                f"Received: {symbol!r}"
            )
        for symbol, alternatives in self.rules.items():
            for _, parts in alternatives:
                for index, part in enumerate(parts):
                    self._check_part(symbol, parts, index, part)
        self._require_known(self.start)

    def _check_part(
        self, symbol: Symbol, parts: Sequence[Part], index: int, part: Part
    ) -> None:
        """Raises ValueError for a part of an unknown or impossible kind."""
        self._require_known(part.symbol)
        if part.on is None or part.on == PARENT:
            return
        earlier = 0 <= part.on < index
        if not earlier or parts[part.on].symbol not in self.words:
            raise ValueError(
                "A part must hang on an earlier word of its rule. Received: "
                f"{part!r} in a rule of {symbol!r}"
            )

    def _require_known(self, symbol: Symbol) -> None:
        """Raises ValueError unless the symbol has rules or words."""
        if symbol not in self.rules and symbol not in self.words:
            raise ValueError(f"A symbol must be known. Received: {symbol!r}")

    def _sort(self) -> list[Symbol]:
        """Returns the symbols, every one after all of those it contains."""
        order: list[Symbol] = []
        state: dict[Symbol, bool] = {}  # True once all below is in the order.

        def visit(symbol: Symbol) -> None:
            if state.get(symbol):
                return
            if symbol in state:
                raise ValueError(
                    "A symbol must not contain itself, or sentences have no "
                    f"bound. Received: {symbol!r}"
                )
            state[symbol] = False
            for _, parts in self.rules.get(symbol, ()):
                for part in parts:
                    visit(part.symbol)
            state[symbol] = True
            order.append(symbol)

        visit(self.start)
        return order

    def _compile(self) -> dict:
        """Turns each symbol into what `sample` needs, see there.

        A word becomes (cumulated probabilities, words, logarithms); a phrase
        (cumulated probabilities, alternatives, logarithms), where an
        alternative is its number of parts and, last part first, (part's
        compiled symbol, is it a word, index, index of what it hangs on).
        Index 0 of a frame is what the phrase itself hangs on, i + 1 the
        position of part i.
        """
        compiled: dict = {}
        for symbol in self._order:
            if symbol in self.words:
                choices = list(self.words[symbol])
                chances = list(self.words[symbol].values())
            else:
                chances = [chance for chance, _ in self.rules[symbol]]
                choices = [
                    (
                        len(parts),
                        [
                            (
                                compiled[part.symbol],
                                part.symbol in self.words,
                                index + 1,
                                None if part.on is None else part.on + 1,
                            )
                            for index, part in reversed(list(enumerate(parts)))
                        ],
                    )
                    for _, parts in self.rules[symbol]
                ]
            cumulated = list(itertools.accumulate(chances))[:-1]
            logs = [math.log(chance) for chance in chances]
            compiled[symbol] = (cumulated, choices, logs)
        return compiled

    def sample(self, generator: random.Random) -> Sentence:
        """Draws one sentence.

        Only `generator.random()` is called, so that a seed gives the same
        sentences on every platform.

        Args:
            generator: Source of uniform numbers in [0, 1).

        Returns:
            The sentence.
        """
        draw = generator.random
        find = bisect.bisect_right
        words: list[str] = []
        distances: list[int] = []
        logs = 0.0
        start = (self._compiled[self.start], self.start in self.words, 1, None)
        stack = [(start, [-1, -1])]
        while stack:
            (table, is_word, index, on), frame = stack.pop()
            anchor = -1 if on is None else frame[on]
            cumulated, choices, log_chances = table
            chosen = find(cumulated, draw()) if cumulated else 0
            logs += log_chances[chosen]
            if is_word:
                position = frame[index] = len(words)
                distances.append(position - anchor if anchor >= 0 else 0)
                words.append(choices[chosen])
            else:
                size, parts = choices[chosen]
                below = [anchor] + [-1] * size
                for part in parts:
                    stack.append((part, below))
        return Sentence(words, distances, logs)

    def expected_uses(self) -> dict[Symbol, float]:
        """Computes how often each symbol occurs in a sentence on average.

            u(start) = 1;  u(B) = sum over A, rules r of A, of
            u(A) p(r) (occurrences of B in r)

        Returns:
            Symbol to its expected number of occurrences, exact.
        """
        uses = dict.fromkeys(self._order, 0.0)
        uses[self.start] = 1.0
        for symbol in reversed(self._order):
            for chance, parts in self.rules.get(symbol, ()):
                for part in parts:
                    uses[part.symbol] += uses[symbol] * chance
        return uses

    def expected_length(self) -> float:
        """Computes the mean number of words in a sentence, exactly."""
        uses = self.expected_uses()
        return math.fsum(uses[s] for s in self._order if s in self.words)

    def entropy(self) -> float:
        """Computes the entropy of the derivation of a sentence, exactly.

            H = sum over symbols A of u(A) H(choice at A)

        It is the entropy of the sentence itself where no sentence has two
        derivations.

        Returns:
            Nats for a sentence.
        """
        uses = self.expected_uses()
        return math.fsum(
            uses[symbol] * _entropy(self._chances(symbol))
            for symbol in self._order
        )

    def entropy_rate(self) -> float:
        """Computes nats per word: `entropy()` over `expected_length()`."""
        return self.entropy() / self.expected_length()

    def _chances(self, symbol: Symbol) -> list[float]:
        """Returns the probabilities of the choices at a symbol."""
        if symbol in self.words:
            return list(self.words[symbol].values())
        return [chance for chance, _ in self.rules[symbol]]


def _scale(symbol: Symbol, weights: Sequence[float]) -> list[float]:
    """Scales weights to sum to one."""
    weights = list(weights)
    if not weights or min(weights) <= 0.0:
        raise ValueError(
            "A symbol must have choices, each of a weight above 0. Received: "
            f"{weights} for {symbol!r}"
        )
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def _entropy(chances: Sequence[float]) -> float:
    """Returns -sum p log p in nats."""
    return -math.fsum(chance * math.log(chance) for chance in chances)
