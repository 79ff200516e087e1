"""Files that are replaced as a whole, or not at all."""

import errno
import os
import secrets
import shutil
import subprocess
import sys

import pytest
from small_files import disk_full_after

from dsl.system import atomic, locks


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


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (OSError("some text"), None),
        (OSError(errno.ENOENT, "No such file", "another"), "another"),
        (OSError(errno.ENOSPC, "No space left on device"), "file"),
    ],
)
def test_an_error_names_the_file_where_it_names_none(error, name, path):
    with pytest.raises(OSError) as caught, atomic.replacing(path):
        raise error
    found = caught.value
    assert found.args == error.args
    expected = str(path) if name == "file" else name
    assert found.filename == expected
    assert_only(path, b"old")


@pytest.mark.parametrize("target", ["nowhere/file", "folder"])
def test_an_error_does_not_name_what_the_file_is_called_meanwhile(
    target, tmp_path
):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as caught:
        with atomic.replacing(tmp_path / target):
            pass
    assert caught.value.filename == str(tmp_path / target)
    assert caught.value.filename2 is None


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
from dsl.system import atomic
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
    assert path.read_bytes() == b"old"
    assert len(list(path.parent.rglob(".*.tmp"))) == 2
    for folder in (path.parent, below):
        atomic.remove_unfinished(folder, ["file", "another"])
    names = {file.name for file in path.parent.rglob("*")}
    assert names == {"file", "a", "b"}


# What an earlier version left is told by the number of its process.
OURS = (".file.0123456789abcdef.tmp", ".file.4711.tmp")
NOT_OURS = (
    ".file.tmp",
    ".file.0123456789abcdef0.tmp",
    ".file.notes.tmp",
    ".files.0123456789abcdef.tmp",
    ".mine.4711.tmp",
    ".x.tmp",
    "file.4711.tmp",
    ".hidden",
)


def test_files_of_others_stay(path):
    for name in (*OURS, *NOT_OURS):
        path.with_name(name).write_text("mine")
    path.with_name(".file.1.tmp").symlink_to(path)
    path.with_name(".file.2.tmp").mkdir()
    atomic.remove_unfinished(path.parent, ["file"])
    names = {file.name for file in path.parent.iterdir()}
    assert names == {"file", ".file.1.tmp", ".file.2.tmp", *NOT_OURS}


@pytest.mark.parametrize("random", [True, False])
def test_nothing_is_written_through_a_link(random, path, monkeypatch):
    """Of the file, or of the one that is to take its place."""
    name = OURS[0] if random else f".file.{os.getpid()}.tmp"
    monkeypatch.setattr(secrets, "token_hex", lambda n: "0123456789abcdef")
    other = path.with_name("other")
    other.write_bytes(b"mine")
    link = path.with_name(name)
    link.symlink_to(other)
    try:
        with atomic.replacing(path) as file:
            file.write(b"new")
    except FileExistsError as error:
        assert error.filename == str(path)
    assert other.read_bytes() == b"mine" and link.is_symlink()
    link.unlink()
    path.unlink()
    path.symlink_to(other)
    with atomic.replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new" and not path.is_symlink()
    assert other.read_bytes() == b"mine"


# A second name.


