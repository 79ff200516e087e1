"""Archives whose parts tell lies, in the place of each that is read."""

import gzip
import io
import struct
import zipfile

import numpy as np

from broken_inputs.case import (
    COMPARE,
    DIGITS,
    GRADIENTS,
    KEEP,
    LOAD,
    NUMBERS,
    PRODUCE,
    RESUME,
    Case,
)
from broken_inputs.damage import (
    as_array,
    change,
    cut,
    entry,
    first_member,
    forged,
    members,
    progress,
    state,
)

# Where a number stands, from the start of the head of the first member, of
# its entry in the list, and of the end; and its form.
_HEAD = {
    "flags": (6, "H"),
    "method": (8, "H"),
    "sum": (14, "L"),
    "packed size": (18, "L"),
    "size": (22, "L"),
    "length of its name": (26, "H"),
    "length of what is unknown": (28, "H"),
}
_LIST = {
    "flags": (8, "H"),
    "method": (10, "H"),
    "sum": (16, "L"),
    "packed size": (20, "L"),
    "size": (24, "L"),
    "length of its name": (28, "H"),
    "length of a comment": (32, "H"),
    "disk": (34, "H"),
    "offset": (42, "L"),
}
_END = {
    "disk": (4, "H"),
    "count here": (8, "H"),
    "count": (10, "H"),
    "length of the list": (12, "L"),
    "offset of the list": (16, "L"),
    "length of a comment": (20, "H"),
}
_BOMB = bytes(2**24)


def lie(part, place, form, number=None):
    """Replaces a number in a part of an archive; by default one bit of it."""

    def function(data):
        end = len(data) - 22
        start = struct.unpack_from("<L", data, end + 16)[0]
        at = {"head": 0, "list": start, "end": end}[part] + place
        (old,) = struct.unpack_from(f"<{form}", data, at)
        changed = bytearray(data)
        new = old ^ 1 if number is None else number
        struct.pack_into(f"<{form}", changed, at, new)
        return bytes(changed)

    return function


def everywhere(name, number):
    """Lies about the first member, in its head and in the list alike."""
    return in_turn(
        lie("head", *_HEAD[name], number), lie("list", *_LIST[name], number)
    )


def in_turn(*functions):
    """One after the other."""

    def function(data):
        for one in functions:
            data = one(data)
        return data

    return function


def _first(name=None, content=None, *method):
    """An archive with another first member."""

    def changed(old):
        (old_name, old_content), *rest = old
        first = old_content if content is None else content
        return [(name or old_name, first, *method), *rest]

    return members(changed)


def _bomb(method):
    """A first member of 16 MiB, packed, that says to be small."""
    return in_turn(_first(None, _BOMB, method), everywhere("size", 100))


def _with(name, content):
    return members(lambda old: [*old, (name, content)])


def _comment(data):
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = b"a comment"
    return file.getvalue()


def _within(data):
    """An archive in an archive."""
    return members(lambda old: [("inner.npz", data), *old])(data)


