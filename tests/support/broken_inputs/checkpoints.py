"""Checkpoints that are broken, or sound and of nonsense."""

import json
import zipfile

import numpy as np

from broken_inputs.case import DIGITS, HUGE, LOAD, LONG, RED, RESUME, Case
from broken_inputs.damage import (
    _edited,
    as_array,
    bombs,
    both,
    broken_lzma,
    change,
    copy,
    cut,
    edit_json,
    edited_array,
    entry,
    first_member,
    forged,
    header,
    loop,
    make_folder,
    members,
    nested,
    packed,
    progress,
    remove,
    state,
    write,
)


def _first_in_front(old):
    return [old[1], old[0], *old[2:]]


def _run_id_of(path):
    """The id of the run that a checkpoint belongs to."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("state.json"))["state"]["run"]


def _adopt(path):
    """A checkpoint of another model that says to be of this run."""

    def damage(folder):
        target = folder / path
        owner = _run_id_of(target)
        other = (folder / "runs/plain/checkpoints" / target.name).read_bytes()

        def claim(header):
            return {**header, "state": {**header["state"], "run": owner}}

        write(path, state(claim)(other))(folder)

    return damage


ARCHIVE_DAMAGES = {
    "empty": lambda data: b"",
    "text": lambda data: b"no archive\n" * 99,
    "an empty archive": members(lambda old: []),
    "one array": lambda data: as_array(np.zeros(3)),
    **{f"cut at {s}": cut(s) for s in (0.01, 0.1, 0.3, 0.6, 0.9, 0.98)},
    "a byte short": cut(1),
    "end record lost": cut(22),
    "zeros in the middle": lambda data: data[:4000] + bytes(500) + data[4500:],
    "first half twice": lambda data: data[: len(data) // 2] * 2,
    "objects": first_member(lambda _: bombs()),
    "objects alone": lambda data: bombs(),
    "a member that unpacks to 64 MB": members(
        lambda old: [(old[0][0], *packed(bytes(2**26))), *old[1:]]
    ),
    "a state that unpacks to 64 MB": members(
        lambda old: [*old[:-1], (old[-1][0], *packed(b" " * 2**26))]
    ),
    "LZMA, damaged": broken_lzma,
    "a changed number": edited_array(lambda a: a + np.float32(1)),
    "one weight not a number": edited_array(lambda a: a * np.nan),
    "another shape": edited_array(lambda a: a[:-1]),
    "transposed": edited_array(
        lambda a: np.asfortranarray(np.ones((3, 2), a.dtype))
    ),
    "another type": edited_array(lambda a: a.astype("float64")),
    "big endian": edited_array(lambda a: a.astype(">f4")),
    "a header of another version": first_member(
        lambda content: content.replace(b"NUMPY\x01", b"NUMPY\x02")
    ),
    "a header without its end": first_member(
        lambda _: header("{'descr': '<f4', 'fortran_order': False, (")
    ),
    "a header with a string open": first_member(
        lambda _: header("{'descr': '''<f4, 'shape'")
    ),
    "a header that is code": first_member(
        lambda _: header("__import__('os').mkdir('unpickled')")
    ),
    "a header too large": first_member(
        lambda _: header(
            f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({HUGE},)}}"
        )
    ),
    "an array missing": members(lambda old: old[1:]),
    "an array more": members(lambda old: [("more.npy", b""), *old]),
    "arrays in another order": members(_first_in_front),
    "an array named otherwise": members(
        lambda old: [(f"000/{RED}.npy", old[0][1]), *old[1:]]
    ),
    "an array with a long name": members(
        lambda old: [(f"{LONG * 20}.npy", old[0][1]), *old[1:]]
    ),
    "no state": members(lambda old: old[:-1]),
    "state no JSON": state(lambda _: b"{"),
    "state not UTF-8": state(lambda _: b"\xff"),
    "state a list": state(lambda _: []),
    "state a number": state(lambda _: 1),
    "state empty": state(lambda _: {}),
    "state deep": state(lambda _: nested(100_000).encode()),
    "state too many digits": state(lambda _: DIGITS.encode()),
    "no format": state(lambda h: _edited(h, {"format": ...})),
    "format 2": state(lambda h: {**h, "format": 2}),
    "format a long text": state(lambda h: {**h, "format": LONG * 20}),
    "no sum": state(lambda h: _edited(h, {"sha256": ...})),
    "another sum": state(lambda h: {**h, "sha256": "0" * 64}),
    "sum a number": state(lambda h: {**h, "sha256": 1}),
    "inner state a list": state(lambda h: {**h, "state": []}),
    "of no run": state(lambda h: {**h, "state": {}}),
    "of another run": state(
        lambda h: {**h, "state": {**h["state"], "run": RED}}
    ),
}
BEST_DAMAGES = {
    f"found {found!a}": forged(
        lambda inner, found=found: _edited(inner, {"found": found})
    )
    for found in (None, [1], ..., {}, {"epoch": True}, {"epoch": RED})
}
# Which values a training never has is told in full by the tests of training.
LAST_DAMAGES = {
    **{
        f"progress {found!a}": forged(
            lambda inner, found=found: _edited(inner, {"progress": found})
        )
        for found in (..., None, [1], {})
    },
    **{
        f"{key} {value!a}": progress(**{key: value})
        for key, value in (
            *(("more", 1), ("epoch", ...), ("epoch", 10**25), ("step", True)),
            *(("steps", 4), ("entries", [{}]), ("schedule", {}), ("best", [])),
        )
    },
    **{
        f"entry's {key} {value!a}": entry(**{key: value})
        for key, value in (
            *(("valid_perplexity", None), ("valid_seconds", ...)),
            *(("seconds", "now"), (RED, RED)),
        )
    },
    "step beyond the text": progress(step=10**6, steps=10**6 + 5),
}


def checkpoints():
    for name, arguments, own in (
        ("run/checkpoints/best", LOAD, BEST_DAMAGES),
        ("open/checkpoints/last", RESUME, LAST_DAMAGES),
    ):
        path = f"runs/{name}.npz"
        file = path[5:]

        def case(what, damage, file=file, arguments=arguments):
            words = ("checkpoint", f"{file[-8:]}, {what}", arguments, 2)
            return Case(*words, (file,), damage=damage)

        for what, function in {**ARCHIVE_DAMAGES, **own}.items():
            yield case(what, change(path, function))
        yield case("a folder", make_folder(path))
        yield case("another model", _adopt(path))
        for other in ("plain", "run"):
            source = f"runs/{other}/checkpoints/{path[-8:]}"
            if source == path:
                continue
            config = f"runs/{name.split('/')[0]}/config.json"
            damage = both(copy(source, path), edit_json(config, note=1))
            yield case(f"that of {other}", damage)
    best = "runs/run/checkpoints/best.npz"
    yield Case(
        "checkpoint", "none", LOAD, 2, ("best.npz",), damage=remove(best)
    )
    for gone in ("best.npz", "last.npz"):
        yield Case(
            "checkpoint",
            f"no {gone} to go on with",
            RESUME,
            2,
            (gone, "no such file"),
            damage=remove(f"runs/open/checkpoints/{gone}"),
        )
    yield Case("checkpoint", "loop", LOAD, 2, ("best.npz",), damage=loop(best))
    yield Case(
        "checkpoint",
        "no folder of them",
        LOAD,
        2,
        ("best.npz",),
        damage=remove("runs/run/checkpoints"),
    )
