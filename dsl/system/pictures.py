"""Pictures: written as a whole, and the letters that their font lacks."""

import contextlib
import re
import warnings
from pathlib import Path

from dsl.system import atomic
from dsl.system.messages import printable
from dsl.system.regular_files import check_writable

_LACKING = re.compile(r"Glyph (\d+) .*missing from font")
_MOST_NAMED = 20


@contextlib.contextmanager
def letters_lacking():
    """Collects the letters that Matplotlib would warn of, one line each.

    Yields:
        A list that holds them, each once, at the end of the block. Boxes
        stand in their places.
    """
    found = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield found
    for one in caught:
        match = _LACKING.match(str(one.message))
        if match is None:
            where = one.filename, one.lineno
            warnings.warn_explicit(one.message, one.category, *where)
        elif chr(int(match[1])) not in found:
            found.append(chr(int(match[1])))


def save(figure, path, **options):
    """Writes a picture as a whole, or not at all.

    Where `path` is a link, the picture takes the place of the link.

    Args:
        figure: A Matplotlib `Figure`.
        path: The file; its suffix says of which kind.
        **options: As of `figure.savefig`.

    Returns:
        List of the letters that the font has no shape for.

    Raises:
        OSError: If it cannot be written, or something is there that is not a
            regular file; it names `path`.
    """
    check_writable(path)
    kind = Path(path).suffix.lower().removeprefix(".")
    with letters_lacking() as lacking, atomic.replacing(path) as file:
        figure.savefig(file, format=kind, **options)
    return lacking


def in_words(letters):
    """What to say of the letters that are lacking; "" if none are."""
    if not letters:
        return ""
    named = ", ".join(map(printable, letters[:_MOST_NAMED]))
    if len(letters) > _MOST_NAMED:
        named += f" and {len(letters) - _MOST_NAMED} more"
    return f"; boxes stand where its font has no shape, for {named}"
