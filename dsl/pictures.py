"""Pictures: written as a whole, and the letters that their font lacks."""

import contextlib
import re
import warnings
from pathlib import Path

from dsl import atomic
from dsl.messages import printable

_LACKING = re.compile(r"Glyph (\d+) .*missing from font")
_MOST_NAMED = 20


def save(figure, path, **options):
    """Writes a picture as a whole, or not at all.

    Where `path` is a link, the picture takes the place of the link.

    Args:
        figure: A figure of Matplotlib.
        path: The file; its suffix says of which kind.
        **options: As for `figure.savefig`.

    Raises:
        OSError: If it cannot be written; it names `path`.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    with atomic.replacing(path) as file:
        figure.savefig(file, format=kind, **options)


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


def in_words(letters):
    """What to say of the letters that are lacking; "" if none are."""
    if not letters:
        return ""
    named = ", ".join(map(printable, letters[:_MOST_NAMED]))
    if len(letters) > _MOST_NAMED:
        named += f" and {len(letters) - _MOST_NAMED} more"
    return f"; boxes stand where its font has no shape, for {named}"
