"""Downloads that give up early, and writing that leaves no half files."""

import gzip
import http.client
import io
import posixpath
import queue
import tarfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from pathlib import Path

from dsl.datasets.errors import DataError
from dsl.system.atomic import replacing

_ANSWER_SECONDS = 4.0
_TOTAL_SECONDS = 300.0
_MAX_BYTES = 1 << 28
_MAX_UNPACKED = 1 << 29  # All that an archive holds.
_CHUNK = 1 << 16


def fetch(
    url: str,
    *,
    answer_seconds: float = _ANSWER_SECONDS,
    total_seconds: float = _TOTAL_SECONDS,
    max_bytes: int = _MAX_BYTES,
) -> bytes:
    """Downloads one file into memory.

    Args:
        url: An `http` or `https` address.
        answer_seconds: Time until the server's answer begins; also the
            longest silence in the middle of the file.
        total_seconds: Time for the whole file.
        max_bytes: Largest size that is accepted.

    Returns:
        The bytes of the file.

    Raises:
        DataError: If the address cannot be reached in time, if the server
            refuses, or if the file is cut short or too large.
    """
    start = time.monotonic()
    chunks = []
    size = 0
    try:
        with _open(url, answer_seconds) as response:
            header = response.headers.get("Content-Length")
            expected = None if header is None else int(header)
            while chunk := response.read1(_CHUNK):
                chunks.append(chunk)
                size += len(chunk)
                if size > max_bytes:
                    raise DataError(f"{url} is larger than {max_bytes} bytes")
                if time.monotonic() - start > total_seconds:
                    raise DataError(
                        f"{url} took longer than {total_seconds:g} s"
                    )
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{url} could not be read: {_line(error)}") from None
    if expected is not None and size != expected:
        raise DataError(
            f"{url} must have {expected} bytes. Received: {size} bytes"
        )
    return b"".join(chunks)


def _open(url: str, seconds: float) -> http.client.HTTPResponse:
    """Opens an address within the given time, look-up of the name included.

    The time limit of a socket holds for each of a server's addresses in turn
    and not at all for the name service, so a thread does the opening and this
    one waits for it.
    """
    if not url.startswith(("http://", "https://")):
        raise DataError(f"{url} must be an http or https address")
    answers: queue.SimpleQueue = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=seconds))
        except (OSError, http.client.HTTPException, ValueError) as error:
            answers.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise DataError(f"{url} gave no answer in {seconds:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def read_members(
    archive: bytes, names: Mapping[str, str], *, max_bytes: int = _MAX_BYTES
) -> dict[str, bytes]:
    """Reads chosen files out of a packed tar archive, in memory.

    Nothing is unpacked to disk, so no name in the archive can reach it. A
    chosen file that is a link, or whose path is absolute or climbs up, is
    refused all the same.

    Args:
        archive: The bytes of a `.tgz` file.
        names: Key to path inside the archive, as `folder/file`.
        max_bytes: Largest size of one file.

    Returns:
        Key to content.

    Raises:
        DataError: If the archive is damaged, or a chosen file is missing,
            unsafe or too large.
    """
    wanted = {path: key for key, path in names.items()}
    basenames = {posixpath.basename(path) for path in wanted}
    found = {}
    try:
        # Read once from its start, as a stream, so that it can be bounded.
        unpacked = _Bounded(gzip.GzipFile(fileobj=io.BytesIO(archive)))
        with tarfile.open(fileobj=unpacked, mode="r|") as tar:
            for member in tar:
                if posixpath.basename(member.name) not in basenames:
                    continue
                _check_member(member, max_bytes)
                key = wanted.get(posixpath.normpath(member.name))
                if key is not None:
                    found[key] = tar.extractfile(member).read()
    except (
        *(tarfile.TarError, EOFError, OSError, zlib.error),
        # What the module raises over numbers, names and chains of heads.
        *(ArithmeticError, UnicodeError, RecursionError),
    ) as error:
        raise DataError(
            f"The archive must be a whole .tgz file. Received: {_line(error)}"
        ) from None
    missing = sorted(names[key] for key in names if key not in found)
    if missing:
        raise DataError(f"The archive must hold {', '.join(missing)}")
    return found


class _Bounded:
    """A file to read, which fails beyond all that an archive may hold."""

    def __init__(self, file):
        self._file = file
        self._left = _MAX_UNPACKED

    def read(self, size):
        """Reads so many bytes, or what is left."""
        content = self._file.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise tarfile.ReadError(f"more than {_MAX_UNPACKED} bytes in it")
        return content


def _check_member(member: tarfile.TarInfo, max_bytes: int) -> None:
    """Raises DataError for a member that is not a plain file in its place."""
    parts = member.name.split("/")
    if not member.isreg() or member.name.startswith("/") or ".." in parts:
        raise DataError(
            "A file of an archive must be a plain file with a path below the "
            f"archive's top. Received: {member.name!r}"
        )
    if member.size > max_bytes:
        raise DataError(
            f"A file of an archive must hold at most {max_bytes} bytes. "
            f"Received: {member.name!r} with {member.size} bytes"
        )


def write_atomic(path: Path, content: bytes) -> None:
    """Writes a file so that others see all of it or nothing.

    Args:
        path: The file; its folder is made if need be.
        content: The bytes.

    Raises:
        DataError: If the folder or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise DataError(
            f"{path} must be writable. Received: {_line(error)}"
        ) from None


def _line(error: Exception) -> str:
    """Says in one line what went wrong."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()  # It holds the connection.
        text = f"the server answered {error.code} {error.reason}"
    else:
        text = str(getattr(error, "reason", None) or error)
    return " ".join(text.split()) or type(error).__name__
