"""Corpora that are missing or broken."""

import gzip
import lzma

import numpy as np

from broken_inputs.case import LOAD, LONG, NEW, RED, RESUME, Case
from broken_inputs.damage import (
    both,
    change,
    cut,
    flip,
    link,
    loop,
    make_folder,
    remove,
    write,
)

TRAIN, VALID, TEST = (f"ptb.{s}.txt" for s in ("train", "valid", "test"))
TEXT_DAMAGES = {
    "empty": lambda data: b"",
    "cut": cut(0.5),
    "a byte short": cut(1),
    "a flipped bit": flip(0.5),
    "one more line": lambda data: data + b" word1 \n",
    "zeros": lambda data: b"\0" * 999,
    "a zero at the end": lambda data: data + b"\0",
    "binary": lambda data: np.random.default_rng(0).bytes(5000),
    "latin-1": lambda data: data + " é \n".encode("latin-1"),
    "utf-16": lambda data: data.decode().encode("utf-16"),
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "carriage returns": lambda data: data.replace(b"\n", b"\r\n"),
    "one long line": lambda data: b"word1 " * 700_000,
    "one long word": lambda data: b"w" * 4_000_000,
    "escapes": lambda data: RED.encode() + data,
}
GZIP_DAMAGES = {
    "no gzip": lambda data: data,
    "empty gzip": lambda data: b"",
    "gzip of nothing": lambda data: gzip.compress(b""),
    "gzip of another text": lambda data: gzip.compress(data + b"\n"),
    "gzip cut in its header": lambda data: gzip.compress(data)[:7],
    "gzip cut": lambda data: cut(0.5)(gzip.compress(data)),
    "gzip without its end": lambda data: cut(5)(gzip.compress(data)),
    "gzip with a flipped header": lambda data: flip(0.0)(gzip.compress(data)),
    "gzip with a flipped body": lambda data: flip(0.6, 3)(gzip.compress(data)),
    "gzip with a flipped sum": lambda data: flip(0.9999)(gzip.compress(data)),
    "gzip and more": lambda data: gzip.compress(data) + b"more",
    "gzip of gzip": lambda data: gzip.compress(gzip.compress(data)),
}


def pack(name, function):
    """Puts a packed file in the place of a plain one."""

    def damage(folder):
        data = (folder / "data" / name).read_bytes()
        (folder / "data" / f"{name}.gz").write_bytes(function(data))
        (folder / "data" / name).unlink()

    return damage


def _whole(name):
    return pack(name, gzip.compress)


def data():
    def case(name, damage, *says, arguments=(*NEW, "--data_dir", "data")):
        return Case("data", name, list(arguments), 3, says, damage=damage)

    for name, path, damage in (
        ("missing", "nowhere", None),
        ("a file", "text.txt", None),
        ("under a file", "text.txt/data", None),
        ("newline", "a\nb", None),
        ("escape", RED, None),
        ("long", LONG, None),
        ("loop", "loop", loop("loop")),
        ("no bytes", "\udcff", None),
        ("device", "/dev/null", None),
    ):
        arguments = [*NEW, "--data_dir", path]
        yield case(name, damage, "data_dir", arguments=arguments)
        if name in ("missing", "long"):
            arguments = [*LOAD, "--data_dir", path]
            yield case(f"{name}, load", damage, "data_dir", arguments=arguments)
    yield case("empty folder", make_folder("data"), "data", "without", TRAIN)
    for file in (TRAIN, VALID, TEST):
        path = f"data/{file}"
        yield case(f"no {file}", remove(path), f"without {file}")
        yield case(f"folder {file}", make_folder(path), file, "a folder")
        yield case(f"loop {file}", loop(path), file)
    yield case("broken link", link(f"data/{VALID}", "nowhere"), VALID)
    yield case(
        "splits the wrong way round",
        change(f"data/{VALID}", lambda _: b" word1 \n"),
        VALID,
        "sha256",
    )
    # Each file is damaged in its turn.
    for n, (name, function) in enumerate(TEXT_DAMAGES.items()):
        file = (TRAIN, VALID, TEST)[n % 3]
        damage = change(f"data/{file}", function)
        yield case(f"{file} {name}", damage, file, "Received: ")
    for n, (name, function) in enumerate(GZIP_DAMAGES.items()):
        file = (TRAIN, VALID, TEST)[n % 3]
        yield case(f"{file} {name}", pack(file, function), f"{file}.gz")
    yield case(
        "packed, but for a damaged one",
        both(_whole(TRAIN), _whole(TEST), change(f"data/{VALID}", cut(9))),
        VALID,
    )
    yield case(
        "damaged, with a whole one packed beside it",
        both(
            _whole(VALID),
            write(f"data/{VALID}", "other words\n"),
        ),
        VALID,
    )
    # Found by the environment, and for a run that is there.
    for end, arguments in (("train", NEW), ("resume", RESUME), ("load", LOAD)):
        yield case(
            f"{end}, a missing file",
            remove(f"data/{TRAIN}"),
            "DSL_DATA_DIR",
            TRAIN,
            arguments=arguments,
        )
        yield case(
            f"{end}, a damaged file",
            change(f"data/{VALID}", cut(3)),
            VALID,
            arguments=arguments,
        )


def own_data():
    """Texts of the user's, of which nothing is known beforehand."""
    whole = {
        "train": b"word1 word2\nword1\n" * 40,
        "valid": b"word1 word3\n" * 20,
        "test": b"word2\n" * 40,
    }

    def case(name, changes, *says, more=()):
        contents = {f"own/{s}.txt": text for s, text in whole.items()}
        contents.update(changes)
        parts = [write(p, c) for p, c in contents.items() if c is not None]
        arguments = [*NEW, "--data_dir", "own", *more]
        return Case("data", name, arguments, 3, says, damage=both(*parts))

    for split in whole:
        name = f"{split}.txt"
        yield case(f"own, no {name}", {f"own/{name}": None}, f"without {name}")
    train = "own/train.txt"
    for name, content, says in (
        ("empty", b"", "must not be empty"),
        ("latin-1", b"caf\xe9 \n", "UTF-8 text. Received: byte 0xe9"),
        ("UTF-16 unmarked", "word1\n".encode("utf-16-le"), "zero byte"),
        ("zeros", b"word1\0\n", "a zero byte at offset 5"),
    ):
        yield case(f"own, {name}", {train: content}, train, says)
    for name, content in (
        ("no xz", b"word1\n"),
        ("cut", cut(9)(lzma.compress(whole["train"]))),
        ("flipped", flip(0.5)(lzma.compress(whole["train"]))),
        ("padded oddly", lzma.compress(whole["train"]) + bytes(3)),
        ("gzip", gzip.compress(whole["train"])),
    ):
        changes = {train: None, f"{train}.xz": content}
        yield case(f"own, xz {name}", changes, f"{train}.xz", "must ")
    yield case(
        "own, in the name of WikiText-2",
        {f"own/wiki.{split}.tokens": text for split, text in whole.items()},
        "wiki.train.tokens",
        "sha256",
    )
    for name in ("generated", "wikitext2", "ptb_characters"):
        more = ["--corpus", name]
        yield case(f"own, asked for {name}", {}, "own", more=more)
    arguments = [*NEW, "--corpus", "own"]
    yield Case("data", "own, nowhere", arguments, 3, ("`data_dir`",))
