"""Archives are read as they were written, and no other bytes are."""

import io
import random
import struct
import tracemalloc
import zipfile
import zlib

import broken_inputs
import numpy as np
import pytest

from dsl.system.archives import Archive, ArchiveError

ARRAYS = {
    "a": np.linspace(0, 1, 300).reshape(3, 100),
    "b": np.arange(7, dtype=np.int32),
    "none": np.zeros((0, 3), np.float32),
    "one": np.array(True),
}
NAMES = [f"{name}.npy" for name in ARRAYS]
LOCAL, ENTRY, END = 30, 46, 22
MOST = 10**4


def saved(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **(arrays or ARRAYS))
    return file.getvalue()


def opened(data):
    return Archive(io.BytesIO(data))


def read(data):
    """All arrays of an archive."""
    archive = opened(data)
    return [archive.read_array(name, MOST) for name in archive.names]


def packed(members, method=zipfile.ZIP_DEFLATED, **options):
    """An archive of pairs of a name and bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method, **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def refused(data, use=read, says=None):
    with pytest.raises(ArchiveError, match=says) as caught:
        use(data)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 200
    return message


# What is whole.


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_bit_for_bit(save):
    found = read(saved(save))
    assert opened(saved(save)).names == NAMES
    for one, other in zip(found, ARRAYS.values(), strict=True):
        np.testing.assert_array_equal(one, other, strict=True)
        assert not one.flags.writeable


def test_archives_beyond_4_gib_have_longer_heads(monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    data = saved()
    assert data[-42:].startswith(b"PK\x06\x07")
    found = read(data)
    np.testing.assert_array_equal(found[0], ARRAYS["a"])
    for place in range(len(data) - 98, len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        # But for the versions of what wrote it.
        if place - len(data) + 98 not in range(12, 16):
            refused(bytes(changed))


def test_members_are_text_too():
    data = packed([("ü.json", b'{"a": [1]}'), ("b", b"text")])
    archive = opened(data)
    assert archive.names == ["ü.json", "b"] and archive.size == 14
    assert archive.read_json("ü.json", 10) == {"a": [1]}
    assert archive.read("b", 4) == b"text"
    refused(data, lambda _: archive.read("b", 3), "'b' must hold at most 3")
    refused(data, lambda _: archive.read("c", 9), "no 'c'")
    refused(data, lambda _: archive.read_json("b", 9), "'b' is no JSON")


# What is not.


@pytest.mark.parametrize(
    "change",
    {
        "before": lambda data: b"#!/bin/sh\n" + data,
        "behind": lambda data: data + b"\n",
        "twice": lambda data: data + data,
        "a comment": lambda data: data[:-2] + b"\x03\0abc",
        "nothing": lambda data: b"",
        "too short": lambda data: data[-21:],
        "the end alone": lambda data: data[-END:],
        "not an end": lambda data: data[:-END] + bytes(END),
        "an empty archive and more": lambda data: b"x" + packed([]),
    }.items(),
    ids=lambda change: change[0],
)
def test_bytes_that_belong_to_no_member(change):
    for save in (np.savez, np.savez_compressed):
        refused(change[1](saved(save)))


@pytest.mark.parametrize("limit", [2**31, 100])
def test_every_beginning_and_every_end_of_an_archive(limit, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
    data = saved(a=np.arange(3))
    assert data[-42:].startswith(b"PK\x06\x07") == (limit == 100)
    for n in range(len(data)):
        refused(data[:n])
        if n:
            refused(data[n:])
            # A locator of a longer end before which there is nothing.
            refused(b"PK\x06\x07" + bytes(16) + data[-END:][:n])
    short = b"PK\x06\x07" + bytes(16) + packed([])
    for n in range(60):
        refused(bytes(n) + short)


def test_a_member_behind_the_end_of_what_can_be():
    """Where its predecessor says to end there, in two places."""
    size, end = 2**63, 2**63 + LOCAL + 1 + 20
    long = struct.pack("<2H2Q", 1, 16, size, size)
    more = struct.pack("<2HQ", 1, 8, end)
    tail = 0, 33, 0, 2**32 - 1, 2**32 - 1, 1, len(long)
    other = 0, 33, 0, 0, 0, 1, len(more)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 45, 0, 0, *tail)
    local += b"a" + long
    first = struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", 45, 45, 0, 0, *tail, 0, 0, 0, 0, 0
    )
    second = struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", 45, 45, 0, 0, *other, 0, 0, 0, 0, 2**32 - 1
    )
    listed = first + b"a" + long + second + b"b" + more
    sizes = len(listed), len(local)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, *sizes, 0)
    refused(local + listed + last, says="belong to no member")


def test_bytes_between_members():
    data = saved()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        second, start = archive.infolist()[1].header_offset, archive.start_dir
    for place in (second, start):
        for other in (0, 4):
            changed = bytearray(data[:place] + bytes(4) + data[place:])
            # All that stands behind is told of, as if there were no gap.
            entry, gone = start + 4, 0
            while changed[entry : entry + 4] == b"PK\x01\x02":
                (offset,) = struct.unpack_from("<L", changed, entry + 42)
                moved = offset + other * (offset >= place)
                struct.pack_into("<L", changed, entry + 42, moved)
                lengths = struct.unpack_from("<2H", changed, entry + 28)
                entry, gone = entry + ENTRY + sum(lengths), gone + 1
            assert gone == len(ARRAYS)
            struct.pack_into("<L", changed, len(changed) - 6, start + 4)
            refused(bytes(changed))


def test_a_name_twice():
    content = broken_inputs.as_array(np.ones(2))
    with pytest.warns(UserWarning, match="Duplicate"):
        data = packed([("a.npy", content)] * 2)
    refused(data, says="'a.npy' is there twice")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_to_pack(method):
    """Their packers unpack without a bound."""
    data = packed([("a.npy", bytes(2**26))], method)
    tracemalloc.start()
    try:
        refused(data, says="packed in another way")
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_what_was_written_to_a_pipe_or_a_password():
    class Pipe:
        def __init__(self):
            self.content = b""

        def write(self, data):
            self.content += data
            return len(data)

        def flush(self):
            pass

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        archive.writestr("a", b"text")
    refused(pipe.content, says="packed in another way")
    data = bytearray(saved())
    data[6] |= 1
    refused(bytes(data), says="packed in another way")


# Bytes of a head, an entry and the end that may be any: the version of what
# wrote it, the time, and the rights of a file.
FREE = {
    "local": (*range(4, 6), *range(10, 14)),
    "entry": (*range(4, 8), *range(12, 16), *range(36, 42)),
    "end": (),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_each_byte_that_tells_something_must_be_right(save):
    data = saved(save)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        start = archive.start_dir
        second = archive.infolist()[1].header_offset
    for part, place, length in (
        ("local", second, LOCAL + len("b.npy") + 20),
        ("entry", start, ENTRY + len("a.npy")),
        ("end", len(data) - END, END),
    ):
        for n in range(length):
            for bit in range(8):
                changed = bytearray(data)
                changed[place + n] ^= 1 << bit
                # How the name is coded: in ASCII, all the same.
                utf_8 = bit == 3 and n == {"local": 7, "entry": 9}.get(part)
                if n not in FREE[part] and not utf_8:
                    refused(bytes(changed))


def lying(content, says, told=None, more=b""):
    """A member that holds other bytes than its heads and sum say."""
    told = content[:says] if told is None else told
    packer = zlib.compressobj(wbits=-15)
    body = packer.compress(content) + packer.flush() + more
    tail = 0, 33, zlib.crc32(told), len(body), says, 1, 0
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, *tail)
    listed = struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, *tail, 0, 0, 0, 0, 0
    )
    parts = local + b"a" + body, listed + b"a"
    sizes = map(len, parts[::-1])
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, *sizes, 0)
    return b"".join(parts) + end


def test_sizes_that_lie_with_a_sum_that_fits():
    def text(data):
        return opened(data).read("a", 10)

    assert text(lying(b"abc", 3)) == b"abc"
    for content, says in ((b"abcd", 3), (b"ab", 3), (b"", 1), (b"a", 0)):
        refused(lying(content, says), text)
    refused(lying(b"abc", 3, b"abd"), text, "holds not what it says")
    # More after the end of what is packed.
    refused(lying(b"abc", 3, more=b"d"), text, "ends elsewhere")
    refused(lying(b"abc" * 100, 3), text)


def test_a_number_of_members_that_lies_twice():
    data = bytearray(saved())
    for place in (-14, -12):
        data[place] += 1
    refused(bytes(data), says="belong to no member")


def test_no_more_is_unpacked_than_a_member_says_and_may_hold():
    array = broken_inputs.as_array(np.ones(3))
    for data, use in (
        (lying(bytes(2**26), 3), lambda archive: archive.read("a", 10)),
        (lying(bytes(2**26), 2**26), lambda archive: archive.read("a", 10)),
        (
            lying(array + bytes(2**26), len(array)),
            lambda archive: archive.read_array("a", 24),
        ),
        (
            lying(array + bytes(2**26), 2**26 + len(array)),
            lambda archive: archive.read_array("a", 24),
        ),
    ):
        tracemalloc.start()
        try:
            refused(data, lambda data, use=use: use(opened(data)))
            assert tracemalloc.get_traced_memory()[1] < 10**6
        finally:
            tracemalloc.stop()


def test_a_list_of_members_is_bounded():
    file = io.BytesIO(bytes(2**21) + packed([])[:-10])
    file.seek(0, io.SEEK_END)
    file.write(struct.pack("<2LH", 2**21, 0, 0))
    with pytest.raises(ArchiveError, match="a list of members of 2097152"):
        Archive(file)


PLAIN = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }"
HEADERS = {
    "empty": b"",
    "no array": b"text",
    "its first bytes": b"\x93NUMPY\x01\x00",
    "no header": b"\x93NUMPY\x01\x00\x76\x00",
    "another version": broken_inputs.header(PLAIN, bytes(16)).replace(
        b"\x01\0", b"\x02\0", 1
    ),
    "too few numbers": broken_inputs.header(PLAIN, bytes(15)),
    "too many numbers": broken_inputs.header(PLAIN, bytes(17)),
    "objects": broken_inputs.bombs(),
    "of several fields": broken_inputs.as_array(np.zeros(2, "f4,f4")),
    "text in it": broken_inputs.as_array(np.array(["ab"])),
    "dates": broken_inputs.as_array(np.zeros(2, "M8[s]")),
    "in another order": broken_inputs.as_array(
        np.asfortranarray(np.ones((2, 3)))
    ),
    "a large header": broken_inputs.header(PLAIN + " " * 5000, bytes(16)),
    "of no size": broken_inputs.header(PLAIN.replace("f8", "f0"), bytes(16)),
    "of an odd size": broken_inputs.header(
        PLAIN.replace("f8", "f7"), bytes(14)
    ),
    "a truth value": broken_inputs.header(
        PLAIN.replace("2,", "True,"), bytes(8)
    ),
    "less than none": broken_inputs.header(
        PLAIN.replace("2,", "-2,"), bytes(8)
    ),
    "long numbers": broken_inputs.header(PLAIN.replace("2,", "2L,"), bytes(16)),
    "far too many": broken_inputs.header(
        PLAIN.replace("2,", f"{broken_inputs.HUGE},"), bytes(16)
    ),
    "none, of far too many": broken_inputs.header(
        PLAIN.replace("2,", f"0, {10**30}"), b""
    ),
    "none, of many times many": broken_inputs.header(
        PLAIN.replace("2,", f"0, {2**62}, {2**62}"), b""
    ),
    "digits": broken_inputs.header(PLAIN.replace("2,", "9" * 3000)),
    "dimensions": broken_inputs.header(PLAIN.replace("2,", "1, " * 1000)),
    "code": broken_inputs.header(PLAIN.replace("(2,)", "(exit(),)")),
    "deep": broken_inputs.header("(" * 3000),
    "Arabic digits": broken_inputs.header(PLAIN, bytes(16)).replace(
        b"(2,)", "(٢)".encode()
    ),
}


@pytest.mark.parametrize("kind", HEADERS)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_that_is_no_array_of_numbers(kind, method):
    refused(packed([("a.npy", HEADERS[kind])], method), says="'a.npy'")


def test_an_array_is_checked_before_there_is_one():
    data = packed([("a.npy", broken_inputs.as_array(np.ones((2, 3), ">i2")))])
    seen = []

    def check(*found):
        seen.append(found)
        raise OSError("mine")

    with pytest.raises(OSError, match="mine"):
        opened(data).read_array("a.npy", 0, check)
    assert seen == [(np.dtype(">i2"), (2, 3))]
    refused(data, lambda data: opened(data).read_array("a.npy", 11), "at most")
    assert opened(data).read_array("a.npy", 12).sum() == 6


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_forged_at_random(save):
    """Whatever stands there, one error, or the same arrays."""
    whole, generator, refusals = saved(save), random.Random(0), 0
    values = (0, 1, 127, 128, 254, 255)
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(generator.choice((1, 1, 2, 8))):
            # Heads count for more than numbers do.
            place = generator.choice(
                (
                    generator.randrange(len(data)),
                    generator.randrange(len(data) - 400, len(data)),
                    generator.randrange(180),
                )
            )
            count = generator.choice((1, 1, 2, 4, 8))
            change = generator.randrange(4)
            if change == 0:
                data[place : place + count] = generator.choices(values, k=count)
            elif change == 1:
                del data[place : place + count]
            elif change == 2:
                data[place:place] = generator.randbytes(count)
            else:
                other = generator.randrange(len(data))
                data[place : place + 30] = data[other : other + 30]
        try:
            found = read(bytes(data))
        except ArchiveError:
            refusals += 1
        else:
            for one, other in zip(found, ARRAYS.values(), strict=True):
                np.testing.assert_array_equal(one, other)
    assert refusals > 1400
