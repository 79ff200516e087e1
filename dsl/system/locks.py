"""Locks between processes, which end with the process, however that ends.

A lock is a small file that holds the number of the process that holds it.
Where a system has no locks, nothing is held, and `available` says so.
"""

import contextlib
import errno
import os
import re
import stat
import time
from pathlib import Path

from dsl.system.regular_files import open_regular

try:
    import fcntl
except ImportError:  # As on Windows.
    fcntl = None
try:
    import msvcrt
except ImportError:  # It is for Windows alone.
    msvcrt = None

NAME = "lock"
_CONTENT = re.compile(rb"[0-9]{0,20}\n?")
_MOST = 32  # bytes that are read of it
_NOBODY = "unknown"
# Of a lock on Windows, which keeps others from reading what is locked.
_LOCKED_BYTE = 2**30
# Absent on some systems.
_FLAGS = os.O_RDWR | os.O_CREAT
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)


class InUseError(Exception):
    """Another process holds a lock.

    Args:
        owner: What the lock says of it.
    """

    def __init__(self, owner):
        super().__init__(owner)
        self.owner = owner


def available():
    """Whether this system has locks."""
    return fcntl is not None or msvcrt is not None


class Lock:
    """A file that one process at a time holds.

    Nothing but such a file is written: a link, or a file that holds anything
    but the number of a process, is refused and left alone.

    Args:
        path: The file, made if it is missing.
        wait: Whether to wait for the process that holds it.

    Raises:
        InUseError: If another process holds it.
        OSError: If it is no such file, or cannot be opened; it names `path`.
    """

    def __init__(self, path, wait=False):
        self.path = Path(path)
        self._handle = None
        while self._handle is None:
            handle = _open(self.path)
            try:
                owner = _read(handle, self.path)
                _acquire(handle, wait, owner)
                # Whoever held it may have removed it meanwhile.
                if _is_at(handle, self.path):
                    _write(handle)
                    self._handle, handle = handle, None
            finally:
                if handle is not None:
                    os.close(handle)

    def release(self, remove=False):
        """Gives it free for others.

        Args:
            remove: Whether the file goes too.
        """
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        if remove and fcntl is not None:
            self.path.unlink(missing_ok=True)
        if msvcrt is not None:
            os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
        os.close(handle)
        if remove and fcntl is None:
            # There an open file stays, and one that others have open too.
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)

    def move(self, folder, target):
        """Renames the folder that it lies in; it stays held.

        Args:
            folder: Path of the folder.
            target: Its new path.
        """
        path = target / self.path.relative_to(folder)
        if fcntl is None:  # There an open file keeps its folder in its place.
            self.release()
            os.rename(folder, target)
            self._handle = Lock(path)._give_up()
        else:
            os.rename(folder, target)
        self.path = path

    def _give_up(self):
        handle, self._handle = self._handle, None
        return handle


def has_owner(path):
    """Whether a lock names the process that holds it, or held it last.

    Args:
        path: The file, of which nothing changes.

    Raises:
        OSError: If it cannot be read, or is no lock; it names `path`.
    """
    with open_regular(path) as file:
        return _read(file.fileno(), path) != _NOBODY


@contextlib.contextmanager
def holding(path, on_wait):
    """Holds a lock that is there for the block alone.

    Args:
        path: The file, made here and removed at the end.
        on_wait: Called with what the lock says of its owner before waiting
            for another process.
    """
    try:
        lock = Lock(path)
    except InUseError as error:
        on_wait(error.owner)
        lock = Lock(path, wait=True)
    try:
        yield
    finally:
        lock.release(remove=True)


def _open(path):
    if path.is_symlink():
        raise _refusal(path, "must be a lock, and is a link")
    handle = os.open(path, _FLAGS, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _refusal(path, "must be a lock, and is not a regular file")
    return handle


def _read(handle, path):
    """What it says of its owner."""
    content = os.read(handle, _MOST)
    if not _CONTENT.fullmatch(content):
        raise _refusal(path, "must be a lock, and holds something else")
    return content.decode().strip() or _NOBODY


def _write(handle):
    # What has another name too may belong to another folder.
    if os.fstat(handle).st_nlink == 1:
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, f"{os.getpid()}\n".encode())


def _acquire(handle, wait, owner):
    try:
        if fcntl is not None:
            how = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
            fcntl.flock(handle, how)
        elif msvcrt is not None:
            _acquire_byte(handle, wait)
    except BlockingIOError:
        raise InUseError(owner) from None


def _acquire_byte(handle, wait):
    while True:
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            return
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EDEADLK):
                raise
            if not wait:
                raise BlockingIOError from error
            time.sleep(0.1)


def _is_at(handle, path):
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    return False


def _refusal(path, rule):
    return OSError(errno.EINVAL, rule, str(path))
