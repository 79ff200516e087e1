"""Broken inputs end in one clear line, the right exit code and no damage."""

import collections
import contextlib
import dataclasses
import errno
import fcntl
import gzip
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import broken_inputs
import keras
import numpy as np
import pytest

from dsl import checkpoints, results, stream_trainer
from dsl.datasets import corpus, ptb
from dsl.datasets import files as corpus_files
from language_modeling import RL_train, building, flags, settings

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import compare
import table

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = {
    "RL_train": (settings.parse_args, RL_train.main),
    "compare": (compare.parse_args, compare.main),
    "table": (table.parse_args, table.main),
}
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


@contextlib.contextmanager
def uncompiled():
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow

    before = tensorflow.config.functions_run_eagerly()
    tensorflow.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tensorflow.config.run_functions_eagerly(before)


def call(program, arguments, patch):
    """Exit code of a command, run in this process."""
    parse_args, main = PROGRAMS[program]
    patch.setattr(sys, "argv", [f"{program}.py", *arguments])
    try:
        return main(parse_args(arguments))
    except SystemExit as end:
        return end.code


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder that `broken_inputs` describes, unbroken."""
    folder = tmp_path_factory.mktemp("whole")
    write_texts(folder / "data", make_texts())
    (folder / "text.txt").write_text("word1 word2\nword3\n")
    with within(folder) as patch:
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


def contents(folder):
    """All that lies below a folder; of a lock only that it is there."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(root, name)
            key = str(path.relative_to(folder))
            if path.is_symlink():
                found[key] = os.readlink(path)
            elif not path.is_file():
                found[key] = "a folder or a pipe"
            else:
                found[key] = None if name == "lock" else path.read_bytes()
    return found


def assert_one_line(text, program):
    """It can be read on a terminal, and does nothing to it."""
    assert text.endswith("\n") and text.count("\n") == 1, text
    assert text[:-1].isprintable(), text
    assert text.startswith((f"{program}.py: ", f"{program}: ")), text
    assert len(text) <= LONGEST_LINE, text[:LONGEST_LINE]
    assert "Traceback" not in text


# The cases.


def test_there_are_many_cases_and_of_every_kind():
    assert len(CASES) >= 300
    names = collections.Counter(map(str, CASES))
    assert [name for name, count in names.items() if count > 1] == []
    kinds = collections.Counter(case.kind for case in CASES)
    assert len(kinds) == 17 and min(kinds.values()) >= 8


def test_every_flag_with_a_rule_is_tried():
    ruled = {
        action.option_strings[0]
        for action in flags.make_parser()._actions
        if action.type is not None or action.choices is not None
    }
    tables = (
        broken_inputs.INTEGERS,
        broken_inputs.NUMBERS,
        broken_inputs.CHOICES,
    )
    tried = {flag for table in tables for flag in table}
    assert tried == ruled - PATHS


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_broken_input(case, here, capsys):
    folder, patch = here
    if case.damage is not None:
        case.damage(folder)
    before = contents(folder)
    code = call(case.program, case.arguments, patch)
    out, err = capsys.readouterr()
    codes = case.code if isinstance(case.code, tuple) else (case.code,)
    assert code in codes, (code, err)
    after = contents(folder)
    if code == 0:
        after = {path: after.get(path) for path in before}
    assert after == before
    assert all(line.isprintable() for line in out.split("\n")), out
    if code == 0:
        assert err == ""
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
        broken_inputs.pack(name, gzip.compress)(folder)
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
    args = settings.parse_args(broken_inputs.TINY)
    model = building.build_model(args, 12)

    def read(path):
        checkpoints.load(path, model.weights)
        return [np.array(weight) for weight in model.weights]

    return read


def read_scores(path):
    return list(results.load_scores(path.parent).values())


def test_a_run_that_another_process_works_on(here, capsys):
    folder, patch = here
    broken_inputs.write("runs/open/lock", "4711\n")(folder)
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
    train_on_batch = stream_trainer.StreamTrainer.train_on_batch

    def interrupted(trainer, *arguments):
        steps.append(1)
        if len(steps) == 3:
            os.kill(os.getpid(), number)
        return train_on_batch(trainer, *arguments)

    with patch.context() as inner:
        inner.setattr(
            stream_trainer.StreamTrainer, "train_on_batch", interrupted
        )
        assert call("RL_train", [*LSTM, "--name", "new"], patch) == 130
    assert len(steps) == 3
    err = capsys.readouterr().err
    assert_one_line(err, "RL_train")
    assert "interrupted" in err and "step 3" in err
    assert left_over(folder / "runs") == []
    finish(folder / "runs", whole, patch, capsys)


def test_an_interrupt_before_there_is_a_run(here, capsys):
    folder, patch = here
    before = contents(folder)

    def read(*_):
        os.kill(os.getpid(), signal.SIGINT)

    patch.setattr(corpus_files, "read_text", read)
    assert call("RL_train", [*LSTM, "--name", "new"], patch) == 130
    assert_one_line(capsys.readouterr().err, "RL_train")
    assert contents(folder) == before


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

from dsl import startup

startup.import_keras()
import test_broken_inputs as tests

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
            "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)]),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        timeout=240,
    )
    assert_one_line(done.stderr, "RL_train")
    assert done.returncode == 1
    assert "runs/new" in done.stderr and "File too large" in done.stderr
    assert left_over(folder / "runs") == []
    finish(folder / "runs", whole, patch, capsys)
