"""How well a run predicted each token of the test text: `test_scores.npz`."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from dsl.runs import files
from dsl.runs.errors import ResultError
from dsl.system.archives import Archive, ArchiveError
from dsl.system.atomic import replacing
from dsl.system.messages import short
from dsl.system.regular_files import open_regular, read_regular

LARGEST = 2**29  # bytes
_MOST_INTEGER = 2**31 - 1
_MOST_NATS = 1e40  # More than logits in float32 can give.
# What an array must be, and the kinds of its type.
_ARRAYS = {
    "nll": ("a finite float of at most 64 bits for each token", "f"),
    "look_back": ("an integer from 0 for each token", "iu"),
    "sentence": ("an integer for each token, ascending from 0", "iu"),
}


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

    path = Path(run_folder) / files.SCORES_NAME
    scores = _read_arrays(path)
    for name, array in scores.items():
        _check_array(name, array, path)
    sizes = [len(array) for array in scores.values()]
    if len(set(sizes)) > 1:
        names = ", ".join(f"`{name}`" for name in _ARRAYS)
        raise ResultError(
            f"{path}: {names} must be of one length. "
            f"Received: {', '.join(map(str, sizes))}"
        )
    return {**scores, "nll": scores["nll"].astype(np.float64)}


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


def check_scores(
    run_folder: str | os.PathLike, record: Mapping[str, object]
) -> None:
    """Raises a ResultError unless the scores are those of the record.

    Args:
        run_folder: The folder of a run that has scores.
        record: Its record. One of earlier code has no hash of the scores, and
            then any will do.
    """
    expected = record.get("scores_sha256")
    if expected is None:
        return
    path = Path(run_folder) / files.SCORES_NAME
    try:
        content = read_regular(path, LARGEST)
    except OSError as error:
        raise ResultError(
            f"{path}: cannot be read: {error.strerror}."
        ) from error
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != expected:
        raise ResultError(
            f"{path}: must be the scores of {files.FILE_NAME}, sha256 "
            f"{short(expected)}. Received: {sha256}"
        )


def _read_arrays(path):
    """The arrays of the archive by name, whatever they hold."""
    try:
        with open_regular(path, LARGEST) as file:
            archive = Archive(file)
            if archive.size > LARGEST:
                raise files.too_large(path, LARGEST)
            return {
                name: archive.read_array(f"{name}.npy", LARGEST)
                for name in _ARRAYS
            }
    except ArchiveError as error:
        raise ResultError(
            f"{path}: damaged, or not the arrays {', '.join(_ARRAYS)}: {error}."
        ) from error
    except OSError as error:
        when = "a run writes it when it is done"
        raise files.unreadable(path, error, when, LARGEST) from error


def _check_array(name, array, path):
    """Raises a ResultError unless an array of the scores is sound."""
    import numpy as np

    rule, kinds = _ARRAYS[name]
    dtype = array.dtype
    fits = dtype.kind in kinds and dtype.itemsize <= 8
    if array.ndim != 1 or not array.size or not fits:
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
