"""Checkpoints: arrays and a few words of JSON in one file, nothing else.

A checkpoint is a NumPy archive (`.npz`): a zip file with one `.npy` member for
each variable, in order, and `state.json`. Reading one executes nothing: no
pickle is ever loaded, no size is believed before it is compared with the
variable that it is for, and what was written is told from what was not by a
digest over all of it.
"""

import hashlib
import json
import re
import zipfile

import numpy as np

from dsl.system.archives import Archive, ArchiveError
from dsl.system.atomic import replacing
from dsl.system.messages import Failure, short
from dsl.system.regular_files import open_regular

FORMAT = 1
_STATE = "state.json"
_NUMBERS = re.compile(r"_\d+(?=[/_]|$)")
_MOST_STATE = 2**24  # bytes


class CheckpointError(Failure, ValueError):
    """A checkpoint cannot be used; the message is one clear line."""


def save(path, variables, state):
    """Writes variables and state so that the old file or the new one stays.

    Args:
        path: The file.
        variables: Keras variables; their order counts, and their paths but
            for the numbers that Keras gives to equal names.
        state: What goes with them, a dict that JSON can hold.

    Raises:
        OSError: If the file cannot be written.
    """
    arrays = _arrays(variables)
    header = {
        "format": FORMAT,
        "sha256": _digest(arrays, state),
        "state": state,
    }
    text = json.dumps(header, allow_nan=False)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays:
            with archive.open(name, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        # Of a fixed time: a zip file knows the years 1980 to 2107 alone.
        archive.writestr(zipfile.ZipInfo(_STATE), text)


def load(path, variables):
    """Reads a checkpoint; nothing changes unless all of it is right.

    Args:
        path: The file.
        variables: Keras variables of the same paths, shapes and types as
            those saved, in the same order; they take the saved values.

    Returns:
        The state.

    Raises:
        CheckpointError: If there is no such file, it cannot be read, it is
            damaged, or it belongs to other variables.
    """
    arrays, state = _read(path, _arrays(variables))
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    return state


def read_state(path):
    """Reads the state alone; arguments and errors as `load`."""
    return _read(path, None)[1]


def _arrays(variables):
    """Pairs of a member's name and the value of its variable."""
    from keras import ops

    return [
        (
            f"{n:03d}/{_NUMBERS.sub('', variable.path)}.npy",
            np.asarray(ops.convert_to_numpy(variable), order="C"),
        )
        for n, variable in enumerate(variables)
    ]


def _digest(arrays, state):
    digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode())
    for name, array in arrays:
        digest.update(name.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _read(path, pattern):
    """Arrays and state; of a pattern that is None, no arrays.

    The pattern is what `_arrays` gives of the variables to load: names, and
    arrays of their shapes and types.
    """
    try:
        with open_regular(path) as file:
            archive = Archive(file)
            header = _read_state(archive, path)
            if pattern is None:
                return None, header["state"]
            _check_names(archive, pattern, path)
            arrays = [
                (name, _read_array(archive, name, like, path))
                for name, like in pattern
            ]
            # A state may be nested too deeply to be written again.
            sha256 = _digest(arrays, header["state"])
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file.") from None
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(f"{path}: cannot be read: {reason}.") from error
    except (ArchiveError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: damaged, or no checkpoint: {error}."
        ) from error
    if sha256 != header["sha256"]:
        raise CheckpointError(f"{path}: is not what was saved.")
    return [array for _, array in arrays], header["state"]


def _read_state(archive, path):
    """The header, from a member of a size that is worth reading."""
    header = archive.read_json(_STATE, _MOST_STATE)
    if not isinstance(header, dict) or "format" not in header:
        raise ArchiveError(f"no state in {_STATE}")
    number = header["format"]
    if type(number) is not int or number != FORMAT:
        raise CheckpointError(
            f"{path}: its format must be {FORMAT}. Received: {short(number)}"
        )
    if not isinstance(header.get("state"), dict) or "sha256" not in header:
        raise ArchiveError(f"no state in {_STATE}")
    return header


def _check_names(archive, pattern, path):
    members = [name for name in archive.names if name != _STATE]
    names = [name for name, _ in pattern]
    if members == names:
        return
    pairs = zip([*members, None], [*names, None], strict=False)
    have, want = next((h, w) for h, w in pairs if h != w)
    raise CheckpointError(
        f"{path}: belongs to another model: must hold the {len(names)} "
        f"arrays of this one, among them {want!r}. "
        f"Received: {len(members)} arrays, in its place {short(have)}"
    )


def _read_array(archive, name, like, path):
    """One array, whose type and shape are compared first."""

    def check(dtype, shape):
        if (dtype, shape) != (like.dtype, like.shape):
            raise CheckpointError(
                f"{path}: {name!r} must be {like.dtype}{list(like.shape)}. "
                f"Received: {dtype}{list(shape)}"
            )

    return archive.read_array(name, like.nbytes, check)
