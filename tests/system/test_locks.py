"""Locks between processes, on systems of all kinds."""

import errno
import importlib.util
import os
import sys
import threading

import pytest

from dsl.system import locks


class Windows:
    """What `msvcrt` does with locks, for this process alone."""

    LK_NBLCK, LK_UNLCK = 1, 2

    def __init__(self):
        self.held = set()

    def locking(self, handle, mode, count):
        assert count == 1
        state = os.fstat(handle)
        place = (state.st_ino, os.lseek(handle, 0, os.SEEK_CUR))
        if mode == self.LK_UNLCK:
            self.held.remove(place)
        elif place in self.held:
            raise OSError(errno.EACCES, "Permission denied")
        else:
            self.held.add(place)


@pytest.fixture(params=["fcntl", "msvcrt"])
def system(request, monkeypatch):
    """A system with locks."""
    if request.param == "msvcrt":
        monkeypatch.setattr(locks, "fcntl", None)
        monkeypatch.setattr(locks, "msvcrt", Windows())
    return request.param


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


def test_one_process_at_a_time(system, path):
    assert locks.available()
    lock = locks.Lock(path)
    assert path.read_text() == f"{os.getpid()}\n"
    for _ in range(2):
        with pytest.raises(locks.InUseError) as error:
            locks.Lock(path)
        assert error.value.owner == str(os.getpid())
    lock.release()
    lock.release()
    again = locks.Lock(path)
    again.release(remove=True)
    assert not path.exists()


def test_what_the_last_owner_wrote_is_replaced(system, path):
    path.write_text("123456789012345\n")
    lock = locks.Lock(path)
    assert path.read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_lock_goes_with_its_folder(system, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    lock = locks.Lock(old / "lock")
    lock.move(old, new)
    assert not old.exists() and lock.path == new / "lock"
    with pytest.raises(locks.InUseError):
        locks.Lock(new / "lock")
    lock.release(remove=True)
    assert list(new.iterdir()) == []


def test_a_lock_that_is_waited_for(system, path):
    """It is there while it is held, and then gone."""
    # Windows removes no file that another process has open; this system does.
    remove = system == "fcntl"
    first, done, told = locks.Lock(path), [], []

    def work():
        with locks.holding(path, told.append):
            done.append(path.exists())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(0.3)
    assert (told, done) == ([str(os.getpid())], [])
    first.release(remove)
    thread.join(20)
    assert done == [True] and not path.exists()


def test_a_lock_that_was_removed_meanwhile_is_none(path, monkeypatch):
    acquire, removed = locks._acquire, []

    def remove_first(*args):
        if not removed:
            removed.append(path.unlink())
        acquire(*args)

    monkeypatch.setattr(locks, "_acquire", remove_first)
    lock = locks.Lock(path)
    assert removed and path.read_text() == f"{os.getpid()}\n"
    with pytest.raises(locks.InUseError):
        locks.Lock(path)
    lock.release()


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("link", "must be a lock, and is a link"),
        ("broken link", "must be a lock, and is a link"),
        ("loop", "must be a lock, and is a link"),
        ("folder", "Is a directory"),
        ("pipe", "must be a lock, and is not a regular file"),
        ("text", "must be a lock, and holds something else"),
        ("number", "must be a lock, and holds something else"),
    ],
)
def test_what_is_no_lock_is_left_alone(kind, rule, path, tmp_path):
    other = tmp_path / "other"
    make = {
        "link": lambda: path.symlink_to(other),
        "broken link": lambda: path.symlink_to(tmp_path / "nowhere"),
        "loop": lambda: path.symlink_to(path),
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "text": lambda: path.write_text("12\nmine"),
        "number": lambda: path.write_text("1" * 21),
    }
    other.write_text("mine")
    make[kind]()
    for wait in (False, True):
        with pytest.raises(OSError) as error:
            locks.Lock(path, wait)
        assert error.value.strerror == rule
        assert error.value.filename == str(path)
    assert other.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    if kind in ("text", "number"):
        assert path.read_text() in ("12\nmine", "1" * 21)


def test_a_file_with_another_name_too_is_held_and_not_written(path, tmp_path):
    other = tmp_path / "other"
    other.write_text("4711\n")
    os.link(other, path)
    lock = locks.Lock(path)
    assert other.read_text() == "4711\n"
    with pytest.raises(locks.InUseError, match="4711"):
        locks.Lock(path)
    lock.release()


def test_a_system_without_locks(path, monkeypatch):
    for name in ("fcntl", "msvcrt"):
        monkeypatch.setattr(locks, name, None)
    assert not locks.available()
    first, second = locks.Lock(path), locks.Lock(path)
    first.release(remove=True)
    second.release(remove=True)
    assert not path.exists()


def test_the_module_loads_without_what_systems_lack(monkeypatch):
    for name in ("fcntl", "msvcrt"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"):
        monkeypatch.delattr(os, name)
    spec = importlib.util.spec_from_file_location("other", locks.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert not module.available()
