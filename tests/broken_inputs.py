"""Broken inputs for the command lines, and what must be said of each.

A case is data: the words of a command line, and how the folder that it runs
in is broken before. Whole, that folder holds

    data/       a small text in the three files of the Penn Treebank
    text.txt    a text of the user's
    runs/run    a finished run with an agent; runs/other is a copy of it
    runs/open   the same, but for its end: it can be gone on with
    runs/plain  a finished run without an agent
"""

import dataclasses
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

TINY = [
    "--no-download",
    *"--preset quick --rnn_size 8 --max_steps 5".split(),
    *"--num_unroll_steps 6 --batch_size 3 --checkpoint_every 2".split(),
]
NEW = [*TINY, "--name", "new"]
RESUME = [*TINY, "--name", "open", "--resume"]
LOAD = ["--no-download", "--load_model", "runs/run"]
MEASURE = "--no-download --load_model runs/plain --eval_samples 2".split()
PLAIN = [*MEASURE, "--split", "valid"]
COMPARE = ["runs/run", "runs/other", "--samples", "20"]
RED = "\x1b[31mred"
LONG = "n" * 300
HUGE = "1" + "0" * 30  # More than any array has elements.
DIGITS = "9" * 5000  # More than Python turns into a number.


@dataclasses.dataclass(frozen=True)
class Case:
    """One broken input.

    Attributes:
        kind: What is broken.
        name: In which way; unique within the kind.
        arguments: The words of the command line.
        code: The exit code, or those that are right.
        says: What the line on stderr must hold.
        program: Which command it is for.
        damage: Function of the folder that breaks it; None to leave it whole.
        silent: Whether it must end before anything is printed.
    """

    kind: str
    name: str
    arguments: list
    code: int | tuple
    says: tuple = ()
    program: str = "RL_train"
    damage: Callable | None = None
    silent: bool = False

    def __str__(self):
        return f"{self.kind}: {self.name}"


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
        (folder / path).symlink_to(target)

    return damage


def pipe(path):
    """Puts a pipe, which nobody writes into, in the place of a file."""

    def damage(folder):
        remove(path)(folder)
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


def _readable(path):
    """The end of a path that a terminal shows as it is."""
    ends = (path[n:] for n in range(len(path) + 1))
    return next(end for end in ends if end.isprintable())


# Flags.

# The smallest value of each integer flag.
INTEGERS = {
    "--checkpoint_every": 1,
    "--seed": 0,
    "--print_every": 1,
    "--max_steps": 1,
    "--rnn_size": 1,
    "--rnn_layers": 1,
    "--n_actions": 1,
    "--policy_units": 1,
    "--char_embed_size": 1,
    "--highway_layers": 0,
    "--max_word_length": 3,
    "--constant_epochs": 1,
    "--num_unroll_steps": 1,
    "--batch_size": 1,
    "--max_epochs": 1,
    "--policy_start": 0,
    "--rollouts": 1,
    "--task_rollouts": 1,
    "--entropy_steps": 1,
    "--eval_samples": 2,
    "--sentences": 0,
    "--vocabulary_size": 2,
    "--skip": 1,
}
# A value out of bounds for each other number.
NUMBERS = {
    "--dropout": "1",
    "--lamda": "1.0001",
    "--forget_bias": "-inf",
    "--previous_bias": "-inf",
    "--learning_rate": "0",
    "--learning_rate_decay": "1.5",
    "--lr_threshold": "-1e-9",
    "--decay_when": "-1",
    "--param_init": "-0.0",
    "--max_grad_norm": "0",
    "--look_back_shares": "0,0",
    "--random_share": "1.01",
    "--kernels": "1,0",
    "--kernel_features": "0",
    "--discount": "-0.1",
    "--policy_weight": "-1",
    "--entropy_weight": "-inf",
    "--final_entropy_weight": "-inf",
    "--sequence_entropy_weight": "-1",
    "--temperature": "0",
    "--agent_learning_rate": "-1",
}
CHOICES = (
    "--corpus",
    "--mixed_precision",
    "--preset",
    "--model",
    "--observation",
    "--empty_slots",
    "--policy",
    "--estimator",
    "--reward",
    "--baseline",
    "--agent_optimizer",
    "--eval_protocol",
    "--eval_actions",
    "--split",
)
# What is no number, in turns.
NO_INTEGER = ("", "many", "nan", "inf", "1e400", "2.5", "²", RED, "5\n6")
NO_NUMBER = ("", "x", "nan", "inf", "1e400", "½", "0,5x", RED, "\r5,", "1 2")
NO_CHOICE = ("", "best", RED, "a\nb", "LSTM ", "\x00", DIGITS)


