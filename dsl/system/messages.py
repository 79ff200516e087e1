"""Text of strangers, made fit for a terminal; errors that are one line."""

# Not printable by themselves, but part of how some scripts are spelled.
JOINERS = "\u200c\u200d"
_LONGEST = 1000
# For terminals that have no such character.
_PLAIN = {"±": "+/-", "λ": "lambda", "…": "...", "×": "x"}


class Failure(Exception):
    """What ends a program; the message is one clear line.

    Attributes:
        exit_code: That of the program: 1 failed, 2 usage, 3 data missing or
            wrong.
    """

    exit_code = 1


def printable(text):
    """The text, an escape in place of each character without a shape.

    Control characters, line ends and characters that turn the direction of
    writing thus have no effect.
    """
    return "".join(
        character
        if character.isprintable() or character in JOINERS
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def short(value, most=60):
    """A value in a few characters, for a message."""
    try:
        text = repr(value)
    except RecursionError:  # What JSON holds may be nested that deeply.
        text = f"a {type(value).__name__} nested too deeply"
    return text if len(text) <= most else f"{text[: most - 3]}..."


def one_line(text):
    """A message as one line of bearable length that commands no terminal."""
    line = printable(" ".join(str(text).split()))
    if len(line) <= _LONGEST:
        return line
    half = _LONGEST // 2
    return f"{line[:half]} ... {line[-half:]}"


def plain(error):
    """A handler of the errors of `codecs`: what stands for a character.

    Args:
        error: The UnicodeEncodeError.

    Returns:
        The text for what cannot be encoded, and where to go on.
    """
    text = error.object[error.start : error.end]
    escaped = "".join(
        _PLAIN.get(character)
        or character.encode("ascii", "backslashreplace").decode()
        for character in text
    )
    return escaped, error.end
