"""Run records: what a run leaves behind of itself, read, checked and written.

A run record is the JSON object that a finished run leaves as `result.json` in
its run folder: what was run, with which settings, and what was measured.
Beside it lie `config.json` from the start, `metrics.jsonl` with a line of each
finished epoch, and at the end `test_scores.npz` with each test token.
"""

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

from dsl.archives import DAMAGED
from dsl.atomic import replacing
from dsl.messages import Failure, short

FILE_NAME = "result.json"
CONFIG_NAME = "config.json"
METRICS_NAME = "metrics.jsonl"
SCORES_NAME = "test_scores.npz"

_NUMBER = (int, float)
_LARGEST = 1e300
_LARGEST_FILE = 2**29  # bytes
_REQUIRED = {
    "task": str,
    "model": str,
    "corpus": str,
    "settings": dict,
    "command": str,
    "parameters": int,
    "seconds": _NUMBER,
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
    _NUMBER: "a number",
    dict: "an object",
    list: "an array",
}
# What an array of the scores must be, and the kinds of its type.
_SCORES = {
    "nll": ("a finite float for each token", "f"),
    "look_back": ("an integer for each token", "iu"),
    "sentence": ("an integer for each token, ascending from 0", "iu"),
}

# Of an epoch, where there are such: at least 0.
_OF_EPOCHS = (
    "train_perplexity",
    "valid_perplexity",
    "train_accuracy",
    "valid_accuracy",
    "seconds",
)

Record = Mapping[str, object]


class ResultError(Failure, ValueError):
    """A run record is missing or wrong; the message is one clear line."""


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
        path = path / FILE_NAME
    record = _parse(_read(path, "a run writes it when it is done"), path)
    _check(record, path)
    return {**record, "run_folder": str(run_folder)}


def load_config(run_folder: str | os.PathLike) -> dict:
    """Reads what a run was started with.

    Args:
        run_folder: The folder of a run.

    Returns:
        The object in `config.json`; its `settings` are a dict.

    Raises:
        ResultError: If there is none, or it is not JSON or holds no settings.
    """
    path = Path(run_folder) / CONFIG_NAME
    config = _parse(_read(path, "every run folder has one"), path)
    if not isinstance(config, dict) or not isinstance(
        config.get("settings"), dict
    ):
        raise ResultError(f'{path}: holds no "settings".')
    return config


def load_metrics(run_folder: str | os.PathLike) -> list[dict]:
    """Reads what a run measured after each epoch, while it goes on or later.

    Args:
        run_folder: The folder of a run.

    Returns:
        One dict an epoch, `epoch` ascending; empty before the first one has
        ended. A last line that was not written to its end is left out.

    Raises:
        ResultError: If there is no such folder, or another line is not JSON,
            has no `epoch` or one that does not follow, or has a perplexity or
            a time that is not a finite number. The message names the line.
    """
    path = Path(run_folder) / METRICS_NAME
    if Path(run_folder).is_dir() and not path.exists():
        return []
    text = _read(path, "a run writes it after its first epoch")
    *lines, rest = text.split("\n")
    if _is_json(rest):
        lines.append(rest)
    epochs = []
    for number, line in enumerate(lines, start=1):
        entry = _parse(line, path, f"line {number}: ")
        _check_epoch(entry, epochs, f"{path}: line {number}")
        epochs.append(entry)
    return epochs