def usage(kind, name, arguments, *says, **options):
    """A case that ends before anything else is done."""
    return Case(kind, name, arguments, 2, says, silent=True, **options)


def _value(kind, flag, value):
    """A flag with a wrong value, which is named as far as it is short."""
    arrived = repr(value) if len(value) < 99 else value[:20]
    name = f"{flag}={ascii(value)[:12]}"
    return usage(kind, name, [*NEW, f"{flag}={value}"], flag, arrived)


def _turns(values, start, count):
    return [values[(start + n) % len(values)] for n in range(count)]


def integers():
    for n, (flag, least) in enumerate(INTEGERS.items()):
        values = [*_turns(NO_INTEGER, 2 * n, 2), str(least - 1), HUGE]
        yield from (_value("integer", flag, value) for value in values)
    yield _value("integer", "--rnn_size", DIGITS)
    yield _value("integer", "--seed", str(2**31))


def numbers():
    for n, (flag, beyond) in enumerate(NUMBERS.items()):
        for value in [*_turns(NO_NUMBER, 3 * n, 3), beyond]:
            yield _value("number", flag, value)
    for flag in ("--param_init", "--lamda", "--max_grad_norm"):
        yield _value("number", flag, "1" + "0" * 400)
    # Beyond what a weight can be.
    yield _value("number", "--param_init", "1e308")


def choices():
    for n, flag in enumerate(CHOICES):
        for value in _turns(NO_CHOICE, 2 * n, 2):
            yield _value("choice", flag, value)


def words():
    """Words that are no flags, and flags without their words."""
    yield usage("word", "short", [*NEW, "--rnn_siz", "9"], "unrecognized")
    for word in ("extra", "--no-resume", "-n", RED, f"--{RED}"):
        said = "red" if RED in word else word
        yield usage("word", ascii(word), [*NEW, word], said)
    yield usage("word", "newline", [*NEW, "a\nb"], "unrecognized")
    yield usage("word", "escapes", [*NEW, "\x9b31m\x07\u2028"], "unrecognized")
    yield usage("word", "no bytes", [*NEW, "\udcff\udc80"], "unrecognized")
    yield usage("word", "long", [*NEW, "--" + LONG * 20], "nnnn")
    for flag in (
        "--name",
        "--seed",
        "--preset",
        "--split",
        "--look_back_shares",
    ):
        yield usage("word", f"{flag} without", [*NEW, flag], flag, "expected")
        twice = [*NEW, f"{flag}=1", flag, "--tensorboard"]
        yield usage("word", f"{flag} twice", twice, flag)
    for flag in ("--resume=yes", "--tensorboard=1", "--no-download=0"):
        yield usage("word", flag, [*NEW, flag], flag.split("=")[0])
    for flag in ("name", "data_dir", "train_dir", "load_model", "text"):
        arguments = [*NEW, f"--{flag}="]
        yield usage("word", f"{flag} empty", arguments, flag, "Received: ''")
    yield usage("word", "dash", [*TINY, "--name", "-a"], "--name", "expected")


def together():
    """Flags that need each other, or exclude each other."""
    for flags, *says in (
        ("--baseline leave_one_out --rollouts 1", "--rollouts", "Received: 1"),
        ("--estimator straight_through --baseline leave_one_out", "--rollouts"),
        ("--preset published --baseline leave_one_out", "--rollouts"),
        ("--policy frozen --baseline leave_one_out", "--rollouts"),
        ("--rollouts 2 --task_rollouts 3", "at most --rollouts", "Received: 3"),
        ("--look_back_shares 1,1", "--policy random", "Received"),
        ("--look_back_shares 1 --policy frozen", "Received: --policy frozen"),
        ("--random_share 0 --policy random", "Received: --policy random"),
        (
            "--look_back_shares 0,0,1 --policy random --n_actions 2",
            "--look_back_shares",
            "--n_actions",
        ),
        ("--kernels 1 --kernel_features 2", "--kernels", "--char"),
        ("--no-char --max_word_length 9", "--max_word_length", "--char"),
        ("--char --kernels [2,2]", "--kernels", "distinct", "Received: 2,2"),
        ("--char --kernels 66", "--max_word_length, 65", "Received: 66"),
        ("--char --kernel_features 1,2", "--kernels, 7", "Received: 2"),
        ("--entropy_weight 1 --entropy_steps 9", "--final_entropy_weight"),
        (
            "--estimator straight_through --final_entropy_weight 0",
            "--entropy_steps",
        ),
        ("--load_model x --figure x.png --sentences 0", "--sentences"),
        ("--text text.txt", "--text", "--load_model"),
        ("--split test", "--split", "--load_model"),
        ("--sentences 3", "--sentences", "--load_model"),
        ("--load_model x --text t --split test", "--text", "--split"),
        ("--figure x.png", "--figure", "--load_model"),
        ("--resume --load_model runs/run", "--resume", "--load_model"),
        ("--model lstm --lamda 1", "--lamda", "fixed_skip, attention, dynamic"),
        ("--model lstm --no-keep_buffer", "--keep_buffer", "--model lstm"),
        ("--model lstm --seed 1 --eval_samples 5", "--eval_samples"),
        ("--model fixed_skip --n_actions 3", "--n_actions", "(attention, dyn"),
        ("--model attention --policy random", "--policy", "(dynamic_skip)"),
        ("--skip 5", "--skip", "(fixed_skip). Received: --model dynamic_skip"),
    ):
        yield usage("together", flags, [*NEW, *flags.split()], *says)
    yield usage("together", "--resume", [*TINY, "--resume"], "--name")


