"""Files and folders that are made or replaced as a whole, or not at all."""

import contextlib
import errno
import os
import re
import secrets
import shutil
from pathlib import Path

from dsl.system import locks

# What a killed process leaves of a folder, and of a file, earlier ones too.
_UNFINISHED_FOLDER = re.compile(r"\..+\.[0-9a-f]{16}\.new")
_UNFINISHED_FILE = r"\.({})\.([0-9]+|[0-9a-f]{{16}})\.tmp"


@contextlib.contextmanager
def replacing(path):
    """Opens a new file that takes the place of `path` once it is complete.

    Whatever happens on the way, a killed process or a full disk, leaves the
    old file or the new one. The new one is on the disk before it counts. In
    the place of a link it takes the link's, and leaves alone where that led.

    Args:
        path: The file to write, in a folder that exists.

    Yields:
        A binary file, open for writing.

    Raises:
        OSError: If the file cannot be written; it names `path`. One of the
            block that names another file, or is none of the system's, stays.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    made = False
    try:
        with _naming(path, temporary):
            # A file of that name, or a link, is nobody's but this process's.
            with open(temporary, "xb") as file:
                made = True
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
    finally:
        if made:
            temporary.unlink(missing_ok=True)


def duplicate(source, target):
    """Gives a file a second name, in the place of what had it.

    Only for files that are replaced and never written into: both names may
    be those of one file.

    Args:
        source: The file.
        target: Its second name, in a folder of the same disk.

    Raises:
        OSError: If it cannot be written; it names `target`.
    """
    target = Path(target)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        os.link(source, temporary)
    except OSError:  # Not every disk can, and a copy does as well.
        with open(source, "rb") as old, replacing(target) as new:
            shutil.copyfileobj(old, new)
        return
    try:
        with _naming(target, temporary):
            os.replace(temporary, target)
            sync_folder(target.parent)
    finally:
        # Of two names of one file, `os.replace` leaves both.
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder, names):
    """Deletes what killed processes were writing by `replacing`.

    Args:
        folder: The folder, in which no other process writes.
        names: Those of the files that it was to replace.
    """
    for entry in list(os.scandir(folder)):
        if _is_unfinished(entry, names):
            os.unlink(entry.path)


def make_folder(path, names, fill):
    """Makes a folder that gets its name once it is complete, and locks it.

    What was killed on the way is deleted by the next call that makes a folder
    beside it. Nobody else's file is.

    Args:
        path: The folder, which does not exist.
        names: Those of all files that `fill` writes, by `replacing`, and of
            the folders that it makes in it and leaves empty.
        fill: Function of the path of the folder that will be renamed.

    Returns:
        The `dsl.system.locks.Lock`, of the file `lock` in the folder.

    Raises:
        OSError: If it cannot be made; nothing is left of it.
    """
    path, lock, unfinished = Path(path), None, None
    missing = [x for x in (path.parent, *path.parent.parents) if _is_free(x)]
    made = False
    try:
        sweep(path.parent, names)
        unfinished, lock = _start(path)
        fill(unfinished)
        lock.move(unfinished, path)
        sync_folder(path.parent)
        made = True
    finally:
        if not made:
            if lock is not None:
                _remove(unfinished, lock)
            _remove_empty(missing)
    return lock


def sweep(parent, names):
    """Deletes folders that a killed `make_folder` has left.

    One that somebody holds stays, and so does one with anything in it that
    is not what `make_folder` puts there, or without the lock that it puts
    there first.

    Args:
        parent: Where they lie; it may be missing.
        names: As those of `make_folder`.
    """
    if not locks.available():
        return
    found = []
    # What cannot be read, or deleted, is in nobody's way.
    with contextlib.suppress(OSError):
        found = list(os.scandir(parent))
    for entry in found:
        if not _UNFINISHED_FOLDER.fullmatch(entry.name):
            continue
        with contextlib.suppress(OSError, locks.InUseError):
            if entry.is_dir(follow_symlinks=False):
                _sweep_folder(Path(entry.path), [*names, locks.NAME])


def check_no_link(path):
    """Raises an OSError, which names the path, if it is a link."""
    if os.path.islink(path):
        raise OSError(
            errno.EINVAL, "must belong to the folder, and is a link", str(path)
        )


def sync_folder(folder):
    """Makes new names in a folder as lasting as the files."""
    if os.name == "nt":  # There no folder can be opened.
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _naming(path, temporary):
    """Makes errors of a file name it, and not what it is called meanwhile."""
    try:
        yield
    except OSError as error:
        # Writing to an open file names none, and neither does what is no
        # error of the system.
        name = error.filename
        if error.errno is None or name not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _start(path):
    """A new folder to fill, and its lock."""
    while True:
        # Another name at each start: what a killed one left is in no way.
        new = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
        lock = None
        try:
            new.mkdir(parents=True)
            # Another process may sweep it until it is locked.
            with contextlib.suppress(FileNotFoundError, locks.InUseError):
                lock = locks.Lock(new / locks.NAME)
                return new, lock
        finally:
            if lock is None:
                shutil.rmtree(new, ignore_errors=True)


def _sweep_folder(folder, names):
    if not _is_swept(folder, names):
        return
    lock = locks.Lock(folder / locks.NAME)
    try:
        # Looked at again, now that nobody else fills it.
        if _is_swept(folder, names):
            for entry in list(os.scandir(folder)):
                if entry.is_dir(follow_symlinks=False):
                    os.rmdir(entry.path)
                elif entry.name != locks.NAME:
                    os.unlink(entry.path)
            lock.release(remove=True)
            folder.rmdir()
    finally:
        lock.release()


def _is_swept(folder, names):
    """Whether `make_folder` has put there all that is in it."""
    found = list(os.scandir(folder))
    expected = all(
        entry.name in names and not os.listdir(entry.path)
        if entry.is_dir(follow_symlinks=False)
        else _is_unfinished(entry, names)
        or (entry.name in names and entry.is_file(follow_symlinks=False))
        for entry in found
    )
    # The lock is there, with its owner, before anything else, and goes last.
    alone = {entry.name for entry in found} <= {locks.NAME}
    return expected and (alone or locks.has_owner(folder / locks.NAME))


def _remove(folder, lock):
    """Deletes a folder, its lock last: it tells whose the rest is."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != locks.NAME:
                os.unlink(entry.path)
        lock.release(remove=True)
        folder.rmdir()
    lock.release()


def _is_unfinished(entry, names):
    pattern = _UNFINISHED_FILE.format("|".join(map(re.escape, names)))
    return bool(
        re.fullmatch(pattern, entry.name)
        and entry.is_file(follow_symlinks=False)
    )


def _is_free(path):
    return not os.path.lexists(path)


def _remove_empty(folders):
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
