"""Files that are replaced as a whole, or not at all."""

import os
import subprocess
import sys

import pytest
from small_files import disk_full_after

from dsl import atomic


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


def assert_only(path, content):
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_new_file_takes_the_place_of_the_old(path):
    with atomic.replacing(str(path)) as file:
        file.write(b"new and longer")
        file.flush()
        assert path.read_bytes() == b"old"
    assert_only(path, b"new and longer")
    path.unlink()
    with atomic.replacing(path) as file:
        file.write(b"first")
    assert_only(path, b"first")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_what_fails_leaves_the_old_file(error, path):
    with pytest.raises(error), atomic.replacing(path) as file:
        file.write(b"new")
        raise error
    assert_only(path, b"old")


@pytest.mark.parametrize("name", ["replace", "fsync", "open"])
def test_a_call_that_fails_leaves_the_old_file_or_the_new(
    name, path, monkeypatch
):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, name, fail)
    with pytest.raises(OSError, match="No space"):
        with atomic.replacing(path) as file:
            file.write(b"new")
    # The folder alone is opened by `os.open`, when the new file is there.
    assert_only(path, b"new" if name == "open" else b"old")


@pytest.mark.parametrize("size", [0, 3, 4999])
def test_a_full_disk_leaves_the_old_file(size, path):
    with pytest.raises(OSError), disk_full_after(size):
        with atomic.replacing(path) as file:
            file.write(bytes(5000))
    assert_only(path, b"old")


def test_the_file_is_on_the_disk_before_it_counts(path, monkeypatch):
    done = []

    def noting(name):
        call = getattr(os, name)

        def note(*args):
            done.append(name)
            return call(*args)

        monkeypatch.setattr(os, name, note)

    noting("fsync")
    noting("replace")
    with atomic.replacing(path) as file:
        file.write(b"new")
    assert done == ["fsync", "replace", "fsync"]


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        with atomic.replacing(tmp_path / "nowhere" / "file"):
            pass
    assert not any(tmp_path.iterdir())


KILLED = """
import os, signal, sys
from dsl import atomic
with atomic.replacing(sys.argv[1]) as file:
    file.write(b"new")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_was_writing_can_be_removed(path):
    below = path.parent / "a" / "b"
    below.mkdir(parents=True)
    for target in (path, below / "file"):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(target)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.returncode == -9
    (path.parent / ".hidden").touch()
    (path.parent / "mine.tmp").touch()
    assert path.read_bytes() == b"old"
    assert len(list(path.parent.rglob(".*.tmp"))) == 2
    atomic.remove_unfinished(path.parent)
    names = {file.name for file in path.parent.rglob("*")}
    assert names == {"file", "a", "b", ".hidden", "mine.tmp"}