# Where runs are.


def run_names():
    for name in (
        *(".", "..", "a/b", "/tmp/a", "a/", "../new", "nul\0", "a\nb"),
        *(RED, "\x7f", "a\u202eb", "\ud800", "\udcff", "tab\t", "\u2028"),
    ):
        case = [*TINY, f"--name={name}"]
        says = ("plain folder name", repr(name))
        yield Case("run name", f"new {name!a}", case, 2, says)
        if len(name) < 3:
            case = [*case, "--resume"]
            yield Case("run name", f"resume {name!a}", case, 2, says)
    for name in (LONG, "ü" * 200, "n" * 250):
        case, says = [*TINY, f"--name={name}"], (name[:9], "too long")
        yield Case("run name", f"{len(name)} {name[:1]!a} long", case, 2, says)
        yield Case(
            "run name",
            f"{len(name)} {name[:1]!a} long, resume",
            [*case, "--resume"],
            2,
            (name[:9],),
        )
    for name, damage in (
        ("folder", make_folder("runs/new")),
        ("file", write("runs/new", "a file")),
        ("loop", loop("runs/new")),
        ("broken link", link("runs/new", "nowhere")),
        ("link", link("runs/new", "run")),
    ):
        says = ("runs/new",)
        yield Case("run name", name, NEW, 2, says, damage=damage)
        if name not in ("link", "folder"):
            case = [*NEW, "--resume"]
            yield Case(
                "run name", f"{name}, resume", case, 2, says, damage=damage
            )
    for name in ("missing", "..."):
        case = [*TINY, "--name", name, "--resume"]
        says = (f"runs/{name}", "no such run")
        yield Case("run name", f"resume {name}", case, 2, says)


def train_dirs():
    for name, path, damage in (
        ("a file", "text.txt", None),
        ("under a file", "text.txt/runs", None),
        ("loop", "loop", loop("loop")),
        ("broken link", "link", link("link", "nowhere/else")),
        ("long", LONG, None),
        ("long below", f"deep/{LONG}/runs", None),
        ("not writable", "/proc/runs", None),
        ("device", "/dev/null", None),
        ("escape", RED, write(RED, "a file")),
        ("newline", "a\nb", write("a\nb", "a file")),
    ):
        says = (_readable(path)[:9],)
        for end in ([], ["--resume"]):
            yield Case(
                "train_dir",
                f"{name}{', resume' if end else ''}",
                [*NEW, "--train_dir", path, *end],
                2,
                says,
                damage=damage,
            )
    yield Case(
        "train_dir",
        "made for a name that is too long",
        [*TINY, "--train_dir", "deep/runs", "--name", LONG],
        2,
        ("deep/runs", "too long"),
    )


# Data.

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


# Run folders.

