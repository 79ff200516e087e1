"""The script that kills a training and compares what is left of it."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from run_folders import make_record

ROOT = Path(__file__).resolve().parents[2]

# A training of two seconds, whose weights depend on whether it was resumed.
TRAINER = """
import json, pathlib, sys, time
value = lambda flag: sys.argv[sys.argv.index(flag) + 1]
folder = pathlib.Path(value("--train_dir"), value("--name"))
folder.mkdir(parents=True, exist_ok=True)
time.sleep(2)
record = json.loads(pathlib.Path(__file__).with_name("r.json").read_text())
weights = "resumed" if "--resume" in sys.argv and "bad" in sys.argv else "w"
record.update(weights_sha256=weights, last_weights_sha256="l")
epoch = {"epoch": 1, "valid_perplexity": 3.0, "seconds": time.time()}
# Nothing is said that could fill a pipe.
assert sys.argv[sys.argv.index("--verbosity") + 1] == "error"
# What a clock measures is compared with nothing.
epoch["tokens_per_second"] = epoch["valid_seconds"] = time.time()
record["epochs"], line = [epoch], json.dumps(epoch)
(folder / "metrics.jsonl").write_text(line + chr(10))
(folder / "test_scores.npz").write_bytes(b"scores")
(folder / "result.json").write_text(json.dumps(record))
sys.exit(5 if "broken" in sys.argv else 0)
"""


@pytest.fixture
def check(tmp_path, monkeypatch):
    """scripts/check_resume.py, with a trainer of its own."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.chdir(tmp_path)
    path = ROOT / "scripts" / "check_resume.py"
    spec = importlib.util.spec_from_file_location("check_resume", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "train.py").write_text(TRAINER)
    (tmp_path / "r.json").write_text(json.dumps(make_record()))
    task = SimpleNamespace(path=tmp_path / "train.py", throughput="tokens")
    monkeypatch.setattr(module, "find", {"language_modeling": task}.get)
    # After the folder is made, and before the end.
    monkeypatch.setattr(
        module.random.Random, "uniform", lambda self, low, high: 0.9 * high
    )

    def main(*arguments):
        words = ["--kills", "1", "--kills_a_run", "1"]
        words += ["--train_dir", "runs", "--", *arguments]
        return module.main(module.parse_args(words))

    return main


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        ([], 0, "1 ended in the bits of the unbroken run, 0 did not"),
        (["bad"], 1, "0 ended in the bits of the unbroken run, 1 did not"),
    ],
)
def test_what_is_left_of_a_killed_run_is_compared(
    flags, code, says, check, capsys
):
    assert check(*flags) == code
    first, second, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"unbroken: \d+ s, l", first)
    assert second.startswith("killed-1: ")
    assert second.endswith("DIFFERS" if code else "same")
    assert last == f"1 kills of 1 runs; {says}"


def test_a_training_that_fails_ends_the_check(check, capsys):
    assert check("broken") == 1
    said = capsys.readouterr().err
    assert said == "check_resume.py: unbroken: exit code 5:\n"


@pytest.mark.parametrize("kills", [[], ["unbroken"]])
def test_an_interrupt_leaves_no_training_behind(kills, check, monkeypatch):
    """In the unbroken run, and in one that is to be killed."""
    started = []
    popen = subprocess.Popen

    class Interrupted(popen):
        def __init__(self, command, *args, **options):
            super().__init__(command, *args, **options)
            started.append(self)
            if [command[-1]] != kills:
                raise_later()

    def raise_later():
        signal.setitimer(signal.ITIMER_REAL, 0.5)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        assert check() == 130
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(started) == 1 + len(kills)
    assert started[-1].wait(1) == -9


def test_the_folder_must_be_new(check, tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    with pytest.raises(SystemExit):
        check()
    assert "--train_dir must be new. Received: runs" in capsys.readouterr().err
    assert "check_resume" not in sys.modules


def test_a_disk_that_cannot_be_read_is_one_line(check, capsys, monkeypatch):
    open_file = os.open

    def open_other(path, *flags):
        if str(path).endswith("metrics.jsonl"):
            raise OSError(5, "Input/output error", str(path))
        return open_file(path, *flags)

    monkeypatch.setattr(os, "open", open_other)
    assert check() == 1
    error = capsys.readouterr().err
    assert error.startswith("check_resume.py: runs/unbroken/")
    assert error.endswith(": Input/output error.\n")
