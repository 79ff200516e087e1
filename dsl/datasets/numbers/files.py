"""The files of number prediction: one archive a split, checked as it is read.

A NumPy archive (`.npz`): a zip file with two `.npy` members and `header.json`.
Reading one executes nothing: no pickle is ever loaded, and no size is believed
before it is compared.
"""

import contextlib
import dataclasses
import io
import json
import math
import os
import re
import shlex
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from dsl import choices
from dsl.datasets import files
from dsl.datasets.corpus import SPLITS
from dsl.datasets.errors import DataError
from dsl.datasets.numbers.examples import FORMAT, Examples, Settings, labels_of
from dsl.system import locks
from dsl.system.archives import Archive, ArchiveError
from dsl.system.atomic import remove_unfinished, replacing

MOST_BYTES = 1 << 27  # All numbers and labels of a split.

_LOCK = ".lock"
_UNFINISHED = re.compile(
    rf"\.(num_(?:{'|'.join(SPLITS)})[0-9]+_1\.npz)\.[0-9a-f]+\.tmp"
)
_INPUTS, _LABELS, _HEADER = "inputs.npy", "labels.npy", "header.json"
_MEMBERS = [_INPUTS, _LABELS, _HEADER]
_MOST_HEADER = 4096  # bytes
_LEVEL = 1  # Random digits hardly get smaller with more effort.
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # The time of all that an archive holds.


def file_name(settings: Settings, split: str) -> str:
    """Returns the name of a split's file, `num_train10_1.npz` for ten digits.

    The published names, but for how the file is packed.
    """
    return f"num_{split}{settings.length}_1.npz"


def command(settings: Settings, folder: str | os.PathLike) -> str:
    """Returns the command that makes the files of a folder."""
    flags = {**dataclasses.asdict(settings), "out_dir": os.fspath(folder)}
    words = [word for key, x in flags.items() for word in (f"--{key}", str(x))]
    return shlex.join(["python", "number_prediction/produce_data.py", *words])


def save(path: str | os.PathLike, examples: Examples) -> None:
    """Writes a split so that the old file or the new one stays.

    The same examples give the same bytes, whenever they are written.

    Args:
        path: The file, in a folder that exists.
        examples: What it will hold.

    Raises:
        OSError: If the file cannot be written; it names `path`.
    """
    header = {**examples.header(), "sha256": examples.sha256}
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in (
            (_INPUTS, examples.inputs),
            (_LABELS, examples.labels),
        ):
            member = io.BytesIO()
            np.lib.format.write_array(
                member, np.ascontiguousarray(array), allow_pickle=False
            )
            _write_member(archive, name, member.getbuffer())
        text = json.dumps(header, sort_keys=True)
        _write_member(archive, _HEADER, text.encode())


def load(path: str | os.PathLike, split: str, expected: Settings) -> Examples:
    """Reads a split, and checks all that it must be.

    Nothing in the file is executed, and no size is believed before it is
    compared.

    Args:
        path: The file, whose name ends in `.npz`, or the folder that holds it
            under its usual name.
        split: `"train"`, `"valid"` or `"test"`.
        expected: What the examples must be of; their seed may be another.

    Returns:
        The examples, with the seed that they were drawn from.

    Raises:
        DataError: If there is no such file, it is damaged or foreign, it
            holds another split or other settings, a number is out of its
            range, or a label is not what its sequence points to.
        ValueError: If there is no such split.
    """
    choices.check_choice("split", split, SPLITS)
    path = Path(path)
    if path.suffix != ".npz" or path.is_dir():
        path = path / file_name(expected, split)
        if os.path.lexists(path.parent) and not path.parent.is_dir():
            raise DataError(
                f"{path.parent} must be a folder, with {path.name} in it. "
                "Received: a file"
            )
    if not os.path.lexists(path):
        raise DataError(
            f"{path} must be there. Received: no such file; this makes it: "
            f"{command(expected, path.parent)}"
        )
    content = files.read_bytes(path)
    try:
        archive = Archive(io.BytesIO(content))
        examples, sha256 = _read(archive, split, expected, path)
    except ArchiveError as error:
        raise DataError(
            f"{path} must be a whole file of produce_data.py. Received: "
            f"another, or a damaged one: {error}"
        ) from error
    _check_numbers(examples, path)
    if examples.sha256 != sha256:
        raise DataError(
            f"{path} must have the sha256 {_short(sha256, 66)}. Received: "
            f"{examples.sha256}"
        )
    return examples


def load_splits(
    folder: str | os.PathLike, expected: Settings
) -> dict[str, Examples]:
    """Reads all splits, which must come from one seed.

    Args:
        folder: The folder that holds their files under their usual names.
        expected: What the examples must be of; their seed may be another.

    Returns:
        Dict of the examples of each split.

    Raises:
        DataError: As `load`, or if two splits come from two seeds.
    """
    found = {split: load(folder, split, expected) for split in SPLITS}
    seeds = {split: x.settings.seed for split, x in found.items()}
    if len(set(seeds.values())) > 1:
        received = ", ".join(f"{split} {x}" for split, x in seeds.items())
        raise DataError(
            f"{folder} must hold the files of one seed. Received: {received}; "
            "produce_data.py --force replaces them all"
        )
    return found