CONFIG_TEXTS = {
    "empty": b"",
    "a brace": b"{",
    "binary": b"\x93NUMPY\x00\xff",
    "not UTF-8": b'{"settings": "\xff"}',
    "UTF-16": '{"settings": {}}'.encode("utf-16"),
    "a list": b"[]",
    "a string": b'"settings"',
    "null": b"null",
    "NaN": b"NaN",
    "a number too long": f'{{"settings": {DIGITS}}}'.encode(),
    "settings null": b'{"settings": null}',
    "settings a list": b'{"settings": ["rnn_size"]}',
    "no settings": b'{"setting": {}}',
    "empty settings": b'{"task": "language_modeling", "settings": {}}',
    "deep lists": nested(100_000).encode(),
    "deep objects": nested(100_000, '{"settings":', "}").encode(),
    "escapes": RED.encode(),
}
# Values that the flags would not take.
ILLEGAL = (
    ("rnn_size", 0),
    ("rnn_size", "many"),
    ("rnn_size", 2.5),
    ("rnn_size", True),
    ("rnn_size", {"a": 1}),
    ("rnn_size", []),
    ("rnn_size", 10**30),
    ("rnn_layers", -1),
    ("dropout", 1.0),
    ("dropout", float("nan")),
    ("dropout", float("inf")),
    ("lamda", "\x1b[31m"),
    ("model", "gru"),
    ("model", ""),
    ("model", ["lstm"]),
    ("preset", "huge"),
    ("preset", True),
    ("preset", 5),
    ("estimator", "ppo"),
    ("estimator", False),
    ("policy", True),
    ("keep_buffer", "yes"),
    ("keep_buffer", 1),
    ("seed", -1),
    ("look_back_shares", "a\nb"),
    ("look_back_shares", [0, 0]),
    ("look_back_shares", [1, 1]),
    ("char", "yes"),
    ("kernels", [1]),
    ("kernel_features", "[0]"),
    ("baseline", "leave_one_out\x1b"),
    ("rollouts", 1),
    ("task_rollouts", 3),
    ("final_entropy_weight", None),
)


def configs():
    for run, arguments in (("run", LOAD), ("open", RESUME)):
        yield from _configs(f"runs/{run}/config.json", run, arguments)
    path = "runs/run/config.json"
    for key, value in ILLEGAL:
        yield Case(
            "config",
            f"run, {key} {value!a}",
            LOAD,
            2,
            ("runs/run", "config.json"),
            damage=edit_settings(path, **{key: value}),
        )
    for key, value in (("rnn_size", 9), ("seed", True), ("lamda", None)):
        yield Case(
            "config",
            f"open, {key} {value!a}",
            RESUME,
            2,
            ("runs/open", f"--{key}", "now"),
            damage=edit_settings("runs/open/config.json", **{key: value}),
        )
    for value in ("jax", None, ["tensorflow"], ...):
        yield Case(
            "config",
            f"open, backend {value!a}",
            RESUME,
            2,
            ("runs/open", "backend"),
            damage=edit_json("runs/open/config.json", backend=value),
        )


def _configs(path, run, arguments):
    def case(name, damage, *says):
        name = f"{run}, {name}"
        return Case("config", name, arguments, 2, says, damage=damage)

    yield case("missing", remove(path), path)
    yield case("a folder", make_folder(path), path)
    yield case("loop", loop(path), path)
    yield case("cut", change(path, cut(0.4)), path)
    yield case("more", change(path, lambda data: data + b"{}"), path)
    for name, text in CONFIG_TEXTS.items():
        says = ("settings",) if name == "empty settings" else (path,)
        yield case(name, write(path, text), f"runs/{run}", *says)
    edits = {
        "a setting more": {"new_flag": 1},
        "a setting less": {"dropout": ...},
        "an escape more": {RED: 1},
        "a line more": {"a\nb": 1},
        "a surrogate more": {"\udcff": 1},
        "a long one more": {LONG * 30: 1},
    }
    for name, edit in edits.items():
        yield case(
            name, edit_settings(path, **edit), f"runs/{run}", "differing"
        )
    for value in ({}, None, [], "1f", {"train": RED}, ..., 10**400):
        damage = edit_json(path, data_sha256=value)
        yield case(f"hashes {value!a:.20}", damage, f"runs/{run}", "trained on")
    # Read without fault, and yet too deep for what comes after.
    for depth in (300, 900, 930, 950, 960, 970, 980):
        for key in ("data_sha256", "lamda"):
            damage = insert(path, key, nested(depth))
            yield case(f"{key} {depth} deep", damage, f"runs/{run}")


