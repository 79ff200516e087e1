"""Broken inputs end in one clear line, the right exit code and no damage."""

import collections
import contextlib
import dataclasses
import errno
import fcntl
import fnmatch
import gzip
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import broken_inputs
import keras
import numpy as np
import pytest
from small_runs import uncompiled

from dsl.datasets import corpus, ptb
from dsl.datasets import files as corpus_files
from dsl.experiment import output
from dsl.runs import checkpoints, results
from dsl.training.streams import StreamTrainer
from language_modeling import RL_train, gradient_norms
from language_modeling.model import build_model
from language_modeling.task import TASK
from number_prediction import produce_data, train_RL10_1

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import compare
import keep
import overhead
import table

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        RL_train,
        compare,
        gradient_norms,
        keep,
        overhead,
        produce_data,
        table,
        train_RL10_1,
    )
}
# Those that train, which say less of what they do if they are told so.
TRAINING = ("RL_train", "train_RL10_1", "gradient_norms")
LONGEST = 60  # seconds that a program may take to end
MOST_HASHED = 2**20  # bytes
# Flags that name files and folders, which have cases of their own.
PATHS = {
    "--data_dir",
    "--train_dir",
    "--name",
    "--load_model",
    "--text",
    "--figure",
}
LONGEST_LINE = 1500
CASES = broken_inputs.cases()
# Without an agent, which is faster.
LSTM = [*broken_inputs.TINY, "--model", "lstm"]


# Where the cases run.


def make_texts():
    """Texts of the three splits, in the form of the Penn Treebank."""
    rng = np.random.default_rng(0)
    words = [*(f"word{n}" for n in range(10)), "<unk>"]

    def lines(count):
        drawn = rng.choice(words, (count, 5))
        return "".join(f" {' '.join(line)} \n" for line in drawn)

    all_words = f" {' '.join(words)} \n"
    return {
        "train": all_words + lines(40),
        "valid": lines(8),
        "test": lines(8),
    }


def write_texts(folder, texts):
    """Writes the texts as the files of the Penn Treebank."""
    folder.mkdir()
    for split, name in ptb.WORDS.files.items():
        (folder / name).write_text(texts[split])


def take_for_ptb(patch, texts):
    """Lets the loader expect these texts."""
    sha256 = {
        split: hashlib.sha256(text.encode()).hexdigest()
        for split, text in texts.items()
    }
    encoded = corpus.from_texts("ptb", texts)
    tokens = {split: len(getattr(encoded, split)) for split in texts}
    known = dataclasses.replace(
        ptb.WORDS,
        sha256=sha256,
        tokens=tokens,
        vocabulary_size=len(encoded.vocabulary),
    )
    patch.setattr(ptb, "WORDS", known)


@contextlib.contextmanager
def within(folder):
    """In a folder that holds the data, and with nothing compiled.

    The models are so small that compiling them takes far longer than running
    them.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DSL_DATA_DIR", str(folder / "data"))
        patch.setenv("KERAS_BACKEND", keras.backend.backend())
        take_for_ptb(patch, make_texts())
        with uncompiled():
            yield patch


def words_of(program, arguments, notes=False):
    """The words of a command line.

    Args:
        program: Which command it is for.
        arguments: Those of a case.
        notes: Whether notes, on standard error, are wanted too.
    """
    quiet = program in TRAINING and not notes
    return [*["--verbosity=error"] * quiet, *arguments]


def call(program, arguments, patch, notes=False):
    """Exit code of a command, run in this process; see `words_of`."""
    module = PROGRAMS[program]
    output.set_verbosity("info" if notes else "error")
    arguments = words_of(program, arguments, notes)
    patch.setattr(sys, "argv", [f"{program}.py", *arguments])
    try:
        return module.main(module.parse_args(arguments))
    except SystemExit as end:
        return end.code


def run(case):
    """Exit code of a command in a line of bash, and what it wrote."""
    command = [sys.executable, PROGRAMS[case.program].__file__]
    command += words_of(case.program, case.arguments, case.notes)
    done = subprocess.run(
        ["bash", "-c", case.shell, "bash", *command],
        capture_output=True,
        encoding="utf-8",
        timeout=LONGEST,
    )
    return done.returncode, done.stdout, done.stderr


class Hang(BaseException):
    """A program has not ended in time; no program catches this."""


@contextlib.contextmanager
def limited(seconds):
    """Raises a `Hang` where the block takes longer."""

    def give_up(number, frame):
        raise Hang(f"more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder that `broken_inputs` describes, unbroken."""
    folder = tmp_path_factory.mktemp("whole")
    write_texts(folder / "data", make_texts())
    (folder / "text.txt").write_text("word1 word2\nword3\n")
    with within(folder) as patch:
        assert call("produce_data", broken_inputs.PRODUCE, patch) == 0
        for given, name in ((broken_inputs.TINY, "run"), (LSTM, "plain")):
            arguments = [*given, "--name", name]
            assert call("RL_train", arguments, patch) == 0
    for name in ("other", "open"):
        shutil.copytree(folder / "runs/run", folder / "runs" / name)
    for name in ("result.json", "test_scores.npz"):
        (folder / "runs/open" / name).unlink()
    return folder


