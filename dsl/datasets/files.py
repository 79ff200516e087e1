"""Reading corpus files: plain or packed text, checked by hash."""

import errno
import gzip
import hashlib
import lzma
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from dsl.datasets import texts
from dsl.datasets.errors import DataError
from dsl.system.messages import printable
from dsl.system.regular_files import open_regular

PACKED = (".gz", ".xz")
_MAX_BYTES = 1 << 28  # No corpus here comes near it; a packed bomb does.
_PIECE = 1 << 18  # bytes
_PACKED_PIECE = 1 << 13  # Less, for each stream in it copies what follows.
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


def read_text(
    path: Path,
    sha256: str | None = None,
    log: Callable[[str], None] | None = None,
) -> str:
    """Reads a text file, unpacking it if its name ends in `.gz` or `.xz`.

    Args:
        path: The file: UTF-8, or UTF-16 with its mark.
        sha256: Hash (hexadecimal) that the unpacked bytes must have, of a text
            in UTF-8 that is taken as it stands.
        log: Receives a line if a text whose hash is not known holds what may
            be read otherwise than a person expects.

    Returns:
        The text; where its hash is not known, see `texts.cleaned`.

    Raises:
        DataError: If the path is not a regular file or cannot be read, if a
            packed file is damaged, if the content is empty, binary or not
            such text, or if its hash is not the given one.
    """
    content = read_bytes(path)
    if not content:
        raise DataError(f"{path} must not be empty. Received: 0 bytes")
    try:
        text = content.decode() if sha256 else texts.decoded(content)
    except UnicodeDecodeError as error:
        utf_8 = error.encoding == "utf-8"
        if utf_8 and b"\0" in content:
            raise _zero_byte(path, content.index(0)) from None
        raise DataError(
            f"{path} must be UTF-{8 if utf_8 else 16} text. Received: byte "
            f"0x{content[error.start]:02x} at offset {error.start}"
        ) from None
    if "\0" in text:
        # In UTF-16, most letters have a zero byte too.
        before = text[: text.index("\0")]
        raise _zero_byte(path, len(before.encode(texts.encoding(content))))
    if sha256 is not None:
        check_hash(str(path), content, "sha256", sha256)
        return text
    if log is not None and (notes := texts.notes(text)):
        log(f"{printable(str(path))}: {'; '.join(notes)}")
    return texts.cleaned(text)


def _zero_byte(path: Path, offset: int) -> DataError:
    return DataError(
        f"{path} must be a text file. Received: a zero byte at offset {offset}"
    )


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
    pieces, size = [], 0
    try:
        with open_regular(path, _MAX_BYTES) as file:
            for piece in _READERS.get(path.suffix, _read_plain)(file):
                pieces.append(piece)
                size += len(piece)
                if size > _MAX_BYTES:
                    raise _too_large(path)
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        kind = "xz" if path.suffix == ".xz" else "gzip"
        raise DataError(
            f"{path} must be a whole {kind} file. Received: {error}"
        ) from None
    except IsADirectoryError:
        raise DataError(
            f"{path} must be a regular file. Received: a folder"
        ) from None
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise _too_large(path) from None
        raise DataError(
            f"{path} must be readable. Received: {error.strerror or error}"
        ) from None
    return b"".join(pieces)


def _too_large(path: Path) -> DataError:
    return DataError(
        f"{path} must hold at most {_MAX_BYTES} bytes. Received: more"
    )


def _read_plain(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _read_gzip(file: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as unpacked:
        yield from _read_plain(unpacked)


def _read_xz(file: BinaryIO) -> Iterator[bytes]:
    """Yields what one stream after the other holds, as `xz` reads them."""
    packed = file.read(_PACKED_PIECE)
    while True:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_MEMORY)
        while not unpacker.eof:
            if unpacker.needs_input and not packed:
                packed = file.read(_PACKED_PIECE)
                if not packed:
                    raise EOFError("the file ends before its content does")
            piece, packed = unpacker.decompress(packed, _PIECE), b""
            if piece:
                yield piece
        packed = _behind_padding(unpacker.unused_data, file)
        if not packed:
            return


def _behind_padding(packed: bytes, file: BinaryIO) -> bytes:
    """What follows the zero bytes, by fours, that may follow a stream."""
    zeros = 0
    while True:
        rest = packed.lstrip(b"\0")
        zeros += len(packed) - len(rest)
        packed = rest or file.read(_PACKED_PIECE)
        if rest or not packed:
            break
    if zeros % 4:
        raise EOFError(
            f"{zeros} zero bytes behind a stream, not a multiple of 4"
        )
    return packed


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
