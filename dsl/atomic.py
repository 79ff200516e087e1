"""Files that are replaced as a whole, or not at all."""

import contextlib
import os
from pathlib import Path


@contextlib.contextmanager
def replacing(path):
    """Opens a new file that takes the place of `path` once it is complete.

    Whatever happens on the way, a killed process or a full disk, leaves the
    old file or the new one. The new one is on the disk before it counts.

    Args:
        path: The file to write, in a folder that exists.

    Yields:
        A binary file, open for writing.

    Raises:
        OSError: If the file cannot be written; it names `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        # Writing to an open file names none.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder):
    """Deletes what a killed process was writing below a folder."""
    for path in Path(folder).rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def _sync_folder(folder):
    """Makes the new name as lasting as the file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