@contextlib.contextmanager
def writing(
    folder: str | os.PathLike, on_wait: Callable[[str], None]
) -> Iterator[None]:
    """Keeps other processes from writing splits into a folder meanwhile.

    What a killed process was writing there is removed.

    Args:
        folder: The folder, made if it is missing.
        on_wait: Called with a line if another process has to end first.

    Raises:
        OSError: If it cannot be made or written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)

    def wait(owner):
        on_wait(f"{folder}: waiting for another process ({owner})")

    with locks.holding(folder / _LOCK, wait):
        found = map(_UNFINISHED.fullmatch, os.listdir(folder))
        remove_unfinished(folder, {match[1] for match in found if match})
        yield


def _write_member(
    archive: zipfile.ZipFile, name: str, data: bytes | memoryview
) -> None:
    """Writes a member, the same bytes at every time and on every system."""
    info = zipfile.ZipInfo(name, _EARLIEST)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    archive.writestr(info, data, compresslevel=_LEVEL)


def _read(
    archive: Archive, split: str, expected: Settings, path: Path
) -> tuple[Examples, str]:
    """Reads the examples, and the hash that they are said to have."""
    if archive.names != _MEMBERS:
        raise DataError(
            f"{path} must hold {', '.join(_MEMBERS)}, as produce_data.py "
            f"writes them. Received: {_short(archive.names)}"
        )
    count, found, found_split, sha256 = _read_header(archive, path)
    _check_settings(found, found_split, expected, split, path)
    if found.bytes_of(count) > MOST_BYTES:
        raise DataError(
            f"{path} must hold at most {MOST_BYTES} bytes of examples. "
            f"Received: {_short(count)} examples of {found.length + 2} bytes"
        )
    inputs = _read_array(archive, _INPUTS, (count, found.length + 1), path)
    labels = _read_array(archive, _LABELS, (count,), path)
    return Examples(inputs, labels, found, split), sha256


def _read_header(
    archive: Archive, path: Path
) -> tuple[int, Settings, object, object]:
    """Count, settings, split and hash, as a file has them."""
    header = archive.read_json(_HEADER, _MOST_HEADER)
    try:
        found = header["format"]
        if type(found) is not int or found != FORMAT:
            raise DataError(
                f"{path}: its format must be {FORMAT}. Received: "
                f"{_short(found)}"
            )
        choices.check_count("count", header["count"], "the examples")
        return (
            *(header["count"], Settings(**header["settings"])),
            *(header["split"], header["sha256"]),
        )
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ArchiveError(f"another {_HEADER}") from error


def _check_settings(
    found: Settings,
    found_split: object,
    expected: Settings,
    split: str,
    path: Path,
) -> None:
    """Raises DataError unless a file holds what was asked for."""
    wanted = {"split": split, **dataclasses.asdict(expected)}
    have = {"split": found_split, **dataclasses.asdict(found)}
    for key in ("split", "length", "index_from", "symbols"):
        if have[key] != wanted[key]:
            raise DataError(
                f"{path} must hold examples of {key} {wanted[key]!r}. "
                f"Received: {_short(have[key])}"
            )


def _read_array(
    archive: Archive, name: str, wanted: tuple[int, ...], path: Path
) -> np.ndarray:
    """Reads an array, whose type and shape are compared first."""

    def check(dtype: object, shape: tuple[int, ...]) -> None:
        if (dtype, shape) != (np.uint8, wanted):
            raise DataError(
                f"{path}: {name} must be uint8{list(wanted)}. "
                f"Received: {_short(f'{dtype}{list(shape)}')}"
            )

    return archive.read_array(name, math.prod(wanted), check)


def _check_numbers(examples: Examples, path: Path) -> None:
    """Raises DataError unless numbers and labels are what they must be."""
    inputs, settings = examples.inputs, examples.settings
    for columns, name, bound in (
        (inputs[:, :-1], "digit", settings.symbols),
        (inputs[:, -1:], "pointer", settings.pointers),
    ):
        if columns.max() >= bound:
            row, column = np.argwhere(columns >= bound)[0]
            raise DataError(
                f"{path}: each {name} must be below {bound}. Received: "
                f"{columns[row, column]} in example {row}"
            )
    labels = labels_of(inputs, settings)
    wrong = np.flatnonzero(labels != examples.labels)
    if wrong.size:
        row = wrong[0]
        raise DataError(
            f"{path}: each label must be what its sequence points to. "
            f"Received: {examples.labels[row]} in place of {labels[row]} in "
            f"example {row}"
        )


def _short(value: object, most: int = 80) -> str:
    """A strange value in few characters, on one line."""
    text = value if isinstance(value, str) else repr(value)
    text = ascii(text)[1:-1]
    return text if len(text) <= most else f"{text[: most - 3]}..."
