"""A text corpus as integer ids: words, vocabulary, encoding."""

import collections
import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from dsl.datasets.errors import DataError

EOS = "<eos>"
UNKNOWN = "<unk>"
SPLITS = ("train", "valid", "test")


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
    """One corpus, encoded.

    Attributes:
        name: Short name, as `"ptb"` or `"generated"`; no two texts share one.
        vocabulary: Word of each id. Ids go by descending frequency in the
            training split; equal frequencies go alphabetically.
        train: int32 `(tokens,)`, values in [0, len(vocabulary)): the
            sentences one after another, each ended by `<eos>`. Read-only.
        valid: As `train`.
        test: As `train`.
        sha256: Split to the SHA-256 (hexadecimal) of its text, unpacked; and,
            where words were replaced, `"vocabulary"` to that of the words
            that were not.
        true_perplexity: Split to its exact perplexity under the distribution
            that generated it; None where nobody knows that distribution.
        unknown: Split to how many of its words were replaced by `<unk>`, those
            not counted that are `<unk>` in the text itself.
        of_characters: Whether each of its words is a single character.
    """

    name: str
    vocabulary: tuple[str, ...]
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    sha256: dict[str, str]
    true_perplexity: dict[str, float] | None = None
    unknown: dict[str, int] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(SPLITS, 0)
    )
    of_characters: bool = False

    def describe(self) -> dict:
        """What a run keeps of the corpus: names and counts, as JSON."""
        return {
            "name": self.name,
            "words": len(self.vocabulary),
            "tokens": {split: len(getattr(self, split)) for split in SPLITS},
            "unknown": self.unknown,
            "of_characters": self.of_characters,
        }

    def count_characters(
        self, inputs: np.ndarray, targets: np.ndarray
    ) -> np.ndarray:
        """Tells how many characters of the text each target adds.

        In a text of words, those of the word and what parts it from the one
        before: a blank between two words, a line feed for `<eos>`. A whole
        line thus has its letters, a blank fewer than words, and a line feed;
        `<unk>` has five letters. In a text of characters, each symbol and
        each `<eos>` is one.

        Args:
            inputs: The id before each target, integers of any shape.
            targets: Ids, integers of the same shape.

        Returns:
            Integers of the same shape.
        """
        if self.of_characters:
            return np.ones_like(targets)
        end = self.vocabulary.index(EOS)
        letters = np.array(
            [len(word) if word != EOS else 0 for word in self.vocabulary]
        )
        parted = (inputs != end) | (targets == end)
        return letters[targets] + parted


def split_words(text: str) -> list[str]:
    """Cuts a text into words and puts `<eos>` after every line.

    Args:
        text: One sentence a line. An empty line is a sentence without words;
            a last line without a line feed counts if it holds a word.

    Returns:
        The words of all lines, in order.
    """
    if text.rpartition("\n")[2].split():
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
    *,
    replace_unknown: bool = False,
) -> Corpus:
    """Builds a corpus from the texts of its three splits.

    The vocabulary comes from the training split alone.

    Args:
        name: Short name of the corpus.
        texts: The text of `"train"`, `"valid"` and `"test"`.
        true_perplexity: Stored as it is, see `Corpus`.
        replace_unknown: Whether a word of valid or test that does not occur
            in train becomes `<unk>`, which then joins the vocabulary, last,
            if train lacks it; otherwise such a word is an error.

    Returns:
        The corpus.

    Raises:
        DataError: If a word of valid or test does not occur in train and may
            not be replaced.
    """
    words = {split: split_words(texts[split]) for split in SPLITS}
    vocabulary = build_vocabulary(words["train"])
    of_characters = _are_characters(vocabulary)
    sha256 = {split: _sha256(texts[split]) for split in SPLITS}
    unknown = dict.fromkeys(SPLITS, 0)
    if replace_unknown:
        known = set(vocabulary)
        for split in SPLITS:
            replaced = [w if w in known else UNKNOWN for w in words[split]]
            pairs = zip(words[split], replaced, strict=True)
            unknown[split] = sum(old != new for old, new in pairs)
            words[split] = replaced
        if any(unknown.values()):
            sha256["vocabulary"] = _sha256("\n".join(vocabulary))
        # A text of the user's may have it already.
        if UNKNOWN not in known and any(UNKNOWN in w for w in words.values()):
            vocabulary = (*vocabulary, UNKNOWN)
    return Corpus(
        name=name,
        vocabulary=vocabulary,
        sha256=sha256,
        true_perplexity=true_perplexity,
        unknown=unknown,
        of_characters=of_characters,
        **{split: _fixed(encode(words[split], vocabulary)) for split in SPLITS},
    )


def limited(corpus: Corpus, size: int) -> Corpus:
    """Keeps the most frequent words of a corpus.

    All others become `<unk>`, in every split. Ids go by the frequencies that
    come out.

    Args:
        corpus: The corpus.
        size: Number of words to keep, `<unk>` and `<eos>` among them, whether
            or not they were before.

    Returns:
        The corpus with that vocabulary, whose name ends in the size and whose
        true perplexity is not known; or the same corpus if it has no more
        words.

    Raises:
        ValueError: If `size` is below 2.
    """
    if size < 2:
        raise ValueError(
            f"`size` counts {UNKNOWN} and {EOS} and must be at least 2. "
            f"Received: size={size!r}"
        )
    old = corpus.vocabulary
    if size >= len(old):
        return corpus
    # Ids go by falling frequency, ties alphabetically: the first ones stay.
    words = [word for word in old if word not in (EOS, UNKNOWN)][: size - 2]
    ids = {word: n for n, word in enumerate([EOS, UNKNOWN, *words])}
    new_ids = np.array([ids.get(word, ids[UNKNOWN]) for word in old])
    dropped = np.array([word not in ids for word in old])
    counts = np.bincount(new_ids[corpus.train], minlength=size)
    vocabulary = tuple(sorted(ids, key=lambda word: (-counts[ids[word]], word)))
    order = np.argsort([ids[word] for word in vocabulary])
    splits = {split: getattr(corpus, split) for split in SPLITS}
    return dataclasses.replace(
        corpus,
        name=f"{corpus.name}-{size}",
        vocabulary=vocabulary,
        sha256={**corpus.sha256, "vocabulary": _sha256("\n".join(vocabulary))},
        true_perplexity=None,
        unknown={
            split: corpus.unknown[split] + int(dropped[tokens].sum())
            for split, tokens in splits.items()
        },
        **{
            split: _fixed(order[new_ids][tokens].astype(np.int32))
            for split, tokens in splits.items()
        },
    )


def _are_characters(vocabulary: Iterable[str]) -> bool:
    """Whether there are words, and all of them have one character."""
    words = [word for word in vocabulary if word not in (EOS, UNKNOWN)]
    return bool(words) and max(map(len, words)) == 1


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _fixed(array: np.ndarray) -> np.ndarray:
    """The array, read-only."""
    array.setflags(write=False)
    return array
