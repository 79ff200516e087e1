"""How folders, files and archives are broken."""

import hashlib
import io
import json
import os
import shutil
import stat
import zipfile
from pathlib import Path

import numpy as np

# How a folder is broken. Files are replaced, never written into: those of the
# whole folder may be links.


def write(path, content):
    """Replaces a file."""

    def damage(folder):
        remove(path)(folder)
        data = content.encode() if isinstance(content, str) else content
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)

    return damage


def change(path, function):
    """Replaces a file's bytes by a function of them."""

    def damage(folder):
        content = (folder / path).read_bytes()
        write(path, function(content))(folder)

    return damage


def copy(source, path):
    """Puts a copy of one file in the place of another."""

    def damage(folder):
        write(path, (folder / source).read_bytes())(folder)

    return damage


def remove(path):
    """Removes a file or a folder."""

    def damage(folder):
        target = folder / path
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    return damage


def make_folder(path):
    """Puts a folder where a file should be."""

    def damage(folder):
        remove(path)(folder)
        (folder / path).mkdir(parents=True)

    return damage


def link(path, target):
    """Puts a symbolic link in the place of a file."""

    def damage(folder):
        remove(path)(folder)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(target)

    return damage


def link_within(path, target):
    """Puts a link to a place in the folder in the place of a file."""

    def damage(folder):
        link(path, folder / target)(folder)

    return damage


def move(path, target):
    """Moves a file or a folder."""

    def damage(folder):
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).rename(folder / target)

    return damage


def socket(path):
    """Puts a socket, which nobody listens at, in the place of a file."""

    def damage(folder):
        remove(path)(folder)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        os.mknod(folder / path, stat.S_IFSOCK | 0o600)

    return damage


def sparse(path, size):
    """Puts a file of so many zeros, which take no room, in its place."""

    def damage(folder):
        write(path, b"")(folder)
        os.truncate(folder / path, size)

    return damage


def pipe(path):
    """Puts a pipe, which nobody writes into, in the place of a file."""

    def damage(folder):
        remove(path)(folder)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(folder / path)

    return damage


def loop(path):
    """Puts a link to itself in the place of a file."""
    return link(path, Path(path).name)


def both(*damages):
    """One after the other."""

    def damage(folder):
        for one in damages:
            one(folder)

    return damage


def cut(share):
    """Keeps the first part, or all but the last so many bytes."""
    if isinstance(share, int):
        return lambda data: data[:-share]
    return lambda data: data[: int(share * len(data))]


def flip(share, bit=0):
    """Turns one bit over."""

    def function(data):
        changed = bytearray(data)
        changed[int(share * (len(data) - 1))] ^= 1 << bit
        return bytes(changed)

    return function


def edit_json(path, **values):
    """Sets keys of a JSON file; `...` takes one away."""

    def function(data):
        return json.dumps(_edited(json.loads(data), values)).encode()

    return change(path, function)


def edit_settings(path, **values):
    """Sets keys of the settings of a run."""

    def function(data):
        config = json.loads(data)
        config["settings"] = _edited(config["settings"], values)
        return json.dumps(config).encode()

    return change(path, function)


def insert(path, key, text):
    """Gives a key a value that JSON's own writer would not write."""

    def function(data):
        marked = json.dumps(_edited_anywhere(json.loads(data), key, "@@"))
        return marked.replace('"@@"', text).encode()

    return change(path, function)


def _edited(values, changes):
    values = {**values, **changes}
    return {key: value for key, value in values.items() if value is not ...}


def _edited_anywhere(values, key, value):
    if key in values.get("settings", {}) and key not in values:
        return {**values, "settings": {**values["settings"], key: value}}
    return {**values, key: value}


def nested(depth, opening="[", closing="]"):
    """A value within so many others."""
    return opening * depth + "0" * (opening != "[") + closing * depth


# How an archive is broken.


def members(function):
    """Rewrites an archive by a function of its members, a list of pairs."""

    def changed(data):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            old = [(name, archive.read(name)) for name in archive.namelist()]
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name, content, *kind in function(old):
                archive.writestr(name, content, *kind)
        return file.getvalue()

    return changed


def first_member(function):
    """Rewrites the first array."""

    def changed(old):
        (name, content), *rest = old
        return [(name, function(content)), *rest]

    return members(changed)


def state(function):
    """Rewrites what an archive holds beside its arrays."""

    def changed(old):
        *rest, (name, content) = old
        content = function(json.loads(content))
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        return [*rest, (name, content)]

    return members(changed)


def forged(function):
    """Rewrites the state of a checkpoint, with a sum that fits it."""

    def changed(old):
        *arrays, (name, content) = old
        header = json.loads(content)
        header["state"] = function(header["state"])
        text = json.dumps(header["state"], sort_keys=True)
        digest = hashlib.sha256(text.encode())
        for key, array in arrays:
            digest.update(key.encode())
            digest.update(np.load(io.BytesIO(array)).tobytes())
        header["sha256"] = digest.hexdigest()
        return [*arrays, (name, json.dumps(header).encode())]

    return members(changed)


def progress(**values):
    """Sets keys of where a training stands, in a sound checkpoint."""
    return forged(
        lambda inner: {
            **inner,
            "progress": _edited(inner["progress"], values),
        }
    )


def entry(**values):
    """Sets keys of what was measured of the first epoch."""

    def changed(inner):
        first, *more = inner["progress"]["entries"]
        entries = [_edited(first, values), *more]
        inner["progress"]["entries"] = entries
        return inner

    return forged(changed)


def as_array(array, **options):
    """The bytes of a `.npy` file."""
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def edited_array(function):
    """Rewrites the first array as an array."""
    return first_member(
        lambda content: as_array(function(np.load(io.BytesIO(content))))
    )


def header(text, data=b"\0" * 12):
    """A `.npy` file with a header as given."""
    text = text.ljust(117) + "\n"
    size = len(text).to_bytes(2, "little")
    return b"\x93NUMPY\x01\x00" + size + text.encode() + data


class Bomb:
    """Leaves a file behind where it is unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("unpickled",))


def bombs():
    """An array that executes something when it is loaded."""
    array = np.empty(2, object)
    array[:] = [Bomb(), Bomb()]
    return as_array(array, allow_pickle=True)


def packed(content):
    """A member that is far smaller in the file than out of it."""
    return content, zipfile.ZIP_DEFLATED


def broken_lzma(data):
    """An archive whose first member is damaged and packed by LZMA."""
    changed = members(lambda old: [(*old[0], zipfile.ZIP_LZMA), *old[1:]])(data)
    # Behind the local header, the name and the properties.
    start = 30 + changed[26] + 256 * changed[27] + 9
    return changed[:start] + b"\xff" * 8 + changed[start + 8 :]


def readable(path):
    """The end of a path that a terminal shows as it is."""
    ends = (path[n:] for n in range(len(path) + 1))
    return next(end for end in ends if end.isprintable())