_PLAIN = members(list)  # With no number that needs more than 32 bits.
DAMAGES = {
    **{
        f"{part} lies of its {name}": in_turn(_PLAIN, lie(part, *field))
        for part, fields in (("head", _HEAD), ("list", _LIST), ("end", _END))
        for name, field in fields.items()
    },
    **{
        f"{name} {number} in both places": in_turn(
            _PLAIN, everywhere(name, number)
        )
        for name, number in (
            *(("flags", 1), ("flags", 8), ("method", 8), ("method", 12)),
            *(("method", 93), ("method", 99), ("size", 0), ("size", 7)),
            *(("size", 2**31), ("packed size", 0), ("packed size", 2**31)),
        )
    },
    **{
        f"packed by {name}": _first(None, None, method)
        for name, method in (
            ("bzip2", zipfile.ZIP_BZIP2),
            ("LZMA", zipfile.ZIP_LZMA),
        )
    },
    **{
        f"16 MiB packed by {name} that say to be 100 bytes": _bomb(method)
        for name, method in (
            ("deflate", zipfile.ZIP_DEFLATED),
            ("bzip2", zipfile.ZIP_BZIP2),
            ("LZMA", zipfile.ZIP_LZMA),
        )
    },
    "bytes before": lambda data: b"\0" * 64 + data,
    "a program before": lambda data: b"#!/bin/sh\ntouch unpacked\n" + data,
    "bytes behind": lambda data: data + b"\0",
    "twice": lambda data: data + data,
    "an archive before": lambda data: _first("other")(data) + data,
    "bytes between": lambda data: (
        data[: len(data) // 2] + b"\0" + data[len(data) // 2 :]
    ),
    "a comment": _comment,
    "an archive in it": _within,
    "a folder in it": _with("folder/", b""),
    "a member outside": _with("../outside", b"1"),
    "a member at the root": _with("/tmp/outside", b"1"),
    "an empty member": _first(None, b""),
    "a member that is no array": _first(None, b"word1 word2\n"),
    "a member that is the first half": first_member(cut(0.5)),
    "an array of truth": _first(None, as_array(np.ones(3, bool))),
    "an array of complex numbers": _first(None, as_array(np.ones(3, "c16"))),
    "an array of text": _first(None, as_array(np.array(["a"]))),
    "an array of dates": _first(None, as_array(np.ones(3, "M8[s]"))),
    "an array of nothing": _first(None, as_array(np.ones((0, 3)))),
    "an array without an axis": _first(None, as_array(np.float32(1))),
    "a gzip": gzip.compress,
}
# Who reads which archive, with the code at its end.
READERS = (
    ("RL_train", LOAD, 2, "runs/run/checkpoints/best.npz"),
    ("RL_train", RESUME, 2, "runs/open/checkpoints/last.npz"),
    ("gradient_norms", GRADIENTS, 2, "runs/run/checkpoints/best.npz"),
    ("compare", COMPARE, 1, "runs/other/test_scores.npz"),
    ("keep", KEEP, 1, "runs/run/test_scores.npz"),
    ("train_RL10_1", NUMBERS, 3, "numbers/num_train3_1.npz"),
    ("produce_data", PRODUCE, 2, "numbers/num_train3_1.npz"),
)


def archives():
    # All go through one reader: each damage is tried at two of them in turns.
    for n, (name, function) in enumerate(DAMAGES.items()):
        for turn in (n, n + 3):
            program, arguments, code, path = READERS[turn % len(READERS)]
            yield Case(
                "archive",
                f"{program}, {path}, {name}",
                list(arguments),
                code,
                (path.rpartition("/")[2],),
                program,
                change(path, function),
            )


# Sound archives that tell of what cannot be.

ABSURD = (
    *(-1, 10**25, 2**63, True, 1.5, float("nan"), float("inf"), "1"),
    *(None, [], {}, [1], DIGITS[:4000]),
)
MEMBERS = ([], {}, None, 1, "text", [[]], True)


def forgeries():
    last = "runs/open/checkpoints/last.npz"
    best = "runs/run/checkpoints/best.npz"

    def case(path, name, function):
        return Case(
            "forgery",
            f"{path[-8:]}, {name}",
            LOAD if path == best else RESUME,
            2,
            (path,),
            damage=change(path, function),
        )

    # An integer of any size is a number of seconds.
    amounts = [
        x
        for x in ABSURD
        if type(x) not in (int, float) or not 0 < x < float("inf")
    ]
    keys = ("epoch", "step", "steps", "entries", "schedule", "best")
    for n, key in enumerate(keys):
        for value in (ABSURD if key == "epoch" else amounts)[n % 2 :: 2]:
            if (key, value) not in (("schedule", None), ("entries", [])):
                name = f"{key} {value!a:.20}"
                yield case(last, name, progress(**{key: value}))
    for n, key in enumerate(("epoch", "valid_perplexity", "seconds")):
        for value in (ABSURD if key == "epoch" else amounts)[n % 2 :: 2]:
            name = f"first entry's {key} {value!a:.20}"
            yield case(last, name, entry(**{key: value}))
    for value in ABSURD:
        for name, found in (("found", value), ("found at", {"epoch": value})):

            def change_found(inner, found=found):
                return {**inner, "found": found}

            yield case(best, f"{name} {value!a:.20}", forged(change_found))
    for value in MEMBERS:
        for path in (last, best):
            yield case(path, f"state {value!a}", state(lambda _, v=value: v))
