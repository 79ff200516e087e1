"""What a run measured after each epoch: `metrics.jsonl` and `metrics.csv`.

An epoch is a flat dict: its number, `epoch`, and what was measured of it,
numbers and lists of numbers.
"""

import csv
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path

from dsl.runs import files
from dsl.runs.errors import ResultError
from dsl.system.atomic import replacing
from dsl.system.messages import short

# Names of what is at least 0, where an epoch has it.
OF_EPOCHS = (
    "train_perplexity",
    "valid_perplexity",
    "train_accuracy",
    "valid_accuracy",
    "seconds",
)


def load_metrics(
    run_folder: str | os.PathLike, amounts: Iterable[str] = OF_EPOCHS
) -> list[dict]:
    """Reads what a run measured after each epoch, while it goes on or later.

    Args:
        run_folder: The folder of a run.
        amounts: Names of what is a number of at least 0, where an epoch has
            it.

    Returns:
        One dict an epoch, `epoch` ascending; empty before the first one has
        ended. A last line that was not written to its end is left out.

    Raises:
        ResultError: If there is no such folder, or another line is not JSON,
            has no `epoch` or one that does not follow, or has a number that is
            not finite, or a wrong amount. The message names the line.
    """
    path = Path(run_folder) / files.METRICS_NAME
    if Path(run_folder).is_dir() and not os.path.lexists(path):
        return []
    text = files.read_text(path, "a run writes it after its first epoch")
    *lines, rest = text.split("\n")
    if _is_json(rest):
        lines.append(rest)
    epochs, last = [], 0
    for number, line in enumerate(lines, start=1):
        entry = files.parse(line, path, f"line {number}: ")
        where = f"{path}: line {number}"
        last = _check_epoch(entry, last, where)
        check_numbers(entry, where, amounts)
        epochs.append(entry)
    return epochs


def check_numbers(
    entry: dict, where: str, amounts: Iterable[str] = OF_EPOCHS
) -> None:
    """Raises a ResultError unless every number of an epoch is finite.

    Args:
        entry: The epoch.
        where: Where it stands, for the message.
        amounts: Names of what is a number of at least 0, where it has it.
    """
    for key in amounts:
        value = entry.get(key, 0)
        if not files.is_amount(value):
            raise ResultError(
                f"{where}: `{key}` must be a finite number of at least 0. "
                f"Received: {short(value)}"
            )
    for key, value in entry.items():
        if files.is_number(value) and not files.is_finite(value):
            raise ResultError(
                f"{where}: {short(key)} must be a finite number. "
                f"Received: {short(value)}"
            )


def save_metrics(epochs: list[dict], path: str | os.PathLike) -> None:
    """Writes metrics so that a crash leaves the old file or the new one.

    Args:
        epochs: What `load_metrics` will return.
        path: The file to write, in a folder that exists.

    Raises:
        ResultError: If a value has no JSON form, among them NaN and infinity.
        OSError: If the file cannot be written.
    """
    try:
        lines = [json.dumps(entry, allow_nan=False) for entry in epochs]
    except (TypeError, ValueError) as error:
        raise ResultError(f"{path}: cannot be written: {error}.") from error
    with replacing(path) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def save_table(epochs: list[dict], path: str | os.PathLike) -> None:
    """Writes metrics for a spreadsheet: one row an epoch.

    Args:
        epochs: The same as for `save_metrics`; a list in them becomes one
            column an element.
        path: The file to write, in a folder that exists.

    Raises:
        OSError: If the file cannot be written.
    """
    rows = [dict(_cells(entry)) for entry in epochs]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with replacing(path) as file:
        file.write(text.getvalue().encode())


def _cells(entry):
    """Pairs of a column and the value in it."""
    for key, value in entry.items():
        if isinstance(value, list):
            for n, one in enumerate(value, 1):
                yield f"{key}_{n}", one
        else:
            yield key, value


def _check_epoch(entry, last, where):
    """The number of an epoch, if it is one that follows the last."""
    if not isinstance(entry, dict):
        raise ResultError(f"{where}: holds no JSON object.")
    epoch = entry.get("epoch")
    if type(epoch) is not int or epoch <= last:
        raise ResultError(
            f"{where}: `epoch` must be an integer above {last}. "
            f"Received: {short(epoch)}"
        )
    return epoch


def _is_json(text):
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
