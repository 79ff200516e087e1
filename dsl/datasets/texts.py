"""What editors and other tools leave in a text file, beside its words."""

import codecs
import collections
import re
import unicodedata
from collections.abc import Iterable

from dsl.datasets.corpus import EOS
from dsl.system.messages import JOINERS

_UTF_16 = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE
_MARK = "\ufeff"
_BLANKS = " \t\n\r"
# Of no width, or a blank, though Unicode has them among letters and marks.
_UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u2800\u3164\uffa0"
) | frozenset(map(chr, range(0xFE00, 0xFE10)))
_LOST = "\ufffd"
_MOST_NAMED = 5


def decoded(content: bytes) -> str:
    """Decodes a text: UTF-8, or UTF-16 if it begins with a mark of that.

    Args:
        content: The bytes of a file.

    Returns:
        The text; a mark at its start may still be there.

    Raises:
        UnicodeDecodeError: If it is neither.
    """
    return content.decode(encoding(content))


def encoding(content: bytes) -> str:
    """The encoding by which `decoded` decodes these bytes."""
    return "utf-16" if content.startswith(_UTF_16) else "utf-8"


def cleaned(text: str) -> str:
    r"""Takes out of a text what is no part of it.

    Byte order marks, wherever files were joined, and the end of file of DOS
    (^Z) are left out, and a CR that no LF follows becomes one. A CR before an
    LF stays: it is white space, and a text has the hash it always had.

    Args:
        text: As it stands in a file.

    Returns:
        The text, of which LF alone ends lines.

    Example:
        >>> cleaned("\ufeffa b\rc\r\nd\n\x1a")
        'a b\nc\r\nd\n'
    """
    text = text.replace(_MARK, "")
    body = text.rstrip(f"{_BLANKS}\x1a")
    end = text[len(body) :]
    text = body + end.partition("\x1a")[0]
    return re.sub(r"\r+\n?", _line_ends, text)


def notes(text: str) -> list[str]:
    """Says what in a text may be read otherwise than a person expects.

    Args:
        text: As it stands in a file, before `cleaned`.

    Returns:
        Phrases; none of an ordinary text.
    """
    found = []
    alone = sum(map(_alone, re.findall(r"\r+\n?", text)))
    if alone:
        found.append(f"CR alone ends lines ({alone:,})")
    times = text.split().count(EOS) if EOS in text else 0
    if times:
        found.append(f"{EOS} ({times:,}) in it, beside the one of each line")
    text = cleaned(text)
    odd = {c for c in set(text) if c not in _BLANKS and _is_odd(c)}
    for wanted, what in (
        (str.isspace, "read as blanks, not as ends of lines"),
        (_LOST.__eq__, "in the place of characters that were lost before"),
        (_is_hidden, "unseen, and read as part of their words"),
    ):
        counts = {c: text.count(c) for c in sorted(odd) if wanted(c)}
        if counts:
            found.append(f"{_named(counts)} {what}")
    return found


def spelled_twice(words: Iterable[str]) -> dict[str, list[str]]:
    """Finds words that differ only in how Unicode composes their letters.

    Args:
        words: Words, repetitions allowed.

    Returns:
        Composed form (NFC) to the different words that have it, two or more.
    """
    forms = collections.defaultdict(set)
    for word in set(words):
        if not word.isascii():
            forms[unicodedata.normalize("NFC", word)].add(word)
    return {form: sorted(same) for form, same in forms.items() if len(same) > 1}


def note_on_spelling(words: Iterable[str]) -> str | None:
    """Says what `spelled_twice` finds, or None if it is nothing."""
    twice = spelled_twice(words)
    if not twice:
        return None
    return (
        f"words that look the same and are spelled otherwise ({len(twice):,}), "
        f"as {next(iter(twice))!a}, count as different ones (normal forms of "
        "Unicode, NFC and NFD)"
    )


def _line_ends(match):
    return match[0] if match[0].endswith("\n") else "\n" * len(match[0])


def _alone(run):
    return 0 if run.endswith("\n") else len(run)


def _is_odd(character):
    unseen = character in _UNSEEN or not character.isprintable()
    return unseen and character not in JOINERS or character == _LOST


def _is_hidden(character):
    return not character.isspace() and character != _LOST


def _named(counts):
    """Characters by their numbers, the most frequent first, each counted."""
    order = sorted(counts, key=lambda c: -counts[c])
    parts = [f"U+{ord(c):04X} ({counts[c]:,})" for c in order[:_MOST_NAMED]]
    if len(order) > _MOST_NAMED:
        parts.append(f"{len(order) - _MOST_NAMED} more")
    return ", ".join(parts)
