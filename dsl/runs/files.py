"""The text files of a run: their names, and how one of bearable size is read.

    config.json      what the run was started with
    metrics.jsonl    one line a finished epoch
    result.json      its record, once the run is done
    test_scores.npz  the score of each word of the test text

Anything may lie under these names: a pipe, a link, a file without an end. An
error names the file and says in one line what is wrong with it.
"""

import errno
import json
import os
from pathlib import Path

from dsl.runs.errors import ResultError
from dsl.system.regular_files import read_regular

FILE_NAME = "result.json"
CONFIG_NAME = "config.json"
METRICS_NAME = "metrics.jsonl"
SCORES_NAME = "test_scores.npz"

# Bytes of a text; JSON takes some 20 times that when it is read.
LARGEST_TEXT = 2**26
NUMBER = (int, float)
_LARGEST = 1e300


def read_text(path: str | os.PathLike, when: str) -> str:
    """Reads a text file of bearable size.

    Args:
        path: The file.
        when: When there is such a file, for the message that there is none.

    Returns:
        Its text.

    Raises:
        ResultError: If there is none, it cannot be read or is no UTF-8.
    """
    try:
        return read_regular(path, LARGEST_TEXT).decode()
    except UnicodeDecodeError as error:
        raise ResultError(f"{path}: cannot be read: not UTF-8 text.") from error
    except OSError as error:
        raise unreadable(path, error, when, LARGEST_TEXT) from error


def read_json(path: str | os.PathLike, when: str) -> object:
    """Reads a JSON file of bearable size.

    Args:
        path: The file.
        when: When there is such a file, for the message that there is none.

    Returns:
        What it holds.

    Raises:
        ResultError: If there is none, it cannot be read or is no JSON.
    """
    path = Path(path)
    return parse(read_text(path, when), path)


def parse(text: str, path: str | os.PathLike, where: str = "") -> object:
    """Reads the JSON value of a text.

    Args:
        text: The text.
        path: The file that it is from.
        where: Where it stands there, for the message; by default, the text is
            the whole file.

    Returns:
        The value.

    Raises:
        ResultError: If it is no JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = "" if where else f" at line {error.lineno}"
        raise ResultError(
            f"{path}: {where}not valid JSON: {error.msg}{line}."
        ) from error
    except (RecursionError, ValueError) as error:
        raise ResultError(
            f"{path}: {where}not valid JSON: nested too deeply, or a number "
            "too long."
        ) from error


def unreadable(path, error, when, most):
    """The error for a file that cannot be read.

    Args:
        path: The file.
        error: The OSError.
        when: When there is such a file.
        most: Largest number of bytes that it may have.

    Returns:
        A ResultError.
    """
    if isinstance(error, FileNotFoundError):
        return ResultError(f"{path}: no such file; {when}.")
    if error.errno == errno.EFBIG:
        return too_large(path, most)
    return ResultError(f"{path}: cannot be read: {error.strerror or error}.")


def too_large(path, most):
    """The error for a file that holds more bytes than any run leaves."""
    return ResultError(
        f"{path}: must hold at most {most >> 20} MiB. Received: more"
    )


def is_number(value: object) -> bool:
    """Whether a value of JSON is a number, NaN and infinity included."""
    # JSON's true and false are integers to Python.
    return isinstance(value, NUMBER) and not isinstance(value, bool)


def is_finite(value: object) -> bool:
    """Whether a value of JSON is a number that a float can hold."""
    # An integer of JSON may be beyond what a float can hold.
    return is_number(value) and -_LARGEST < value < _LARGEST


def is_amount(value: object) -> bool:
    """Whether a value of JSON is a finite number of at least 0."""
    return is_finite(value) and value >= 0
