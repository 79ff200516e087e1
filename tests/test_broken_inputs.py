"""Broken inputs end in one clear line, the right exit code and no damage."""

import collections
import contextlib
import errno
import hashlib
import json
import os
import resource
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
from language_modeling import RL_train, experiment, inspection, settings

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import compare
import table

PROGRAMS = {
    "RL_train": (settings.parse_args, RL_train.main),
    "compare": (compare.parse_args, compare.main),
    "table": (table.parse_args, table.main),
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
    for split, name in ptb.FILES.items():
        (folder / name).write_text(texts[split])


def take_for_ptb(patch, texts):
    """Lets the loader expect these texts."""
    sha256 = {
        split: hashlib.sha256(text.encode()).hexdigest()
        for split, text in texts.items()
    }
    encoded = corpus.from_texts("ptb", texts)
    tokens = {split: len(getattr(encoded, split)) for split in texts}
    patch.setattr(ptb, "SHA256", sha256)
    patch.setattr(ptb, "TOKENS", tokens)
    patch.setattr(ptb, "VOCABULARY_SIZE", len(encoded.vocabulary))


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
        for flags, name in ((broken_inputs.TINY, "run"), (LSTM, "plain")):
            arguments = [*flags, "--name", name]
            assert call("RL_train", arguments, patch) == 0
    for name in ("other", "open"):
        shutil.copytree(folder / "runs/run", folder / "runs" / name)
    for name in ("result.json", "test_scores.npz"):
        (folder / "runs/open" / name).unlink()
    return folder


@pytest.fixture
def here(whole, tmp_path):
    """A copy of it to run in; gives the folder and a monkeypatch."""
    folder = tmp_path / "here"
    shutil.copytree(whole, folder)
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
    assert contents(folder) == before
    assert all(line.isprintable() for line in out.split("\n")), out
    if code == 0:
        assert err == ""
        return
    assert_one_line(err, case.program)
    for part in case.says:
        assert part in err, err
    if case.silent:
        assert out == ""
