"""A corpus that is part of the project: sentences drawn from a grammar.

It stands in for a real corpus where there is none, and knows what no real
corpus knows: the exact probability of each of its words, and which earlier
word each word hangs on. The rules are in `sentences`, the words in `lexicon`.
"""

import functools
import hashlib
import math
import random

import numpy as np

from dsl.datasets import corpus as corpora
from dsl.datasets.errors import DataError
from dsl.datasets.generated.grammar import Grammar
from dsl.datasets.generated.scoring import saved_nats
from dsl.datasets.generated.sentences import build_grammar
from dsl.datasets.generated.word_symbols import DEPENDENT

# A split ends with the first sentence that reaches its number of tokens.
TOKENS = {"train": 200_000, "valid": 20_000, "test": 20_000}
SEEDS = {"train": 11, "valid": 12, "test": 13}
SHA256 = {
    "train": (
        "b7e614a544cd5cb59190de64a369dc2aaae93b23c93474ca849d021a39be884f"
    ),
    "valid": (
        "6ee540665092189df37c931d607e1ed869d8b2ee548c0f077ee99f0b1b53e2e1"
    ),
    "test": (
        "adb55efd42cd19b4cd48f8a89ad3df76091b901094d09d8fb159430a2e29de4a"
    ),
}


def load() -> corpora.Corpus:
    """Generates the corpus; nothing is read or written.

    Its `true_perplexity` is exact for the very words of each split:

        exp(-(1 / T) sum over sentences of log P(sentence))

    which is exp of the mean of -log P(w_t | earlier words of the sentence).

    Returns:
        The corpus: the same at every call and on every platform.

    Raises:
        DataError: If the text is not the documented one.
    """
    return load_with_arcs()[0]


@functools.cache
def load_with_arcs() -> tuple[corpora.Corpus, dict[str, np.ndarray]]:
    """Generates the corpus and which word each of its words hangs on.

    Later calls return what the first one did.

    Returns:
        The corpus, as `load`, and split to int32 `(tokens,)`, one number for
        each token: how many tokens earlier the word stands that it hangs on,
        always in the same sentence; 0 if it hangs on none.

    Raises:
        DataError: If the text is not the documented one.
    """
    texts, arcs, perplexities = {}, {}, {}
    for split in corpora.SPLITS:
        texts[split], arcs[split], perplexities[split] = _generate(split)
        arcs[split].setflags(write=False)
        digest = hashlib.sha256(texts[split].encode("utf-8")).hexdigest()
        if digest != SHA256[split]:
            raise DataError(
                f"The generated {split} text must have the sha256 "
                f"{SHA256[split]}. Received: {digest}"
            )
    return corpora.from_texts("generated", texts, perplexities), arcs


@functools.cache
def grammar() -> Grammar:
    """Returns the grammar that the corpus is drawn from."""
    return build_grammar()


def entropy_rate() -> float:
    """Computes the exact entropy of the grammar in nats per token.

        (entropy of a sentence) / (mean length of a sentence with `<eos>`)

    Its exponential is the perplexity of the true distribution on endlessly
    many sentences; `true_perplexity` is that on the sentences of a split.
    """
    return grammar().entropy_rate()


def dependency_share() -> float:
    """Computes what part of the entropy the dependencies save, exactly.

    It is the mutual information between the dependent words (verbs,
    predicate adjectives, reflexives, particles, second halves of pairs,
    pronouns) and the words they hang on, given the kind of word that comes,
    over the entropy of a sentence. See `scoring.saved_nats`.
    """
    return saved_nats(grammar(), DEPENDENT) / grammar().entropy()


def _generate(split: str) -> tuple[str, np.ndarray, float]:
    """Returns the text of a split, its distances and its perplexity."""
    generator = random.Random(SEEDS[split])
    lines: list[str] = []
    distances: list[int] = []
    logs: list[float] = []
    while len(distances) < TOKENS[split]:
        sentence = grammar().sample(generator)
        lines.append(" ".join(sentence.words[:-1]) + "\n")
        distances += sentence.distances
        logs.append(sentence.log_probability)
    perplexity = math.exp(-math.fsum(logs) / len(distances))
    return "".join(lines), np.array(distances, dtype=np.int32), perplexity