def run_folders():
    for name, path, damage in (
        ("missing", "runs/nowhere", None),
        ("a file", "text.txt", None),
        ("under a file", "text.txt/run", None),
        ("an empty folder", "empty", make_folder("empty")),
        ("loop", "loop", loop("loop")),
        ("long", LONG, None),
        ("escape", RED, None),
        ("newline", "a\nb", None),
        ("no bytes", "\udcff", None),
        ("device", "/dev/null", None),
    ):
        says = (_readable(path), "config.json")
        arguments = ["--no-download", "--load_model", path]
        yield Case(
            "run folder", f"load, {name}", arguments, 2, says, damage=damage
        )
    for flags, says in (
        ("--n_actions 3", "--n_actions 5, now 3"),
        ("--preset small", "--preset 'quick', now 'small'"),
        ("--model lstm --rnn_size 7", "--rnn_size 8, now 7"),
    ):
        arguments = [*LOAD, *flags.split()]
        says = ("runs/run", says)
        yield Case("run folder", f"load, {flags}", arguments, 2, says)
    config = "runs/run/config.json"
    yield Case(
        "run folder",
        "load, of another task",
        LOAD,
        2,
        ("a run of language_modeling. Received: one of 'number_prediction'",),
        damage=edit_json(config, task="number_prediction"),
    )
    lock = "runs/open/lock"
    for name, damage in (
        ("lock a folder", make_folder(lock)),
        ("lock a loop", loop(lock)),
    ):
        says = ("runs/open",)
        yield Case("run folder", name, RESUME, 2, says, damage=damage)
    record = "runs/open/result.json"
    for name, text in (
        ("empty", ""),
        ("cut", '{"task": "lan'),
        ("a list", "[]"),
        ("not UTF-8", b"\xff"),
        ("deep", nested(100_000)),
        ("keys missing", "{}"),
    ):
        says = (record,)
        damage = write(record, text)
        case = ("run folder", f"result {name}", RESUME, (1, 2), says)
        yield Case(*case, damage=damage)
    for key, value in (
        ("test", {"tokens": 9}),
        ("test", {"perplexity": "low"}),
        ("test", {"perplexity": 1, "sampled_n": 2}),
        ("published", None),
        ("published", {}),
        ("true_perplexity", {}),
        ("true_perplexity", {"test": "low"}),
        ("test", {"perplexity": 10**400}),
        ("published", {"test_perplexity": RED, "source": "a"}),
    ):
        yield Case(
            "run folder",
            f"result {key} {value!a:.40}",
            RESUME,
            (0, 1, 2) if not value or key == "published" else (1, 2),
            ("result.json",),
            damage=both(
                copy("runs/run/result.json", record),
                edit_json(record, **{key: value}),
            ),
        )
    for published in ({"source": None}, {"source": [1]}, {"source": RED}):
        yield Case(
            "run folder",
            f"result published {published!a}",
            RESUME,
            (0, 1, 2),
            ("result.json",),
            damage=both(
                copy("runs/run/result.json", record),
                edit_json(
                    record, published={"test_perplexity": 1, **published}
                ),
            ),
        )


def odd_names():
    """Names that a terminal cannot show, of files and folders that are whole.

    They may do; and if so, nothing of them reaches the terminal as it is.
    """
    for name in (RED, "\udcff"):
        for flag, target in (
            ("--train_dir", None),
            ("--data_dir", "data"),
            ("--load_model", "runs/plain"),
            ("--text", "text.txt"),
        ):
            new = [*NEW, "--model", "lstm", "--max_steps", "1"]
            yield Case(
                "odd name",
                f"{flag} {name!a}",
                [*(MEASURE if target else new), flag, name],
                (0, 2, 3),
                (flag[2:],),
                damage=link(name, target) if target else None,
            )


# Checkpoints.


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


# Texts and pictures.


def texts():
    def case(name, code, damage, *says, path="text.txt"):
        arguments = [*MEASURE, "--text", path]
        return Case("text", name, arguments, code, says, damage=damage)

    for name, path, damage in (
        ("missing", "nowhere.txt", None),
        ("a folder", "runs", None),
        ("under a file", "text.txt/text", None),
        ("loop", "loop", loop("loop")),
        ("long", LONG, None),
        ("escape", f"{RED}.txt", None),
        ("newline", "a\nb.txt", None),
        ("no bytes", "\udcff.txt", None),
    ):
        rule = "regular file" if name == "a folder" else "must be readable"
        yield case(name, 3, damage, _readable(path), rule, path=path)
    yield case("empty", 3, write("text.txt", b""), "text.txt", "must not be")
    for name, content in (
        ("blanks", b" \t \n" * 50),
        ("lines", b"\n\r\n\n"),
        ("other blanks", "\u3000\u2003\x0c\x1c\n".encode()),
    ):
        damage = write("text.txt", content)
        yield case(name, 3, damage, "text.txt", "at least one word")
    for name, content in (
        ("latin-1", "café\n".encode("latin-1")),
        ("cut within a letter", "word1 é".encode()[:-1]),
        ("surrogates", b"\xed\xa0\x80"),
    ):
        damage = write("text.txt", content)
        yield case(name, 3, damage, "text.txt", "UTF-8", "byte")
    for name, content in (
        ("binary", bytes(range(256))),
        ("UTF-16 without its mark", "word1 word2\n".encode("utf-16-le")),
        ("gzip", gzip.compress(b"word1\n", mtime=0)),
        ("zeros", bytes(100)),
    ):
        damage = write("text.txt", content)
        yield case(name, 3, damage, "text.txt", "text file", "zero byte")
    damage = write("text.gz", gzip.compress(b"word1\n")[:-1])
    yield case("cut gzip", 3, damage, "text.gz", "gzip", path="text.gz")
    # Odd, and yet texts.
    for name, content in (
        ("escapes", RED.encode()),
        ("byte order mark", b"\xef\xbb\xbfword1 word2\n"),
        ("UTF-16", "word1 word2\n".encode("utf-16")),
        ("CR", b"word1 word2\rword3\r"),
        ("controls", b"word1 \x1b[31m \x07 \x7f word2\x1a"),
        ("unseen", "wo\u200brd1 \xa0word2\ufffd <eos>\n".encode()),
        ("one word", b"word1"),
        ("ends of sentences", b"<eos> <eos>"),
        ("one line of 5 MB", b" " * 5_000_000 + b"word1 word2"),
        ("one word of 5 MB", b"w" * 5_000_000 + b" word1\n"),
    ):
        yield case(name, 0, write("text.txt", content))


