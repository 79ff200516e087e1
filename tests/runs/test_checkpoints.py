"""Checkpoints come back bit for bit, and nothing else comes back."""

import io
import json
import math
import os
import re
import time
import tracemalloc
import zipfile

import cases
import keras
import numpy as np
import pytest
from small_files import disk_full_after

from dsl.runs import checkpoints
from dsl.runs.checkpoints import CheckpointError

pytestmark = pytest.mark.backend

STATE = {"run": "a", "progress": {"best": 2.5, "entries": [{"epoch": 1}]}}
VALUES = {
    "kernel": np.array([[0.1, -0.0], [np.inf, 1e-45], [-3e38, 2.0]], "float32"),
    "mean_return": np.array([np.nan, 0.5], "float32"),
    "iteration": np.array(2**31 - 1, "int32"),
    "seed_generator_state": np.array([2**32 - 1, 7], "uint32"),
    "mask": np.array([True, False]),
    "half": np.array([1.5, -2.0], "float16"),
    "empty": np.zeros((0, 3), "float32"),
}


def variables(values=VALUES):
    return [
        keras.Variable(value, dtype=value.dtype, trainable=False, name=name)
        for name, value in values.items()
    ]


def blank():
    """Variables that are to take the values."""
    return variables({name: np.ones_like(x) for name, x in VALUES.items()})


def assert_values(found, expected=None):
    """Every bit, that of NaN and of minus zero included."""
    expected = list(VALUES.values()) if expected is None else expected
    for variable, value in zip(found, expected, strict=True):
        read = cases.to_numpy(variable)
        assert (read.dtype, read.shape) == (value.dtype, value.shape)
        assert read.tobytes() == value.tobytes()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "last.npz"
    checkpoints.save(path, variables(), STATE)
    return path


def test_everything_comes_back_bit_for_bit(path):
    found = blank()
    assert checkpoints.load(path, found) == STATE
    assert checkpoints.read_state(path) == STATE
    assert_values(found)
    checkpoints.save(path, blank(), {})
    assert checkpoints.load(path, found) == {}
    assert_values(found, [np.ones_like(value) for value in VALUES.values()])


def test_numpy_reads_a_checkpoint_without_pickles(path):
    with np.load(path, allow_pickle=False) as archive:
        assert archive.files == [
            *(f"{n:03d}/{name}" for n, name in enumerate(VALUES)),
            "state.json",
        ]
        np.testing.assert_array_equal(
            archive["000/kernel"], VALUES["kernel"], strict=True
        )


def test_seed_generators_go_on_where_they_were(tmp_path):
    first, second = (keras.random.SeedGenerator(seed) for seed in (1, 2))
    keras.random.uniform((3,), seed=first)
    checkpoints.save(tmp_path / "c", [first.state], {})
    expected = cases.to_numpy(keras.random.uniform((3,), seed=first))
    checkpoints.load(tmp_path / "c", [second.state])
    found = cases.to_numpy(keras.random.uniform((3,), seed=second))
    np.testing.assert_array_equal(found, expected)


def assert_refused(path):
    """One line that names the file, and no variable has changed."""
    found = blank()
    with pytest.raises(CheckpointError) as error:
        checkpoints.load(path, found)
    message = str(error.value)
    assert message.startswith(f"{path}: ") and len(message) < 1000
    assert "\n" not in message and message.isprintable()
    assert_values(found, [np.ones_like(value) for value in VALUES.values()])
    return message


def test_a_file_cut_anywhere_is_refused(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 11):
        path.write_bytes(whole[:length])
        assert_refused(path)


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_a_changed_byte_is_refused_or_of_no_account(flip, path):
    """As is the time that a zip file notes for its members."""
    whole, found, refused = path.read_bytes(), variables(), 0
    assert len(whole) > 2000
    for offset in range(flip % 7, len(whole), 7):
        changed = bytearray(whole)
        changed[offset] ^= flip
        path.write_bytes(changed)
        try:
            state = checkpoints.load(path, found)
        except CheckpointError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ")
        else:
            assert state == STATE
        assert_values(found)
    assert refused > 200


@pytest.mark.parametrize(
    "content",
    [b"", b"no checkpoint\n" * 99, b"PK\x05\x06" + bytes(18), b"\x93NUMPY"],
    ids=["empty", "text", "empty archive", "array"],
)
def test_a_file_of_another_kind(content, path):
    path.write_bytes(content)
    assert "damaged, or no checkpoint" in assert_refused(path)
    with pytest.raises(CheckpointError, match="damaged, or no checkpoint"):
        checkpoints.read_state(path)


