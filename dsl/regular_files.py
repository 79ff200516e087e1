"""Files for reading that are files: no pipe blocks, no device fills memory."""

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


def _check_regular(state, path):
    if stat.S_ISREG(state.st_mode):
        return
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "not a regular file", path)


def _too_large(path, most):
    return OSError(errno.EFBIG, f"more than the {most} bytes allowed", path)
