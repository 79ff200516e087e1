"""A text corpus as integer ids: words, vocabulary, encoding."""

import collections
import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from dsl.datasets.errors import DataError

EOS = "<eos>"
SPLITS = ("train", "valid", "test")


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
    """One corpus, encoded.

    Attributes:
        name: Short name, `"ptb"` or `"generated"`.
        vocabulary: Word of each id. Ids go by descending frequency in the
            training split; equal frequencies go alphabetically.
        train: int32 `(tokens,)`, values in [0, len(vocabulary)): the
            sentences one after another, each ended by `<eos>`. Read-only.
        valid: As `train`.
        test: As `train`.
        sha256: Split to the SHA-256 (hexadecimal) of its text, unpacked.
        true_perplexity: Split to its exact perplexity under the distribution
            that generated it; None where nobody knows that distribution.
    """

    name: str
    vocabulary: tuple[str, ...]
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    sha256: dict[str, str]
    true_perplexity: dict[str, float] | None = None


def split_words(text: str) -> list[str]:
    """Cuts a text into words and puts `<eos>` after every line.

    Args:
        text: One sentence a line. A last line without a line feed counts.

    Returns:
        The words of all lines, in order.
    """
    if text and not text.endswith("\n"):
        text += "\n"
    return text.replace("\n", f" {EOS} ").split()


def build_vocabulary(words: Iterable[str]) -> tuple[str, ...]:
    """Orders the distinct words by falling frequency, ties alphabetically.

    Args:
        words: The words of the training split, repetitions included.

    Returns:
        The word of each id.
    """
    counts = collections.Counter(words)
    return tuple(sorted(counts, key=lambda word: (-counts[word], word)))


def encode(words: Sequence[str], vocabulary: Sequence[str]) -> np.ndarray:
    """Replaces each word by its id.

    Args:
        words: Words, all of them in the vocabulary.
        vocabulary: The word of each id.

    Returns:
        int32 `(len(words),)`, values in [0, len(vocabulary)).

    Raises:
        DataError: If a word is not in the vocabulary.
    """
    ids = {word: index for index, word in enumerate(vocabulary)}
    try:
        return np.fromiter(
            (ids[word] for word in words), dtype=np.int32, count=len(words)
        )
    except KeyError as error:
        raise DataError(
            "Every word must be in the vocabulary of the training split. "
            f"Received: {error.args[0]!r}"
        ) from None


def decode(tokens: Iterable[int], vocabulary: Sequence[str]) -> str:
    """Turns ids back into words, joined by single spaces.

    Args:
        tokens: Ids in [0, len(vocabulary)), as a list or a 1-D array.
        vocabulary: The word of each id.

    Returns:
        The words; `<eos>` stays visible.

    Raises:
        ValueError: If an id is outside the vocabulary.
    """
    words = []
    for token in tokens:
        if not 0 <= token < len(vocabulary):
            raise ValueError(
                f"A token must be in [0, {len(vocabulary)}), the size of the "
                f"vocabulary. Received: {token!r}"
            )
        words.append(vocabulary[token])
    return " ".join(words)


def from_texts(
    name: str,
    texts: Mapping[str, str],
    true_perplexity: dict[str, float] | None = None,
) -> Corpus:
    """Builds a corpus from the texts of its three splits.

    The vocabulary comes from the training split alone.

    Args:
        name: Short name of the corpus.
        texts: The text of `"train"`, `"valid"` and `"test"`.
        true_perplexity: Stored as it is, see `Corpus`.

    Returns:
        The corpus.

    Raises:
        DataError: If a word of valid or test does not occur in train.
    """
    words = {split: split_words(texts[split]) for split in SPLITS}
    vocabulary = build_vocabulary(words["train"])
    tokens = {split: encode(words[split], vocabulary) for split in SPLITS}
    for array in tokens.values():
        array.setflags(write=False)
    return Corpus(
        name=name,
        vocabulary=vocabulary,
        sha256={
            split: hashlib.sha256(texts[split].encode("utf-8")).hexdigest()
            for split in SPLITS
        },
        true_perplexity=true_perplexity,
        **tokens,
    )