def load_scores(run_folder: str | os.PathLike) -> dict:
    """Reads how well a run predicted each token of the test text.

    Args:
        run_folder: The folder of a run.

    Returns:
        Dict of NumPy arrays `(n,)`, n > 0: `nll`, -log p of each token in
        nats, float64, finite; `look_back`, the distance chosen there, or
        attended to most, integer; `sentence`, the number of the token's
        sentence, integer, ascending from 0, not each number need occur.

    Raises:
        ResultError: If there are none, or the file is damaged or holds
            something else. Pickled objects are refused.
    """
    import numpy as np

    path = Path(run_folder) / SCORES_NAME
    try:
        with open(path, "rb") as file:
            with zipfile.ZipFile(file) as archive:
                size = sum(one.file_size for one in archive.infolist())
            _check_size(path, size)
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                scores = {name: arrays[name] for name in _SCORES}
    except FileNotFoundError:
        raise ResultError(
            f"{path}: no such file; a run writes it when it is done."
        ) from None
    except OSError as error:
        raise ResultError(
            f"{path}: cannot be read: {error.strerror or error}."
        ) from error
    except ResultError:
        raise
    except DAMAGED as error:
        raise ResultError(
            f"{path}: damaged, or not the arrays {', '.join(_SCORES)}."
        ) from error
    for name, array in scores.items():
        _check_scores(name, array, path)
    sizes = [len(array) for array in scores.values()]
    if len(set(sizes)) > 1:
        names = ", ".join(f"`{name}`" for name in _SCORES)
        raise ResultError(
            f"{path}: {names} must be of one length. "
            f"Received: {', '.join(map(str, sizes))}"
        )
    return {**scores, "nll": scores["nll"].astype(np.float64)}


def save(record: Record, path: str | os.PathLike) -> None:
    """Writes a record so that a crash leaves the old file or the new one.

    NumPy scalars are written as plain numbers.

    Args:
        record: What `load` will return; see the module's description.
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
    """Raises ResultError unless `record` has the keys that tables need."""
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
        if not fits or (kind in (int, _NUMBER) and not is_finite(value)):
            raise ResultError(
                f"{path}: `{key}` must be {_JSON_NAMES[kind]}. "
                f"Received: {short(value)}"
            )


def _check_size(path, size):
    """Raises ResultError if a file holds more than any run leaves."""
    if size > _LARGEST_FILE:
        raise ResultError(
            f"{path}: must hold at most {_LARGEST_FILE >> 20} MiB. "
            f"Received: {size >> 20} MiB"
        )


def _read(path, when):
    """The text of a file of a run."""
    try:
        _check_size(path, path.stat().st_size)
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ResultError(f"{path}: no such file; {when}.") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ResultError(f"{path}: cannot be read: {reason}.") from error


def _parse(text, path, where=""):
    """The JSON value of a text; `where` goes before the fault."""
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


def _is_json(text):
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _check_epoch(entry, before, where):
    """Raises ResultError unless an epoch has what curves need."""
    if not isinstance(entry, dict):
        raise ResultError(f"{where}: holds no JSON object.")
    epoch, last = entry.get("epoch"), before[-1]["epoch"] if before else 0
    if type(epoch) is not int or epoch <= last:
        raise ResultError(
            f"{where}: `epoch` must be an integer above {last}. "
            f"Received: {short(epoch)}"
        )
    for key in _OF_EPOCHS:
        value = entry.get(key, 0)
        if not is_finite(value) or value < 0:
            raise ResultError(
                f"{where}: `{key}` must be a finite number of at least 0. "
                f"Received: {short(value)}"
            )


def _check_scores(name, array, path):
    """Raises ResultError unless an array of the scores is sound."""
    import numpy as np

    rule, kinds = _SCORES[name]
    if array.ndim != 1 or not array.size or array.dtype.kind not in kinds:
        received = f"{array.dtype} of shape {array.shape}"
    elif not np.isfinite(array).all():
        received = f"{array[~np.isfinite(array)][0]}"
    elif name == "sentence" and array[0] < 0:
        received = f"{array[0]}"
    elif name == "sentence" and (array[1:] < array[:-1]).any():
        last = np.argmax(array[1:] < array[:-1])
        received = f"{array[last + 1]} after {array[last]}"
    else:
        return
    raise ResultError(f"{path}: `{name}` must be {rule}. Received: {received}")


def _plain(value):
    """Gives `json` the Python number inside a NumPy scalar."""
    try:
        return value.item()
    except (AttributeError, ValueError):
        raise TypeError(
            f"a value of type {type(value).__name__} has no JSON form"
        ) from None


def is_finite(value):
    """Whether a value of JSON is a number that a float can hold."""
    return (
        isinstance(value, _NUMBER)
        and not isinstance(value, bool)
        # An integer of JSON may be beyond what a float can hold.
        and -_LARGEST < value < _LARGEST
    )