@pytest.fixture
def here(whole, tmp_path):
    """A copy of it to run in; gives the folder and a monkeypatch.

    Its files are links, which are faster to make; nothing writes into them.
    """
    folder = tmp_path / "here"
    shutil.copytree(whole, folder, copy_function=os.link)
    with within(folder) as patch:
        yield folder, patch


def tree(folder):
    """All that lies below a folder: its kind, and what is in it or it leads to.

    Of the file `lock` of a run, which each process writes its number into,
    only that it is there.
    """
    found = {}
    for root, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(root, name)
            key = str(path.relative_to(folder))
            found[key] = describe(path, path.lstat())
    return found


def describe(path, state):
    kind = stat.S_IFMT(state.st_mode)
    if stat.S_ISLNK(kind):
        return kind, os.readlink(path)
    if not stat.S_ISREG(kind) or is_lock(path):
        return (kind,)
    if state.st_size > MOST_HASHED:
        return kind, state.st_size, state.st_mtime_ns, state.st_ino
    content = path.read_bytes()
    return kind, len(content), hashlib.sha256(content).hexdigest()


def is_lock(path):
    """Whether it is a lock, and holds what one may hold."""
    return path.name == "lock" and path.read_bytes().strip().isdigit()


def changed(before, after, patterns):
    """Paths that differ between two trees, but for those that may."""
    return [
        path
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
        and not any(fnmatch.fnmatchcase(path, one) for one in patterns)
    ]


def assert_one_line(text, program):
    """It can be read on a terminal, and does nothing to it."""
    assert text.endswith("\n") and text.count("\n") == 1, text
    assert text[:-1].isprintable(), text
    assert text.startswith((f"{program}.py: ", f"{program}: ")), text
    assert len(text) <= LONGEST_LINE, text[:LONGEST_LINE]
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (broken_inputs.damage.write("mine", "new"), "mine"),
        (broken_inputs.damage.write("more", ""), "more"),
        (broken_inputs.damage.remove("mine"), "mine"),
        (broken_inputs.damage.pipe("mine"), "mine"),
        (broken_inputs.damage.make_folder("mine"), "mine"),
        (broken_inputs.damage.link("link", "more"), "link"),
        (broken_inputs.damage.write("large", bytes(2**21)), "large"),
        (broken_inputs.damage.write("lock", "of the user's"), "lock"),
        (broken_inputs.damage.write("lock", "12\n"), None),
    ],
)
def test_what_changes_is_seen(change, path, tmp_path):
    (tmp_path / "mine").write_text("old")
    (tmp_path / "link").symlink_to("mine")
    (tmp_path / "large").write_bytes(bytes(2**21))
    (tmp_path / "lock").write_text("1\n")
    before = tree(tmp_path)
    change(tmp_path)
    found = [] if path is None else [path]
    assert changed(before, tree(tmp_path), ()) == found
    assert changed(before, tree(tmp_path), ["*"]) == []


def test_a_hang_is_seen():
    with pytest.raises(Hang), limited(0.01):
        time.sleep(10)


# The cases.


def test_there_are_many_cases_and_of_every_kind():
    assert len(CASES) >= 1229
    names = collections.Counter(map(str, CASES))
    assert [name for name, count in names.items() if count > 1] == []
    kinds = collections.Counter(case.kind for case in CASES)
    assert len(kinds) == 24 and min(kinds.values()) >= 8