def figures():
    for path in (
        *("", "x", "png", ".png", "x.jpg", "x.png.gz", "x.png "),
        *(f"{RED}.gif", "a\nb.bmp", "x.p\x00ng"),
    ):
        arguments = [*LOAD, f"--figure={path}"]
        says = ("--figure", ".png", repr(path))
        yield usage("figure", f"suffix {path!a}", arguments, *says)
    for name, path, damage in (
        ("no folder", "nowhere/x.png", None),
        ("a slash", "x.svg/", None),
        ("under a file", "text.txt/x.png", None),
        ("a folder", "folder.png", make_folder("folder.png")),
        ("folder a loop", "loop/x.svg", loop("loop")),
        ("long", f"{LONG}.pdf", None),
        ("long folder", f"{LONG}/x.pdf", None),
        ("escape", f"{RED}/x.png", None),
    ):
        arguments = [*LOAD, "--figure", path]
        yield usage(
            *("figure", name, arguments, "--figure", _readable(path)[:9]),
            damage=damage,
        )
    arguments = [*PLAIN, "--figure", "x.png"]
    yield Case("figure", "plain model", arguments, 2, ("--figure", "lstm"))


# Tables of runs.

RECORD_TEXTS = {
    "empty": b"",
    "cut": b'{"task": "language_modeling", "mod',
    "a list": b"[]",
    "no keys": b"{}",
    "not UTF-8": b'{"task": "\xff"}',
    "binary": b"\x93NUMPY\x00",
    "deep": nested(100_000).encode(),
    "deep objects": nested(100_000, '{"task":', "}").encode(),
    "many digits": f'{{"seconds": {DIGITS}}}'.encode(),
    "escapes": RED.encode(),
}
RECORD_VALUES = (
    ("task", 1),
    ("model", None),
    ("corpus", ["ptb"]),
    ("settings", []),
    ("parameters", "many"),
    ("parameters", True),
    ("parameters", 1.5),
    ("seconds", "NaN"),
    ("seconds", float("nan")),
    ("seconds", float("inf")),
    ("seconds", 10**400),
    ("steps", ...),
    ("test", ...),
    ("test", {"perplexity": "low"}),
    ("test", {"perplexity": float("nan")}),
    ("test", {"perplexity": 10**400}),
    ("test", {"perplexity": True}),
    ("test", {"perplexity": 1, "perplexity_sampled_mean": [1]}),
    ("test", {"perplexity_sampled_mean": 1, "perplexity_sampled_std": {}}),
    ("test", {"perplexity": {RED: LONG}}),
    ("published", 114.5),
    ("published", {"test_perplexity": "low"}),
    ("true_perplexity", {"test": float("inf")}),
    ("true_perplexity", [1]),
    ("epochs", 3),
    ("run_folder", 3),
)
METRICS = {
    "not UTF-8": b"\xff\n",
    "no JSON": b"{\n",
    "an empty line": b"\n",
    "a list": b"[1]\n",
    "no epoch": b"{}\n",
    "epoch 0": b'{"epoch": 0}\n',
    "epoch true": b'{"epoch": true}\n',
    "epoch twice": b'{"epoch": 1}\n{"epoch": 1}\n',
    "not finite": b'{"epoch": 1, "valid_perplexity": NaN}\n',
    "beyond a float": b'{"epoch": 1, "seconds": 1%s}\n' % (b"0" * 400),
    "many digits": f'{{"epoch": {DIGITS}}}\n'.encode(),
    "below 0": b'{"epoch": 1, "seconds": -1}\n',
    "a word": b'{"epoch": 1, "train_perplexity": "low"}\n',
    "deep": nested(100_000).encode() + b"\n",
    "escapes": f'{{"epoch": "{RED}"}}\n'.encode().replace(b"\x1b", b"\\u001b"),
}


