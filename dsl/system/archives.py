"""Archives of arrays, read without believing what they say of themselves.

What this project and `numpy.savez` write is a zip file (`.npz`): its members
stand one right after the other from the first byte on, stored or deflated, and
are listed at its end. Whatever is not exactly that is refused, and so are
arrays of anything but numbers in the order of C.
"""

import dataclasses
import json
import math
import os
import re
import struct
import zlib

from dsl.system.messages import short

_LOCAL = struct.Struct("<4s5H3L2H")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_STORED, _DEFLATED = 0, 8
_UTF_8 = 0x800  # The only flag that a member may have: how its name is coded.
_SHORT, _LONG = 2**16 - 1, 2**32 - 1  # In place of what needs more room.
_MOST_LISTED = 2**20  # bytes of the list of members

_MAGIC = b"\x93NUMPY\x01\x00"
_MOST_HEADER = 4096  # bytes of a member beyond its array
_HEADER = re.compile(
    r"\{'descr': (?P<type>.+), 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>(\d{1,40}, ?){0,32}(\d{1,40})?)\),? ?\} *\n",
    re.ASCII,
)
_TYPE = re.compile(r"'[<>|]?[biufc]\d{1,2}'", re.ASCII)


class ArchiveError(ValueError):
    """A file is no archive that was written here; says why in a few words."""


