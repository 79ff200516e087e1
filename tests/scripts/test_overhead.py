"""The program that times what is written beside a training."""

import re
import sys
from pathlib import Path

import pytest
from small_runs import TINY, corpus, uncompiled

from dsl import datasets
from dsl.runs.folder import RunFolder

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import overhead


@pytest.fixture
def call(monkeypatch):
    """The program on a small text, for a few steps."""
    monkeypatch.setattr(
        datasets, "language_model_corpus", lambda *_, **__: corpus()
    )

    def main(*flags):
        words = ["--steps", "2", "--", *TINY, "--model", "lstm", *flags]
        with uncompiled():
            return overhead.main(overhead.make_parser().parse_args(words))

    return main


def test_the_time_of_what_is_written_is_told(call, capsys):
    assert call() == 0
    said = capsys.readouterr()
    assert said.err == ""
    last = said.out.splitlines()[-1]
    number = r"\d+\.\d+"
    assert re.fullmatch(
        f"2 steps: {number} s, and {number} s for all that is written: "
        f"{number} %",
        last,
    )


def test_a_text_that_fills_no_segment_is_one_line(call, capsys):
    assert call("--batch_size", "2000") == 2
    error = capsys.readouterr().err
    assert error.startswith("overhead.py: --batch_size times ")
    assert error.count("\n") == 1


def test_a_disk_that_is_full_is_one_line(call, capsys, monkeypatch):
    def save(*_):
        raise OSError(28, "No space left on device", "last.npz")

    monkeypatch.setattr(RunFolder, "save_last", save)
    assert call() == 1
    error = capsys.readouterr().err
    assert error == "overhead.py: last.npz: No space left on device.\n"