def _scores(**arrays):
    """Rewrites the scores as other arrays."""

    def function(content):
        with np.load(io.BytesIO(content)) as old:
            changed = _edited(dict(old), arrays)
        file = io.BytesIO()
        np.savez(file, **changed)
        return file.getvalue()

    return function


SCORES = {
    "empty": lambda data: b"",
    "text": lambda data: b"no archive\n" * 99,
    **{f"cut at {s}": cut(s) for s in (0.02, 0.3, 0.7, 0.97)},
    "a byte short": cut(1),
    "a flipped bit": flip(0.3),
    "no nll": _scores(nll=...),
    "other shape": _scores(nll=np.ones((3, 2))),
    "other lengths": _scores(nll=np.ones(3)),
    "nothing": _scores(nll=np.ones(0)),
    "not finite": lambda data: _scores(nll=np.full(9, np.nan))(data),
    "integers": _scores(look_back=np.ones(9)),
    "sentences fall": _scores(sentence=np.arange(9)[::-1]),
    "objects": members(lambda old: [(old[0][0], bombs()), *old[1:]]),
    "LZMA, damaged": broken_lzma,
    "a header without its end": first_member(
        lambda _: header("{'descr': '<f8', 'fortran_order': False, (")
    ),
    "a header too large": first_member(
        lambda _: header(
            f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({HUGE},)}}"
        )
    ),
    "a header of odd types": first_member(
        lambda _: header(
            "{'descr': [('a',), 3], 'fortran_order': False, 'shape': (1,)}"
        )
    ),
    "one array alone": lambda data: as_array(np.zeros(3)),
}


def tables():
    both_runs = ("runs/run", "runs/other")

    def case(name, damage, *says, arguments=both_runs, code=1):
        words = ("table", name, list(arguments), code, says)
        return Case(*words, program="table", damage=damage)

    path = "runs/other/result.json"
    yield Case("table", "nothing", [], 2, ("RUN",), "table", silent=True)
    yield Case("table", "a flag", ["--x"], 2, ("RUN",), "table", silent=True)
    yield Case(
        *("table", "an escape", ["runs/run", f"--{RED}"], 2, ("red",)),
        program="table",
        silent=True,
    )
    for name, run, *damage in (
        ("missing", "nowhere"),
        ("a file", "text.txt"),
        ("no record", "runs/open"),
        ("long", LONG),
        ("escape", RED),
        ("newline", "a\nb"),
        ("no bytes", "\udcff"),
        ("loop", "loop", loop("loop")),
        ("another file", "runs/run/config.json"),
    ):
        yield case(name, *damage or [None], arguments=["runs/run", run])
    yield case("a folder", make_folder(path), path)
    for name, text in RECORD_TEXTS.items():
        yield case(name, write(path, text), path)
    for key, value in RECORD_VALUES:
        damage = edit_json(path, **{key: value})
        yield case(f"{key} {value!a:.40}", damage, "runs/other", key)
    for key, value in (
        ("model", RED),
        ("corpus", "a\nb"),
        ("published", {"test_perplexity": 1, "source": ["a"]}),
        ("published", {"test_perplexity": 1, "source": {"a": 1}}),
        ("published", {"test_perplexity": 1, "source": RED}),
        ("published", {"test_perplexity": 1, "source": "a\nb"}),
        ("parameters", 10**400),
        ("parameters", -1),
    ):
        damage = edit_json(path, **{key: value})
        yield case(f"{key} {value!a:.60} shown", damage, code=(0, 1))


