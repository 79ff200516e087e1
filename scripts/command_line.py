"""What every command line of the project has in common."""

import argparse
from pathlib import Path

from dsl import choices, messages


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

    def error(self, message):
        """Exits with status 2."""
        origin = "error" if self.source is None else self.source
        line = messages.one_line(f"{origin}: {message}")
        self.exit(2, f"{self.prog}: {line} (see --help)\n")


def number(kind, low=None, high=None, open_low=False, open_high=False):
    """An argparse type: a finite number within bounds."""
    if kind is int and high is None:
        high = 2**31 - 1
    noun = "an integer" if kind is int else "a number"
    bounds = []
    if low is not None:
        bounds.append(f"{'above' if open_low else 'at least'} {low}")
    if high is not None:
        bounds.append(f"{'below' if open_high else 'at most'} {high}")
    rule = " ".join([f"must be {noun}", " and ".join(bounds)]).strip()

    def convert(text):
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        fits = (
            value == value
            and abs(value) != float("inf")
            and (low is None or (value > low if open_low else value >= low))
            and (high is None or (value < high if open_high else value <= high))
        )
        if not fits:
            raise argparse.ArgumentTypeError(f"{rule}. Received: {text!r}")
        return value

    return convert


def picture(text):
    """An argparse type: a file that a picture can be written to."""
    path = Path(text)
    if path.suffix.lower() not in choices.PICTURE_SUFFIXES:
        raise argparse.ArgumentTypeError(
            f"must end in {', '.join(choices.PICTURE_SUFFIXES)}. "
            f"Received: {text!r}"
        )
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"must be a file in a folder that exists. Received: {text!r}"
        )
    return text


count = number(int, 1)
positive = number(float, 0, open_low=True)
share = number(float, 0, 1)
