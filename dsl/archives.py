"""Reading archives that somebody else may have made."""

import lzma
import struct
import tokenize
import zipfile
import zlib

# What the standard library and NumPy raise over archives that are none.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    RecursionError,
    MemoryError,
    SyntaxError,
    OverflowError,
)


def read_member(archive, name, most):
    """Reads a member without believing how large it says it is.

    Args:
        archive: An open `zipfile.ZipFile`.
        name: Name of the member.
        most: Largest number of bytes that it may have.

    Returns:
        Its bytes.

    Raises:
        ValueError: If it is larger, holds more or fewer bytes than it says,
            or is packed in another way than NumPy's.
        KeyError: If there is no such member.
    """
    info = archive.getinfo(name)
    known = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if info.compress_type not in known or info.file_size > most:
        raise ValueError("a member of this size or kind was never written")
    # Asked for a number of bytes, zlib unpacks no more.
    with archive.open(info) as member:
        data = member.read(info.file_size)
        more = member.read(1)
    if len(data) != info.file_size or more:
        raise ValueError("a member of another size than it says")
    return data