def comparisons():
    def case(name, damage, *says, arguments=COMPARE, code=1):
        words = ("compare", name, list(arguments), code, says)
        return Case(*words, program="compare", damage=damage)

    other = "runs/other"
    for words in (
        [],
        ["--level", "95"],
        ["--level", "nan"],
        ["--level", "1e-400"],
        ["--level=-1"],
        ["--level", ""],
        ["--samples", "0"],
        ["--samples", "²"],
        ["--samples", "1e3"],
        ["--samples", HUGE],
        ["--samples", DIGITS],
        ["--sample", "5"],
        ["--figure", "x.jpg"],
        ["--figure", ""],
        ["--figure", f"{RED}.x"],
        [f"--{RED}"],
        ["--level"],
    ):
        runs = ["runs/run"] * bool(words)
        says = (
            ("RUN",)
            if not words
            else ("red" if RED in words[0] else words[0].split("=")[0],)
        )
        name = f"words {' '.join(map(ascii, words))[:40]}"
        yield Case(
            *("compare", name, [*runs, *words], 2, says),
            program="compare",
            silent=True,
        )
    for name, run, *damage in (
        ("missing", "nowhere"),
        ("a file", "text.txt"),
        ("long", LONG),
        ("escape", RED),
        ("newline", "a\nb"),
        ("no bytes", "\udcff"),
        ("loop", "loop", loop("loop")),
        ("empty", "empty", make_folder("empty")),
        ("under a file", "text.txt/a"),
    ):
        yield case(name, *damage or [None], arguments=["runs/run", run])
    for name, text in CONFIG_TEXTS.items():
        if name != "empty settings":
            path = f"{other}/config.json"
            yield case(f"config {name}", write(path, text), path)
    for name, text in METRICS.items():
        path = f"{other}/metrics.jsonl"
        yield case(f"metrics {name}", write(path, text), path)
    yield case("metrics a folder", make_folder(f"{other}/metrics.jsonl"), other)
    for name in ("empty", "deep", "many digits", "not UTF-8"):
        path = f"{other}/result.json"
        yield case(f"record {name}", write(path, RECORD_TEXTS[name]), path)
    for value in ("low", 10**400, float("nan")):
        damage = edit_json(f"{other}/result.json", test={"perplexity": value})
        yield case(f"perplexity {value!a:.9}", damage, other, "perplexity")
    for name, function in SCORES.items():
        path = f"{other}/test_scores.npz"
        yield case(f"scores {name}", change(path, function), path)
    yield case(
        "scores a folder", make_folder(f"{other}/test_scores.npz"), other
    )
    # What does not hinder a comparison, or is said in the table.
    for value in ([1], {"test": ["1f"]}, {"test": {"a": 1}}, None):
        yield case(
            f"hashes {value!a}",
            edit_json(f"{other}/config.json", data_sha256=value),
            code=(0, 1),
        )
    for value in (RED, "a\nb", LONG, [RED], {"a": None}, 10**400):
        yield case(
            f"setting {value!a:.20}",
            edit_settings(f"{other}/config.json", lamda=value),
            code=(0, 1),
        )
    for key in (RED, "a\nb", "a|b", LONG):
        yield case(
            f"name of a setting {key!a:.20}",
            edit_settings(f"{other}/config.json", **{key: 1}),
            code=(0, 1),
        )
    for name, text in (("deep", nested(100_000)), ("many digits", DIGITS)):
        yield case(
            f"metrics {name} in a last line without its end",
            write(f"{other}/metrics.jsonl", text),
            code=(0, 1),
        )
    for path, damage in (
        ("nowhere/x.png", None),
        ("folder.png", make_folder("folder.png")),
        ("loop.svg", loop("loop.svg")),
        (f"{LONG}.pdf", None),
        ("text.txt/x.png", None),
        ("/proc/x.png", None),
    ):
        yield case(
            f"figure {path:.20}",
            damage,
            path[:99],
            arguments=[*COMPARE, "--figure", path],
            code=(1, 2),
        )


def special_files():
    """Pipes and devices in the place of each file that is read."""
    text = [*MEASURE, "--text", "text.txt"]
    tables_of = ["runs/run", "runs/other"]
    for program, arguments, code, path in (
        ("RL_train", LOAD, 2, "runs/run/config.json"),
        ("RL_train", LOAD, 2, "runs/run/checkpoints/best.npz"),
        ("RL_train", RESUME, 2, "runs/open/config.json"),
        ("RL_train", RESUME, 2, "runs/open/checkpoints/last.npz"),
        ("RL_train", RESUME, 2, "runs/open/checkpoints/best.npz"),
        ("RL_train", RESUME, 1, "runs/open/result.json"),
        ("RL_train", NEW, 3, "data/ptb.valid.txt"),
        ("RL_train", text, 3, "text.txt"),
        ("table", tables_of, 1, "runs/other/result.json"),
        ("compare", COMPARE, 1, "runs/other/result.json"),
        ("compare", COMPARE, 1, "runs/other/config.json"),
        ("compare", COMPARE, 1, "runs/other/metrics.jsonl"),
        ("compare", COMPARE, 1, "runs/other/test_scores.npz"),
    ):
        for name, damage in (
            ("a pipe", pipe(path)),
            ("a link to a device", link(path, "/dev/zero")),
        ):
            yield Case(
                "special file",
                f"{program}, {arguments[-1]}, {path}, {name}",
                list(arguments),
                code,
                (path, "not a regular file"),
                program,
                damage,
            )


GENERATORS = (
    integers,
    numbers,
    choices,
    words,
    together,
    run_names,
    train_dirs,
    data,
    own_data,
    configs,
    run_folders,
    odd_names,
    checkpoints,
    texts,
    figures,
    tables,
    comparisons,
    special_files,
)


def cases():
    """All cases."""
    return [case for generator in GENERATORS for case in generator()]
