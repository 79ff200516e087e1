"""Run records: read, checked and written.

A run record is the JSON object that a finished run leaves as `result.json` in
its run folder: what was run, with which settings, and what was measured.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from dsl.runs import configurations, files
from dsl.runs.errors import ResultError
from dsl.system.atomic import replacing
from dsl.system.messages import short

Record = Mapping[str, object]

_REQUIRED = {
    "task": str,
    "model": str,
    "corpus": str,
    "settings": dict,
    "command": str,
    "parameters": int,
    "seconds": files.NUMBER,
    "steps": int,
    "valid": dict,
    "test": dict,
}
# May be absent or null.
_OPTIONAL = {
    "epochs": list,
    "data": dict,
    "published": dict,
    "true_perplexity": dict,
    "run_folder": str,
}
_JSON_NAMES = {
    str: "a string",
    int: "an integer",
    files.NUMBER: "a number",
    dict: "an object",
    list: "an array",
}


def load(run_folder: str | os.PathLike) -> dict:
    """Reads and checks the record of one run.

    Args:
        run_folder: The folder of a run, or a record file itself.

    Returns:
        The record, with the folder as given added under `"run_folder"`.

    Raises:
        ResultError: If there is no record, or it is not JSON, or a key is
            missing or has the wrong type. The message names the file.
    """
    path = Path(run_folder)
    if path.suffix != ".json":
        path = path / files.FILE_NAME
    record = files.read_json(path, "a run writes it when it is done")
    _check(record, path)
    _check_owner(record, path)
    return {**record, "run_folder": str(run_folder)}


def is_finished(run_folder: str | os.PathLike) -> bool:
    """Tells whether a run has a record of all that it was to do.

    Args:
        run_folder: The folder of a run.

    Raises:
        ResultError: If its record or its configuration is wrong.
    """
    if not (Path(run_folder) / files.FILE_NAME).exists():
        return False
    record = load(run_folder)
    return is_complete(record, configurations.load_config(run_folder))


def is_complete(record: Record, config: Mapping[str, object]) -> bool:
    """Whether a record is of all that its run was to do.

    A run that goes on with more epochs than its record has is not finished.

    Args:
        record: What `load` returned.
        config: The configuration of the run.
    """
    return all(
        record["settings"].get(name) in (None, config["settings"].get(name))
        for name in configurations.growing_names(config)
    )


def save(record: Record, path: str | os.PathLike) -> None:
    """Writes a record so that a crash leaves the old file or the new one.

    NumPy scalars are written as plain numbers.

    Args:
        record: What `load` will return; or a configuration.
        path: The file to write, in a folder that exists.

    Raises:
        ResultError: If a value has no JSON form, among them NaN and infinity.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    try:
        text = json.dumps(record, indent=2, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise ResultError(f"{path}: cannot be written: {error}.") from error
    with replacing(path) as file:
        file.write(f"{text}\n".encode())


def _check(record, path):
    """Raises a ResultError unless a record has the keys that tables need."""
    if not isinstance(record, dict):
        raise ResultError(f"{path}: holds no JSON object.")
    for key, kind in {**_REQUIRED, **_OPTIONAL}.items():
        value = record.get(key)
        if value is None and key in _OPTIONAL:
            continue
        if key not in record:
            raise ResultError(f"{path}: `{key}` is missing.")
        # JSON's true and false are integers to Python.
        fits = isinstance(value, kind) and not isinstance(value, bool)
        numeric = kind in (int, files.NUMBER)
        if not fits or (numeric and not files.is_finite(value)):
            raise ResultError(
                f"{path}: `{key}` must be {_JSON_NAMES[kind]}. "
                f"Received: {short(value)}"
            )


def _check_owner(record, path):
    """Raises a ResultError if a record lies in the folder of another run."""
    # Those of earlier code do not tell.
    if "run" not in record or not (path.parent / files.CONFIG_NAME).exists():
        return
    config = configurations.load_config(path.parent)
    expected = configurations.identity(config)
    if record["run"] != expected:
        raise ResultError(
            f"{path}: belongs to another run: must be of run {expected}. "
            f"Received: {short(record['run'])}"
        )


def _plain(value):
    """Gives `json` the Python number inside a NumPy scalar."""
    try:
        return value.item()
    except (AttributeError, ValueError):
        raise TypeError(
            f"a value of type {type(value).__name__} has no JSON form"
        ) from None