def test_every_flag_with_a_rule_is_tried():
    ruled = {
        action.option_strings[0]
        for action in TASK.flags.make_parser()._actions
        if action.type is not None or action.choices is not None
    }
    tables = (
        broken_inputs.flags.INTEGERS,
        broken_inputs.flags.NUMBERS,
        broken_inputs.flags.CHOICES,
    )
    tried = {flag for table in tables for flag in table}
    assert tried == ruled - PATHS


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_broken_input(case, here, capsys):
    folder, patch = here
    # Where programs put what is theirs alone, and leave nothing.
    (folder.parent / "temporary").mkdir()
    patch.setattr(tempfile, "tempdir", str(folder.parent / "temporary"))
    if case.damage is not None:
        case.damage(folder)
    with patch.context() as around:
        if case.around is not None:
            case.around(folder, around)
        before = tree(folder.parent)
        if case.shell is not None:
            code, out, err = run(case)
        else:
            with limited(LONGEST):
                words = case.program, case.arguments
                code = call(*words, around, case.notes)
            out, err = capsys.readouterr()
    codes = case.code if isinstance(case.code, tuple) else (case.code,)
    assert code in codes, (code, err)
    writes = [f"here/{path}" for path in case.writes]
    assert changed(before, tree(folder.parent), writes) == []
    assert all(line.isprintable() for line in out.split("\n")), out
    if case.names:
        *notes, err = re.findall(r".*\n", f"\n{err}")
        assert all(line[:-1].isprintable() for line in notes), notes
    if code in (0, 141):
        assert err == "" or (case.names and err[:-1].isprintable())
        return
    assert_one_line(err, case.program)
    for part in case.says:
        assert part in err, err
    if case.silent:
        assert out == ""


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("RL_train", broken_inputs.RESUME),
        ("RL_train", broken_inputs.PLAIN),
        ("compare", broken_inputs.COMPARE),
        ("table", ["runs/run", "runs/other"]),
    ],
)
def test_whole_inputs_work(program, arguments, here, capsys):
    folder, patch = here
    for name in ptb.WORDS.files.values():
        broken_inputs.data.pack(name, gzip.compress)(folder)
    assert call(program, arguments, patch) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["run/checkpoints/best", "run/test_scores"])
def test_bits_that_turn_over_anywhere(name, here):
    """Those that do not count may; no other passes, and none goes unsaid."""
    path = here[0] / "runs" / f"{name}.npz"
    read = weights_reader() if "best" in name else read_scores
    expected = read(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for n in range(300):
        place = rng.integers(len(whole))
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        path.unlink()
        path.write_bytes(changed if n % 4 else whole[:place])
        try:
            found = read(path)
        except (checkpoints.CheckpointError, results.ResultError) as error:
            refused += 1
            assert str(error).startswith(f"{path}: ")
            assert str(error).isprintable()
        else:
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other)
    assert refused > 150


def weights_reader():
    """A function that reads a checkpoint into a model, which it changes."""
    args = TASK.parse(broken_inputs.TINY)
    model = build_model(args, 12)

    def read(path):
        checkpoints.load(path, model.weights)
        return [np.array(weight) for weight in model.weights]

    return read


def read_scores(path):
    return list(results.load_scores(path.parent).values())


def test_a_run_that_another_process_works_on(here, capsys):
    folder, patch = here
    broken_inputs.damage.write("runs/open/lock", "4711\n")(folder)
    with open(folder / "runs/open/lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert call("RL_train", broken_inputs.RESUME, patch) == 2
        assert lock.read() == "4711\n"
    err = capsys.readouterr().err
    assert_one_line(err, "RL_train")
    assert "runs/open" in err and "4711" in err


# As processes of their own.


@pytest.mark.parametrize(
    ("script", "arguments", "code", "said"),
    [
        ("language_modeling/RL_train.py", [b"--\xff\x1b[31m"], 2, "31m"),
        (
            "language_modeling/RL_train.py",
            [b"--data_dir=\xff\n"],
            3,
            "data_dir",
        ),
        ("scripts/compare.py", [b"\xff\x1b"], 1, "no such file"),
        ("scripts/table.py", [b"\xff\x1b"], 1, "no such file"),
    ],
)
def test_words_that_are_no_text(script, arguments, code, said, whole, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / script, *arguments],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "DSL_DATA_DIR": str(whole / "data")},
        timeout=120,
    )
    err = done.stderr.decode()
    assert_one_line(err, Path(script).stem)
    assert (done.returncode, said in err) == (code, True), err
    assert not any(tmp_path.iterdir())


