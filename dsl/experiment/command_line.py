"""What every command line of the project has in common."""

import argparse
import ast
import errno
import importlib.util
import os
import re
import sys
from pathlib import Path

from dsl import choices
from dsl.system import messages, regular_files


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line.

    Args:
        source: Where the arguments come from, named in errors; the command
            line by default.
        **kwargs: As for `argparse.ArgumentParser`.
    """

    def __init__(self, source=None, **kwargs):
        super().__init__(**kwargs)
        self.source = source

    def parse_known_args(self, args=None, namespace=None):
        """As argparse, which in Python 3.11 drops the value of --flag=--."""
        words = sys.argv[1:] if args is None else list(args)
        for word in words[: words.index("--") if "--" in words else None]:
            if re.fullmatch(r"-[^=]+=--", word, re.DOTALL):
                self.error(
                    f"argument {word[:-3]}: must have another value. "
                    "Received: '--'"
                )
        return super().parse_known_args(words, namespace)

    def error(self, message):
        """Exits with status 2."""
        origin = "error" if self.source is None else self.source
        line = messages.one_line(f"{origin}: {message}")
        self.exit(2, f"{self.prog}: {line} (see --help)\n")


def description(path, lines=None):
    """The docstring of a program, which `python -OO` has left out.

    Args:
        path: Its file.
        lines: How many lines of it; all by default.
    """
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    return "\n".join(ast.get_docstring(tree).splitlines()[:lines])


def number(kind, low=None, high=None, open_low=False, open_high=False):
    """An argparse type: a number within bounds that a computer can hold."""
    largest = 2**31 - 1 if kind is int else 1e30
    low = -largest if low is None else low
    high = largest if high is None else high
    rule = (
        f"must be {'an integer' if kind is int else 'a number'} "
        f"{'above' if open_low else 'at least'} {low} and "
        f"{'below' if open_high else 'at most'} {high}"
    )

    def convert(text):
        # Python also reads "1_0", " 5 " and digits of other scripts.
        plain = text.isascii() and "_" not in text and text == text.strip()
        try:
            value = kind(text) if plain else float("nan")
        except ValueError:
            value = float("nan")
        above = value > low if open_low else value >= low
        below = value < high if open_high else value <= high
        if not (above and below):
            raise argparse.ArgumentTypeError(f"{rule}. Received: {text!r}")
        return value

    return convert


def name(text):
    """An argparse type: the name of a file or folder."""
    if not text:
        raise argparse.ArgumentTypeError(f"must be a name. Received: {text!r}")
    return text


def folder_name(text):
    """An argparse type: the name of a folder in another one."""
    if not choices.is_folder_name(text):
        raise argparse.ArgumentTypeError(
            f"must be a plain folder name. Received: {text!r}"
        )
    return text


def picture(text):
    """An argparse type: a file that a picture can be written to."""
    path = Path(text)
    if path.suffix.lower() not in choices.PICTURE_SUFFIXES:
        raise argparse.ArgumentTypeError(
            f"must end in {', '.join(choices.PICTURE_SUFFIXES)}. "
            f"Received: {text!r}"
        )
    # Unlike those of `Path`, these take a name too long for the disk.
    folder = os.path.isdir(path)
    fits = len(path.name) < 256 and os.path.isdir(path.parent)
    if folder or text.endswith("/") or not fits:
        raise argparse.ArgumentTypeError(
            "must be a file in a folder that exists. "
            f"Received: {text!r}{', a folder' * folder}"
        )
    return writable(text)


def writable(text):
    """An argparse type: a file that can be written, found out before the work.

    What is there must be a regular file, or a link to one. Its folder is made
    if it is missing; else nothing is written.
    """
    import tempfile

    path = Path(text)
    try:
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        regular_files.check_writable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path):
            os.stat(path)  # A link that leads nowhere is named as such.
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}."
        ):
            pass
    except OSError as error:
        raise argparse.ArgumentTypeError(
            "must be a file that can be written. "
            f"Received: {text!r}, {error.strerror}"
        ) from error
    return text


def missing_package(flag, package, extra):
    """What to say of a flag whose package is not installed; None if it is.

    Args:
        flag: As it is typed.
        package: Its name, also where it is imported.
        extra: The optional dependencies of this project that hold it.
    """
    if importlib.util.find_spec(package) is not None:
        return None
    return (
        f"{flag} needs the package {package}: .venv/bin/pip install "
        f"'.[{extra}]'"
    )


def need_package(parser, flag, package, extra):
    """Ends with a usage error unless what a flag needs is installed."""
    message = missing_package(flag, package, extra)
    if message is not None:
        parser.error(message)


count = number(int, 1)
positive = number(float, 0, open_low=True)
share = number(float, 0, 1)
inner_share = number(float, 0, 1, open_low=True, open_high=True)
seed = number(int, 0, 2**31 - 1)


def add_interval_flags(parser):
    """The flags of an interval: how sure it is, and how many draws it takes."""
    parser.add_argument(
        "--level",
        type=inner_share,
        default=0.95,
        help="share of the draws inside of an interval (default: %(default)s)",
    )
    parser.add_argument(
        "--samples",
        type=count,
        default=10_000,
        metavar="N",
        help="draws of an interval (default: %(default)s)",
    )


def shares(text):
    """An argparse type: numbers of at least 0, not all 0, and commas."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not 0 < sum(found) < float("inf") or min(found) < 0:
        raise argparse.ArgumentTypeError(
            "must be numbers of at least 0, one of them above 0, with commas "
            f"between. Received: {text!r}"
        )
    return found


def counts(text):
    """An argparse type: integers of at least 1, in brackets or not."""
    bare = text[1:-1] if text[:1] + text[-1:] == "[]" else text
    try:
        return [count(part) for part in bare.split(",")]
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            "must be integers of at least 1 with commas between. "
            f"Received: {text!r}"
        ) from None
