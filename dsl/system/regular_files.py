"""Files that are regular ones: no pipe blocks, no device fills memory."""

import errno
import os
import stat

# Absent on some systems, where opening a file never waits.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


def open_regular(path, most=None):
    """Opens a regular file, or a link to one, to read its bytes.

    A pipe, a device or a socket is refused before it is opened: to open one
    may wait for ever, and to read one may never end. That it still is a
    regular file, and how large it is, is asked of the file that was opened.

    Args:
        path: The file.
        most: Largest number of bytes that it may have; None for any.

    Returns:
        A binary file, open for reading.

    Raises:
        OSError: If there is no such file, it cannot be opened, is not a
            regular file or is too large; it names `path`, and says in
            `strerror` what is wrong.
    """
    path = os.fspath(path)
    _check_regular(os.stat(path), path)
    handle = os.open(path, _FLAGS)
    try:
        state = os.fstat(handle)
        _check_regular(state, path)
        if most is not None and state.st_size > most:
            raise _too_large(path, most)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path, most):
    """Reads a regular file; arguments and errors as `open_regular`."""
    with open_regular(path, most) as file:
        content = file.read(most + 1)
    if len(content) > most:  # It has grown meanwhile, or has no size at all.
        raise _too_large(os.fspath(path), most)
    return content


def append_regular(path):
    """Opens a regular file, made if it is missing, to add to its end.

    Args:
        path: The file. A link is not followed: what it leads to is another's.

    Returns:
        A binary file, open for writing.

    Raises:
        OSError: As `open_regular`; or if it is a link.
    """
    path = os.fspath(path)
    if os.path.lexists(path):
        _check_own(os.lstat(path), path)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    flags |= getattr(os, "O_NOFOLLOW", 0) | _FLAGS
    handle = os.open(path, flags, 0o666)
    try:
        _check_regular(os.fstat(handle), path)
        return os.fdopen(handle, "ab")
    except BaseException:
        os.close(handle)
        raise


def check_writable(path):
    """Raises an OSError if what is there is not a regular file.

    A link to a regular file is one: who names it means that file.

    Args:
        path: The file to write; none need be there.
    """
    path = os.fspath(path)
    if os.path.exists(path):
        _check_regular(os.stat(path), path)


def _check_own(state, path):
    if stat.S_ISLNK(state.st_mode):
        rule = "must be a file of its own, and is a link"
        raise OSError(errno.ELOOP, rule, path)
    _check_regular(state, path)


def _check_regular(state, path):
    if stat.S_ISREG(state.st_mode):
        return
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "not a regular file", path)


def _too_large(path, most):
    return OSError(errno.EFBIG, f"more than the {most} bytes allowed", path)
