"""Run records: what a run leaves behind of itself, read, checked and written.

A run record is the JSON object that a finished run leaves as `result.json` in
its run folder: what was run, with which settings, and what was measured.
Beside it lie `config.json` from the start, `metrics.jsonl` with a line of each
finished epoch, and at the end `test_scores.npz` with each test token.
"""

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from dsl.runs import configurations
from dsl.system.archives import Archive, ArchiveError
from dsl.system.atomic import replacing
from dsl.system.messages import Failure, short
from dsl.system.regular_files import open_regular, read_regular

FILE_NAME = "result.json"
CONFIG_NAME = "config.json"
METRICS_NAME = "metrics.jsonl"
SCORES_NAME = "test_scores.npz"

_NUMBER = (int, float)
_LARGEST = 1e300
_LARGEST_SCORES = 2**29  # bytes
_LARGEST_TEXT = 2**26  # bytes; JSON takes some 20 times that when it is read.
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
_MOST_INTEGER = 2**31 - 1
_MOST_NATS = 1e40  # More than logits in float32 can give.
# What an array of the scores must be, and the kinds of its type.
_SCORES = {
    "nll": ("a finite float of at most 64 bits for each token", "f"),
    "look_back": ("an integer from 0 for each token", "iu"),
    "sentence": ("an integer for each token, ascending from 0", "iu"),
}

# Of an epoch, where there are such: at least 0.
OF_EPOCHS = (
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
    record = read_json(path, "a run writes it when it is done")
    _check(record, path)
    _check_owner(record, path)
    return {**record, "run_folder": str(run_folder)}


def is_finished(run_folder: str | os.PathLike) -> bool:
    """Tells whether a run has a record of all that it was to do.

    One that goes on with more epochs than its record has is not finished.

    Args:
        run_folder: The folder of a run.

    Raises:
        ResultError: If its record or its configuration is wrong.
    """
    if not (Path(run_folder) / FILE_NAME).exists():
        return False
    record, config = load(run_folder), load_config(run_folder)
    return all(
        record["settings"].get(name) in (None, config["settings"].get(name))
        for name in configurations.growing(config)
    )


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
    config = read_json(path, "every run folder has one")
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
    if Path(run_folder).is_dir() and not os.path.lexists(path):
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
    return _parse(_read(Path(path), when), path)


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
        with open_regular(path, _LARGEST_SCORES) as file:
            archive = Archive(file)
            if archive.size > _LARGEST_SCORES:
                raise _too_large(path, _LARGEST_SCORES)
            scores = {
                name: archive.read_array(f"{name}.npy", _LARGEST_SCORES)
                for name in _SCORES
            }
    except ArchiveError as error:
        raise ResultError(
            f"{path}: damaged, or not the arrays {', '.join(_SCORES)}: {error}."
        ) from error
    except OSError as error:
        when = "a run writes it when it is done"
        raise _unreadable(path, error, when, _LARGEST_SCORES) from error
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


def check_scores(run_folder: str | os.PathLike, record: Record) -> None:
    """Raises a ResultError unless the scores are those of the record.

    Args:
        run_folder: The folder of a run that has scores.
        record: Its record. One of earlier code has no hash of the scores, and
            then any will do.
    """
    expected = record.get("scores_sha256")
    if expected is None:
        return
    path = Path(run_folder) / SCORES_NAME
    try:
        content = read_regular(path, _LARGEST_SCORES)
    except OSError as error:
        raise ResultError(
            f"{path}: cannot be read: {error.strerror}."
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ResultError(
            f"{path}: must be the scores of {FILE_NAME}, sha256 "
            f"{short(expected)}. Received: {found}"
        )


def save_scores(path: str | os.PathLike, content: bytes) -> str:
    """Writes scores so that a crash leaves the old file or the new one.

    Args:
        path: The file to write, in a folder that exists.
        content: The bytes of the archive.

    Returns:
        The hash that `check_scores` looks for in the record.

    Raises:
        OSError: If the file cannot be written.
    """
    with replacing(path) as file:
        file.write(content)
    return hashlib.sha256(content).hexdigest()


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


def _check_owner(record, path):
    """Raises ResultError if a record lies in the folder of another run."""
    # Those of earlier code do not tell.
    if "run" not in record or not (path.parent / CONFIG_NAME).exists():
        return
    expected = configurations.identity(load_config(path.parent))
    if record["run"] != expected:
        raise ResultError(
            f"{path}: belongs to another run: must be of run {expected}. "
            f"Received: {short(record['run'])}"
        )


def _read(path, when):
    """The text of a file of a run."""
    try:
        return read_regular(path, _LARGEST_TEXT).decode()
    except UnicodeDecodeError as error:
        raise ResultError(f"{path}: cannot be read: not UTF-8 text.") from error
    except OSError as error:
        raise _unreadable(path, error, when, _LARGEST_TEXT) from error


def _unreadable(path, error, when, most):
    """A ResultError for a file that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return ResultError(f"{path}: no such file; {when}.")
    if error.errno == errno.EFBIG:
        return _too_large(path, most)
    return ResultError(f"{path}: cannot be read: {error.strerror or error}.")


def _too_large(path, most):
    """A ResultError for a file that holds more than any run leaves."""
    return ResultError(
        f"{path}: must hold at most {most >> 20} MiB. Received: more"
    )


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
    for key in OF_EPOCHS:
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
    dtype = array.dtype
    typed = dtype.kind in kinds and dtype.itemsize <= 8
    if array.ndim != 1 or not array.size or not typed:
        received = f"{dtype} of shape {array.shape}"
    elif not (sound := np.abs(array) < np.float64(_MOST_NATS)).all():
        received = f"{array[~sound][0]}"
    elif dtype.kind != "f" and array.min() < 0:
        received = f"{array.min()}"
    elif dtype.kind != "f" and array.max() > _MOST_INTEGER:
        received = f"{array.max()}"
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