@dataclasses.dataclass(frozen=True)
class _Member:
    """Where a member stands, and what it holds."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    offset: int


class Archive:
    """An archive open for reading.

    Args:
        file: A binary file that can be searched; stays open.

    Attributes:
        names: Names of its members, in order.
        size: Bytes of all its members, as they say.

    Raises:
        ArchiveError: If it is no archive, is cut short, has bytes before,
            between or behind its members, a name twice, or two places tell
            of one member differently.
    """

    def __init__(self, file):
        self._file = file
        listed, count, start = self._listed()
        self._members = {}
        position = 0
        for member in _entries(listed):
            if member.name in self._members:
                raise ArchiveError(f"{short(member.name)} is there twice")
            # No place behind the list is looked at, however far it is.
            if member.offset != position or position > start:
                raise ArchiveError("bytes that belong to no member")
            position = self._behind(member)
            self._members[member.name] = member
        if position != start or len(self._members) != count:
            raise ArchiveError("bytes that belong to no member")
        self.names = list(self._members)
        self.size = sum(one.size for one in self._members.values())

    def read(self, name, most):
        """Reads a member; no more is unpacked than it says and may hold.

        Args:
            name: Its name.
            most: Largest number of bytes that it may have.

        Returns:
            Its bytes.

        Raises:
            ArchiveError: If there is no such member, it is larger, or it holds
                other bytes or another number of them than it says.
        """
        member = self._member(name)
        if member.size > most:
            raise ArchiveError(
                f"{short(name)} must hold at most {most} bytes, and says "
                f"{member.size}"
            )
        content = self._unpacked(member)
        if len(content) != member.size or zlib.crc32(content) != member.crc:
            raise ArchiveError(f"{short(name)} holds not what it says")
        return content

    def read_json(self, name, most):
        """Reads a member as JSON; arguments and errors as `read`."""
        content = self.read(name, most)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise ArchiveError(f"{short(name)} is no JSON") from None

    def read_array(self, name, most, check=None):
        """Reads a member as a NumPy array of numbers, in `.npy` format 1.0.

        Nothing of it is evaluated, and no pickle is ever loaded.

        Args:
            name: Its name.
            most: Largest number of bytes that its numbers may have.
            check: Called as `check(dtype, shape)` before there is an array,
                to raise what it likes; or None. `dtype` is text where it is
                none of numbers, or they are not in the order of C.

        Returns:
            The array, read-only.

        Raises:
            ArchiveError: As `read`; or if it is no such array.
        """
        import numpy as np

        start = len(_MAGIC) + 2
        head = self._unpacked(self._member(name), _MOST_HEADER)
        stop = start + int.from_bytes(head[len(_MAGIC) : start], "little")
        header = _HEADER.fullmatch(head[start:stop].decode("latin-1"))
        if not head.startswith(_MAGIC) or header is None or stop > len(head):
            raise ArchiveError(f"{short(name)} is no array")
        dtype = _dtype(header["type"])
        if header["fortran"] == "True":
            dtype = f"{dtype} in the order of Fortran, "
        shape = tuple(map(int, re.findall(r"\d+", header["shape"])))
        if check is not None:
            check(dtype, shape)
        if not isinstance(dtype, np.dtype):
            raise ArchiveError(f"{short(name)} is no array of numbers")
        content = self.read(name, most + stop)
        if len(content) - stop != math.prod(shape) * dtype.itemsize:
            raise ArchiveError(f"{short(name)} is of another size than it says")
        try:
            return np.ndarray(shape, dtype, content, stop)
        except ValueError:  # None of numbers so many that none can be.
            raise ArchiveError(f"{short(name)} has an odd shape") from None

    def _member(self, name):
        try:
            return self._members[name]
        except KeyError:
            raise ArchiveError(f"no {short(name)}") from None

    def _unpacked(self, member, most=None):
        """The bytes of a member, at most so many; one more than it says."""
        self._file.seek(self._behind(member) - member.packed)
        most = member.size + 1 if most is None else most
        if member.method == _STORED:
            return self._file.read(min(member.packed, most))
        packed = self._file.read(min(member.packed, _most_deflated(most)))
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = unpacker.decompress(packed, most)
        except zlib.error:
            raise ArchiveError(
                f"{short(member.name)} cannot be unpacked"
            ) from None
        if len(content) < most and (not unpacker.eof or unpacker.unused_data):
            raise ArchiveError(f"{short(member.name)} ends elsewhere")
        return content

    def _listed(self):
        """The list of members, bytes, their number, and where it stands."""
        size = self._file.seek(0, os.SEEK_END)
        long = _END_64.size + _LOCATOR_64.size
        self._file.seek(max(size - long - _END.size, 0))
        tail = self._file.read()
        if len(tail) < _END.size:
            raise ArchiveError("no end of an archive")
        *told, count, length, start, comment = _END.unpack(tail[-_END.size :])
        expected = [b"PK\x05\x06", 0, 0]
        stop = size - _END.size
        if tail[-_END.size - _LOCATOR_64.size :].startswith(b"PK\x06\x07"):
            stop -= long
            if stop < 0:
                raise ArchiveError("no end of an archive")
            cut = count, length, start
            first, record, _, _, *disks, count, length, start = (
                _END_64.unpack_from(tail)
            )
            told += [first, record, *disks, *cut]
            told += _LOCATOR_64.unpack_from(tail, _END_64.size)
            expected += [min(count, _SHORT), b"PK\x06\x06", 44, 0, 0, count]
            expected += [min(count, _SHORT), min(length, _LONG)]
            expected += [min(start, _LONG), b"PK\x06\x07", 0, stop, 1]
        else:
            expected += [count]
        if told != expected or comment:
            raise ArchiveError("no end of an archive")
        if length > _MOST_LISTED:
            raise ArchiveError(f"a list of members of {length} bytes")
        if start + length != stop:
            raise ArchiveError("bytes that belong to no member")
        self._file.seek(start)
        return self._file.read(length), count, start

    def _behind(self, member):
        """Where a member ends; what stands before it must say the same."""
        self._file.seek(member.offset)
        head = self._file.read(_LOCAL.size)
        if len(head) < _LOCAL.size:
            raise ArchiveError("a member without its head")
        signature, _, flags, method, _, _, *numbers = _LOCAL.unpack(head)
        crc, packed, size, length, more = numbers
        name = _name(self._file.read(length), flags)
        size, packed = _long(self._file.read(more), size, packed)
        if signature != b"PK\x03\x04" or member != _Member(
            name, method, crc, packed, size, member.offset
        ):
            raise ArchiveError(
                f"{short(member.name)} is told of in two ways, or not there"
            )
        return self._file.tell() + packed


def _entries(listed):
    """Yields a `_Member` for each entry of the list of members."""
    position = 0
    while position < len(listed):
        if len(listed) - position < _ENTRY.size:
            raise ArchiveError("a list of members without its end")
        signature, *told = _ENTRY.unpack_from(listed, position)
        _, _, flags, method, _, _, crc, packed, size, *told = told
        length, more, comment, disk, _, _, offset = told
        position += _ENTRY.size
        name = _name(listed[position : position + length], flags)
        position += length
        extra = listed[position : position + more]
        position += more
        size, packed, offset = _long(extra, size, packed, offset)
        member = _Member(name, method, crc, packed, size, offset)
        if signature != b"PK\x01\x02" or comment or disk:
            raise ArchiveError("a list of members that is none")
        if method not in (_STORED, _DEFLATED):
            raise ArchiveError(f"{short(name)} is packed in another way")
        most = size if method == _STORED else _most_deflated(size)
        if packed > most or (method == _STORED and packed != size):
            raise ArchiveError(f"{short(name)} has a size that cannot be")
        yield member


def _most_deflated(size):
    """The most bytes that deflating makes of so many."""
    return size + size // 1000 + 1024


def _name(text, flags):
    if flags & ~_UTF_8:
        raise ArchiveError("a member that is packed in another way")
    try:
        return text.decode("utf-8" if flags else "cp437")
    except UnicodeDecodeError:
        raise ArchiveError("a name that is no text") from None


def _long(extra, *numbers):
    """The numbers, those from `extra` that need more than 32 bits."""
    found, position = list(numbers), 4
    if extra:
        kind, length = struct.unpack("<2H", extra[:4].ljust(4, b"\0"))
        if kind != 1 or length != len(extra) - 4 or length % 8:
            raise ArchiveError("a member with something unknown")
    for n, number in enumerate(numbers):
        if number == _LONG and position < len(extra):
            (found[n],) = struct.unpack_from("<Q", extra, position)
            position += 8
    if extra and position != len(extra):
        raise ArchiveError("a member with something unknown")
    return found


def _dtype(text):
    """The type of numbers that a header names, or the text if it is none."""
    import numpy as np

    if _TYPE.fullmatch(text):
        try:
            return np.dtype(text[1:-1])
        except TypeError:
            pass
    return text
