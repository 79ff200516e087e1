"""Reading corpus files: plain or packed text, checked by hash."""

import gzip
import hashlib
import lzma
import os
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path

from dsl.datasets.errors import DataError

PACKED = (".gz", ".xz")
_MAX_BYTES = 1 << 28  # No corpus here comes near it; a packed bomb does.
_MAX_MEMORY = 1 << 28  # That unpacking takes: as much as an xz file says.


def find(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Looks for files in one folder, plain or packed.

    Args:
        folder: Where to look.
        names: File names without `.gz` or `.xz`; the plain file wins over the
            packed ones.

    Returns:
        Name to path, for the names that are there.
    """
    found = {}
    for name in names:
        for path in (folder / f"{name}{end}" for end in ("", *PACKED)):
            if os.path.lexists(path):  # A broken link is there, and broken.
                found[name] = path
                break
    return found


def read_text(path: Path, sha256: str | None = None) -> str:
    """Reads a text file, unpacking it if its name ends in `.gz` or `.xz`.

    Args:
        path: The file.
        sha256: Hash (hexadecimal) that the unpacked bytes must have.

    Returns:
        The text, with its line ends as they are in the file.

    Raises:
        DataError: If the path is not a regular file or cannot be read, if a
            packed file is damaged, if the content is empty, binary or not
            UTF-8, or if its hash is not the given one.
    """
    content = read_bytes(path)
    if not content:
        raise DataError(f"{path} must not be empty. Received: 0 bytes")
    if b"\0" in content:
        raise DataError(
            f"{path} must be a text file. Received: a zero byte at offset "
            f"{content.index(0)}"
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} must be UTF-8 text. Received: byte "
            f"0x{content[error.start]:02x} at offset {error.start}"
        ) from None
    if sha256 is not None:
        check_hash(str(path), content, "sha256", sha256)
    return text


def read_bytes(path: Path) -> bytes:
    """Reads a regular file, unpacking it if its name ends in `.gz` or `.xz`.

    Args:
        path: The file.

    Returns:
        Its bytes.

    Raises:
        DataError: If the path is not a regular file or cannot be read, if it
            holds more than any corpus, or if a packed file is damaged.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # A pipe would block.
            raise DataError(
                f"{path} must be a regular file. Received: a "
                f"{'folder' if path.is_dir() else 'special file'}"
            )
        content = _READERS.get(path.suffix, _read_plain)(path)
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        kind = "xz" if path.suffix == ".xz" else "gzip"
        raise DataError(
            f"{path} must be a whole {kind} file. Received: {error}"
        ) from None
    except OSError as error:
        raise DataError(
            f"{path} must be readable. Received: {error.strerror or error}"
        ) from None
    if len(content) > _MAX_BYTES:
        raise DataError(
            f"{path} must hold at most {_MAX_BYTES} bytes. Received: more"
        )
    return content


def _read_plain(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(_MAX_BYTES + 1)


def _read_gzip(path: Path) -> bytes:
    with gzip.open(path, "rb") as file:
        return file.read(_MAX_BYTES + 1)


def _read_xz(path: Path) -> bytes:
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_MEMORY)
    content = unpacker.decompress(_read_plain(path), _MAX_BYTES + 1)
    if len(content) <= _MAX_BYTES and not unpacker.eof:
        raise EOFError("the file ends before its content does")
    if unpacker.unused_data:
        raise EOFError("more after its end")
    return content


_READERS = {".gz": _read_gzip, ".xz": _read_xz}


def check_hash(
    name: str, content: bytes, algorithm: str, expected: str
) -> None:
    """Compares the hash of some bytes with the documented one.

    Args:
        name: What the bytes are, for the message.
        content: The bytes.
        algorithm: `"sha256"` or `"md5"`.
        expected: The documented hash, hexadecimal.

    Raises:
        DataError: If they differ.
    """
    digest = hashlib.new(algorithm, content, usedforsecurity=False)
    if digest.hexdigest() != expected:
        raise DataError(
            f"{name} must have the {algorithm} {expected}. Received: "
            f"{digest.hexdigest()}"
        )
