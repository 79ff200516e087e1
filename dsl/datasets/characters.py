"""How words are spelled: the characters of a vocabulary as integer ids."""

from collections.abc import Iterable, Sequence

import numpy as np

from dsl.datasets.corpus import EOS, UNKNOWN

START, END = "<start of word>", "<end of word>"
# Id 0 fills a row up after the end of its word.
SPECIAL = ("<no character>", START, END, UNKNOWN, EOS)
MOST_LENGTH = 65


def alphabet(words: Iterable[str]) -> tuple[str, ...]:
    """Lists the characters of words.

    Args:
        words: The words of a vocabulary.

    Returns:
        The character of each id: first those of `SPECIAL`, then those of the
        words in the order of Unicode. `<unk>` and `<eos>` are one character
        each (in the published code, `|` and `+`).

    Example:
        >>> alphabet(["cab", "<unk>", "<eos>"])[3:]
        ('<unk>', '<eos>', 'a', 'b', 'c')
    """
    found = {c for word in words if word not in SPECIAL for c in word}
    return (*SPECIAL, *sorted(found))


def spell(
    words: Iterable[str],
    characters: Sequence[str],
    max_length: int = MOST_LENGTH,
) -> np.ndarray:
    """Writes each word as character ids.

    A row is the start of a word, its characters, the end of a word, then
    zeros up to the length of the longest row (Kim et al. 2016).

    Args:
        words: The words.
        characters: The character of each id, as `alphabet` returns them; one
            that is not among them becomes `<unk>`.
        max_length: Longest row, start and end included; what a longer word
            has beyond that is dropped, as in the published code.

    Returns:
        int32 `(len(words), width)`, values in [0, len(characters)).

    Raises:
        ValueError: If `max_length` leaves no room for a character.

    Example:
        >>> spell(["ab", "<unk>"], alphabet("abc")).tolist()
        [[1, 5, 6, 2], [1, 3, 2, 0]]
    """
    if max_length < 3:
        raise ValueError(
            "`max_length` must leave room for a character between start and "
            f"end, at least 3 in all. Received: max_length={max_length!r}"
        )
    ids = {character: n for n, character in enumerate(characters)}
    rows = []
    for word in words:
        inner = [word] if word in SPECIAL else word[: max_length - 2]
        known = (ids.get(character, ids[UNKNOWN]) for character in inner)
        rows.append([ids[START], *known, ids[END]])
    spelled = np.zeros((len(rows), max(map(len, rows), default=0)), np.int32)
    for row, characters_of_row in zip(spelled, rows, strict=True):
        row[: len(characters_of_row)] = characters_of_row
    return spelled