def test_what_is_no_file(tmp_path):
    missing = tmp_path / "last.npz"
    assert assert_refused(missing) == f"{missing}: no such file."
    assert assert_refused(tmp_path).endswith("cannot be read: Is a directory.")


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_that_are_packed_in_another_way(kind, path):
    """Their packers unpack without a bound."""
    pack(path, unpack(path).items(), kind)
    assert "damaged, or no checkpoint" in assert_refused(path)


def test_bytes_before_a_checkpoint(path):
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert "bytes that belong to no member" in assert_refused(path)


def test_a_pipe_is_not_waited_for(path):
    path.unlink()
    os.mkfifo(path)
    assert assert_refused(path).endswith("cannot be read: not a regular file.")


def unpack(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path, members, compression=zipfile.ZIP_STORED):
    """Writes an archive that is whole in itself."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)


def array_bytes(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), **options)
    return file.getvalue()


def test_an_archive_written_anew_loads(path):
    pack(path, unpack(path).items())
    found = blank()
    assert checkpoints.load(path, found) == STATE
    assert_values(found)


def test_values_that_were_not_saved_are_told_by_the_digest(path):
    members = unpack(path)
    changed = VALUES["kernel"].copy()
    changed[2, 1] = 2.0000002
    members["000/kernel.npy"] = array_bytes(changed)
    pack(path, members.items())
    assert assert_refused(path).endswith("is not what was saved.")


def test_a_state_that_was_not_saved_is_told_by_the_digest(path):
    members = unpack(path)
    header = json.loads(members["state.json"])
    header["state"]["progress"]["best"] = 2.4
    members["state.json"] = json.dumps(header)
    pack(path, members.items())
    assert assert_refused(path).endswith("is not what was saved.")


def with_arrays(**arrays):
    def change(members):
        for name, array in arrays.items():
            key = next(key for key in members if key.endswith(f"/{name}.npy"))
            members[key] = array_bytes(array)
        return members.items()

    return change


def in_another_order(members):
    names = list(members)
    names[0], names[1] = names[1], names[0]
    return [(name, members[name]) for name in names]


def without(name):
    return lambda members: [
        (key, x) for key, x in members.items() if key != name
    ]


def header_only(members):
    """A header that tells of more than there is."""
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (%d,)}" % 10**12
    text += b" " * (117 - len(text)) + b"\n"
    members["000/kernel.npy"] = (
        b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    )
    return members.items()


def deep_header(members):
    text = b"(" * 3000
    members["000/kernel.npy"] = (
        b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    )
    return members.items()


def twice(members):
    return [*members.items(), ("000/kernel.npy", members["000/kernel.npy"])]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (with_arrays(kernel=np.ones((3, 2))), "must be float32"),
        (with_arrays(kernel=np.ones((3, 2), "int32")), "must be float32"),
        (with_arrays(kernel=np.ones((2, 3), "float32")), r"float32\[3, 2\]"),
        (
            with_arrays(kernel=np.ones(6, "float32")),
            r"Received: float32\[6\]",
        ),
        (with_arrays(kernel=np.ones((3, 2), ">f4")), "must be float32"),
        (
            with_arrays(kernel=np.asfortranarray(np.ones((3, 2), "float32"))),
            "must be float32",
        ),
        (with_arrays(kernel=np.array(["x" * 6])), "must be float32"),
        (with_arrays(kernel=np.zeros((3, 2), "f4,f4")), "must be float32"),
        (with_arrays(iteration=np.int64(3)), "must be int32"),
        (header_only, "must be float32"),
        (deep_header, "damaged"),
        (in_another_order, "belongs to another model"),
        (without("000/kernel.npy"), "belongs to another model"),
        (without("006/empty.npy"), "belongs to another model"),
        (without("state.json"), "damaged"),
        (twice, "damaged, or no checkpoint: '000/kernel.npy' is there twice"),
        (
            lambda members: [*members.items(), ("more.npy", b"")],
            "Received: 8 arrays, in its place 'more.npy'",
        ),
    ],
)
@pytest.mark.parametrize(
    "compression",
    [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED],
    ids=["stored", "deflated"],
)
def test_an_archive_of_something_else(change, rule, compression, path):
    pack(path, change(unpack(path)), compression)
    assert re.search(rule, assert_refused(path))


@pytest.mark.parametrize("name", ["000/kernel.npy", "state.json"])
def test_a_few_bytes_that_unpack_to_many_are_not_unpacked(name, path):
    members = unpack(path)
    members[name] = members[name] + b" " * 2**25
    pack(path, members.items(), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**17
    assert_refused(path)


class Hostile:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_state_that_unpacks_to_more_than_it_says(path):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    honest = members["state.json"]
    members["state.json"] = honest + b" " * 2 * 10**7
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        number = list(members).index("state.json")
    data = bytearray(path.read_bytes())
    # 46 bytes of each entry of the directory stand before its name.
    before = sum(46 + len(name) for name in list(members)[:number])
    size = archive.start_dir + before + 24
    data[size : size + 4] = len(honest).to_bytes(4, "little")
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(checkpoints.CheckpointError, match="damaged"):
            checkpoints.read_state(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10**6


def test_no_pickle_is_loaded(path, tmp_path):
    trap = tmp_path / "sprung"
    hostile = np.empty((3, 2), object)
    hostile[:] = Hostile(trap)
    members = unpack(path)
    members["000/kernel.npy"] = array_bytes(hostile, allow_pickle=True)
    pack(path, members.items())
    assert "must be float32" in assert_refused(path)
    np.savez(path, kernel=hostile)
    assert_refused(path)
    path.write_bytes(array_bytes(hostile, allow_pickle=True))
    assert_refused(path)
    assert not trap.exists()
    np.load(path, allow_pickle=True)
    assert trap.exists()


def header(path, **changes):
    return json.dumps({**json.loads(unpack(path)["state.json"]), **changes})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff",
        b"null",
        b"3",
        b'"format"',
        b"[1, 2]",
        b"{}",
        b'{"format": 1}',
        b'{"format": 1, "sha256": "0"}',
        b'{"format": 1, "state": {}}',
        b'{"format": 1, "sha256": null, "state": {}}',
        b'{"format": 1, "sha256": "0", "state": []}',
        b'{"format": 1, "sha256": "0", "state": {"best": NaN}}',
        b'{"format": 1, "sha256": "0", "state": {"n": %s}}' % (b"9" * 9999),
    ],
)
def test_a_state_that_is_none(text, path):
    members = unpack(path)
    members["state.json"] = text
    pack(path, members.items())
    assert_refused(path)


@pytest.mark.parametrize("depth", [*range(800, 1000, 20), 10**5, 10**6])
def test_a_state_without_a_bottom(depth, path):
    members = unpack(path)
    bottomless = "[" * depth + "]" * depth
    members["state.json"] = (
        f'{{"format": 1, "sha256": "0", "state": {{"a": {bottomless}}}}}'
    )
    pack(path, members.items())
    assert_refused(path)


@pytest.mark.parametrize("found", [0, 2, "1", None, [1], True, 1.0])
def test_another_format(found, path):
    members = unpack(path)
    members["state.json"] = header(path, format=found)
    pack(path, members.items())
    message = assert_refused(path)
    assert message.endswith(f"its format must be 1. Received: {found!r}")


def test_variables_of_another_model(path):
    with pytest.raises(CheckpointError, match="belongs to another model"):
        checkpoints.load(path, blank()[:-1])
    with pytest.raises(CheckpointError, match="belongs to another model"):
        checkpoints.load(path, blank()[::-1])
    renamed = {
        name.replace("mask", "veil"): value for name, value in VALUES.items()
    }
    with pytest.raises(CheckpointError, match="'004/veil.npy'.*'004/mask.npy'"):
        checkpoints.load(path, variables(renamed))


def test_numbers_that_keras_gives_to_names_do_not_count(tmp_path):
    first, second = (keras.layers.Dense(2) for _ in range(2))
    for layer in (first, second):
        layer.build((1, 3))
    assert first.kernel.path != second.kernel.path
    checkpoints.save(tmp_path / "c", first.weights, {})
    checkpoints.load(tmp_path / "c", second.weights)
    for left, right in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(
            cases.to_numpy(left), cases.to_numpy(right)
        )


@pytest.mark.parametrize("value", [math.nan, math.inf, {1}, b""])
def test_a_state_that_json_cannot_hold_leaves_the_old_file(value, path):
    whole = path.read_bytes()
    with pytest.raises((ValueError, TypeError)):
        checkpoints.save(path, blank(), {"best": value})
    assert path.read_bytes() == whole
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_full_disk_leaves_the_old_file(path):
    whole = path.read_bytes()
    for size in range(0, len(whole), 97):
        with disk_full_after(size), pytest.raises(OSError):
            checkpoints.save(path, blank(), STATE)
        assert path.read_bytes() == whole
        assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_that_may_not_be_read(path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checkpoints, "open_regular", refuse)
    with pytest.raises(CheckpointError, match="cannot be read: Permission"):
        checkpoints.load(path, blank())


@pytest.mark.parametrize("year", [1970, 2200])
def test_a_clock_that_is_beyond_what_a_zip_file_knows(year, path, monkeypatch):
    """It has no part in the bytes, either."""
    expected = path.read_bytes()
    seconds = (year - 1970) * 365.25 * 86400.0
    monkeypatch.setattr(time, "time", lambda: seconds)
    checkpoints.save(path, variables(), STATE)
    assert path.read_bytes() == expected
    assert checkpoints.read_state(path) == STATE