def no_links(source, target):
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False])
def test_a_second_name_outlives_the_first(links, path, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    second = path.with_name("second")
    for content in (b"old", b"new"):
        with atomic.replacing(path) as file:
            file.write(content)
        atomic.duplicate(path, second)
        atomic.duplicate(path, second)
        assert second.read_bytes() == content
        assert os.path.samefile(path, second) == links
        with atomic.replacing(path) as file:
            file.write(b"third")
        assert second.read_bytes() == content
    names = {file.name for file in path.parent.iterdir()}
    assert names == {"file", "second"}


@pytest.mark.parametrize("links", [True, False])
def test_a_second_name_that_cannot_be_given(links, path, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    second = path.with_name("second")
    with pytest.raises(OSError, match="No space") as error:
        atomic.duplicate(path, second)
    assert error.value.filename == str(second)
    assert_only(path, b"old")


# Folders.

NAMES = ("config.json", "checkpoints")


def fill(folder):
    (folder / "checkpoints").mkdir()
    with atomic.replacing(folder / "config.json") as file:
        file.write(b"{}")


def test_a_folder_is_made_whole_and_held(tmp_path):
    path = tmp_path / "runs" / "name"
    lock = atomic.make_folder(path, NAMES, fill)
    names = {one.name for one in path.iterdir()}
    assert names == {"checkpoints", "config.json", "lock"}
    assert [one.name for one in path.parent.iterdir()] == ["name"]
    with pytest.raises(locks.InUseError):
        locks.Lock(path / "lock")
    lock.release()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_folder_that_fails_leaves_nothing(error, tmp_path):
    def fail(folder):
        fill(folder)
        raise error

    with pytest.raises(error):
        atomic.make_folder(tmp_path / "a" / "b" / "name", NAMES, fail)
    assert not any(tmp_path.iterdir())
    (tmp_path / "name" / "full").mkdir(parents=True)
    with pytest.raises(OSError):
        atomic.make_folder(tmp_path / "name", NAMES, fill)
    assert [one.name for one in tmp_path.iterdir()] == ["name"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("name", ["_write", "_acquire"])
def test_a_folder_that_cannot_be_locked_leaves_nothing(
    name, error, tmp_path, monkeypatch
):
    def fail(*args):
        raise error

    monkeypatch.setattr(locks, name, fail)
    with pytest.raises(error):
        atomic.make_folder(tmp_path / "a" / "name", NAMES, fill)
    assert not any(tmp_path.iterdir())


KILLED_FOLDER = """
import os, signal, sys
from dsl.system import atomic, locks

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

moment, path = sys.argv[1:]
if moment == "lock":
    locks.Lock = die
elif moment == "move":
    locks.Lock.move = die
def fill(folder):
    os.mkdir(folder / "checkpoints")
    with atomic.replacing(folder / "config.json"):
        die() if moment == "write" else None
atomic.make_folder(path, ("config.json", "checkpoints"), fill)
"""


def unfinished(folder):
    return sorted(one.name for one in folder.glob(".*"))


@pytest.mark.parametrize("moment", ["lock", "write", "move"])
def test_what_a_kill_leaves_of_a_folder_goes_at_the_next_start(
    moment, tmp_path
):
    done = subprocess.run(
        [sys.executable, "-c", KILLED_FOLDER, moment, str(tmp_path / "killed")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == -9
    (name,) = unfinished(tmp_path)
    assert name.startswith(".killed.") and name.endswith(".new")
    # Somebody holds it.
    lock = locks.Lock(tmp_path / name / "lock")
    atomic.sweep(tmp_path, NAMES)
    assert unfinished(tmp_path) == [name]
    lock.release()
    atomic.make_folder(tmp_path / "other", NAMES, fill).release()
    assert [one.name for one in tmp_path.iterdir()] == ["other"]


KILLED_AT = """
import os, signal, sys
from dsl.system import atomic

NAMES = "config.json", "checkpoints"
scandir = os.scandir

class LockFirst:  # The order of a folder is the choice of the system.
    def __init__(self, folder):
        with scandir(folder) as entries:
            self.found = sorted(entries, key=lambda one: one.name != "lock")
    def __enter__(self):
        return self
    def __exit__(self, *_):
        pass
    def __iter__(self):
        return iter(self.found)

os.scandir = LockFirst
TOLD = "open", "os.", "fcntl.", "shutil."

def kill_at(moment):
    left = [moment]
    def hook(event, _):
        left[0] -= event.startswith(TOLD)
        if left[0] == -1:  # Once: to kill is such an event too.
            left[0] -= 1
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

def make(parent, moment, fails):
    old = parent + "/.old.0123456789abcdef.new"
    os.makedirs(old + "/checkpoints")
    for name, content in ("lock", "1\\n"), ("config.json", "{}"):
        with open(f"{old}/{name}", "w") as file:
            file.write(content)
    def fill(folder):
        os.mkdir(folder / "checkpoints")
        with atomic.replacing(folder / "config.json"):
            pass
        if fails:
            raise ValueError
    kill_at(moment)
    try:
        atomic.make_folder(parent + "/new", NAMES, fill)
    except ValueError:
        pass
    os._exit(0)

for fails in (False, True):
    for moment in range(1000):
        parent = f"{sys.argv[1]}/{fails}-{moment}"
        child = os.fork() or make(parent, moment, fails)
        _, status = os.waitpid(child, 0)
        if status != signal.SIGKILL:
            break
    print(status, moment)
"""


def test_what_a_kill_at_any_moment_leaves_of_a_folder_goes(tmp_path):
    """Of one that is filled, deleted after an error, or swept."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    status, first, other, second = map(int, done.stdout.split())
    assert status == other == 0 and 20 < first < second < 200
    for parent in list(tmp_path.iterdir()):
        atomic.sweep(parent, NAMES)
        assert unfinished(parent) == [], parent.name


def test_a_folder_of_others_is_not_swept(tmp_path, monkeypatch):
    name = ".name.0123456789abcdef.new"

    def left(parent, lock="4711\n"):
        folder = parent / name
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "config.json").touch()
        if lock is not None:
            (folder / "lock").write_text(lock)
        return folder

    whole = left(tmp_path / "whole")
    folders = [left(tmp_path / str(n)) for n in range(4)]
    (folders[0] / "mine").touch()
    (folders[1] / "checkpoints" / "mine").touch()
    (folders[2] / "config.json").unlink()
    (folders[2] / "config.json").symlink_to(tmp_path)
    folders[3].rename(folders[3].with_name(".name.new"))
    (tmp_path / "4").mkdir()
    (tmp_path / "4" / name).symlink_to(whole)
    # Its lock is none, is nobody's, or is another file.
    for n, lock in enumerate((None, "", "mine", "4711\nmine", "47 11\n")):
        left(tmp_path / f"lock-{n}", lock)
    (left(tmp_path / "link", None) / "lock").symlink_to(whole / "lock")
    (left(tmp_path / "folder", None) / "lock").mkdir()
    before = {str(one) for one in tmp_path.rglob("*")}
    for parent in tmp_path.iterdir():
        if parent.name != "whole":
            atomic.sweep(parent, NAMES)
    assert {str(one) for one in tmp_path.rglob("*")} == before
    # Nobody can tell who holds it.
    with monkeypatch.context() as patch:
        patch.setattr(locks, "available", lambda: False)
        atomic.sweep(whole.parent, NAMES)
    assert whole.exists()
    atomic.sweep(whole.parent, NAMES)
    assert not whole.exists()
    atomic.sweep(tmp_path / "nowhere", NAMES)


def test_a_start_that_is_swept_begins_anew(tmp_path, monkeypatch):
    """Between the folder and its lock, nobody holds it."""
    lock, swept = locks.Lock, []

    def sweep_first(path):
        if not swept:
            swept.append(shutil.rmtree(path.parent))
        return lock(path)

    monkeypatch.setattr(locks, "Lock", sweep_first)
    atomic.make_folder(tmp_path / "name", NAMES, fill).release()
    assert swept and [one.name for one in tmp_path.iterdir()] == ["name"]