# A run that is stopped on the way, and then goes on.


def finish(train_dir, whole, patch, capsys):
    """Goes on with a run, which must end as the unbroken one did."""
    arguments = [*LSTM, "--name", "new", "--train_dir", str(train_dir)]
    if (train_dir / "new").exists():
        arguments.append("--resume")
    assert call("RL_train", arguments, patch) == 0
    assert capsys.readouterr().err == ""
    expected = results.load(whole / "runs/plain")
    found = results.load(train_dir / "new")
    for key in ("last_weights_sha256", "weights_sha256"):
        assert found[key] == expected[key]
    assert found["test"]["perplexity"] == expected["test"]["perplexity"]
    assert left_over(train_dir) == []


def left_over(folder):
    """Files and folders that were being made."""
    return list(folder.rglob(".*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted(number, here, whole, capsys):
    folder, patch = here
    steps = []
    train_on_batch = StreamTrainer.train_on_batch

    def interrupted(trainer, *arguments):
        steps.append(1)
        if len(steps) == 3:
            os.kill(os.getpid(), number)
        return train_on_batch(trainer, *arguments)

    with patch.context() as inner:
        inner.setattr(StreamTrainer, "train_on_batch", interrupted)
        assert call("RL_train", [*LSTM, "--name", "new"], patch) == 130
    assert len(steps) == 3
    err = capsys.readouterr().err
    assert_one_line(err, "RL_train")
    assert "interrupted" in err and "step 3" in err
    assert left_over(folder / "runs") == []
    finish(folder / "runs", whole, patch, capsys)


def test_an_interrupt_before_there_is_a_run(here, capsys):
    folder, patch = here
    before = tree(folder)

    def read(*_):
        os.kill(os.getpid(), signal.SIGINT)

    patch.setattr(corpus_files, "read_text", read)
    assert call("RL_train", [*LSTM, "--name", "new"], patch) == 130
    assert_one_line(capsys.readouterr().err, "RL_train")
    assert tree(folder) == before


@pytest.fixture
def disk(tmp_path):
    """A disk of 512 kB; gives its folder."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder],
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("there is no command to mount a disk with")
    if mounted.returncode:
        pytest.skip("mounting a disk needs rights that are not there")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path, free):
    """Fills a disk but for so many bytes."""
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC
        file.truncate(file.tell() - free)


@pytest.mark.parametrize("free", [0, 4096, 16384, 32768, 49152])
def test_a_disk_that_is_full(free, disk, here, whole, capsys):
    """At the start; then later and later."""
    _, patch = here
    fill(disk / "ballast", free)
    arguments = [*LSTM, "--name", "new", "--train_dir", str(disk)]
    code = call("RL_train", arguments, patch)
    err = capsys.readouterr().err
    assert_one_line(err, "RL_train")
    assert str(disk / "new") in err and "No space left" in err
    assert left_over(disk) == []
    assert code == (1 if (disk / "new").exists() else 2)
    assert (disk / "new").exists() == (free > 4096)
    (disk / "ballast").unlink()
    finish(disk, whole, patch, capsys)


CHILD = """
import resource
import sys
from pathlib import Path

from dsl.system import startup

startup.import_keras()
from tests.scripts import test_broken_inputs as tests

with tests.within(Path.cwd()) as patch:
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
    sys.exit(tests.call("RL_train", sys.argv[1:], patch))
"""


def test_files_that_may_not_grow(here, whole, capsys):
    folder, patch = here
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *LSTM, "--name", "new"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                [str(ROOT / "tests" / "support"), str(ROOT)]
            ),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        timeout=240,
    )
    assert_one_line(done.stderr, "RL_train")
    assert done.returncode == 1
    assert "runs/new" in done.stderr and "File too large" in done.stderr
    assert left_over(folder / "runs") == []
    finish(folder / "runs", whole, patch, capsys)
