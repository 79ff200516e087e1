"""What is common to the programs that run tables: signals and errors."""

import signal
import subprocess
import sys
import time

import pytest

from dsl import results
from scripts import reproduction

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_and_waited_for(tmp_path, number):
    """The training takes its time to save, and its exit code counts."""
    child = (
        "import pathlib, signal, sys, time\n"
        "asked = []\n"
        "for number in (signal.SIGINT, signal.SIGTERM):\n"
        "    signal.signal(number, lambda *_: asked.append(1))\n"
        "pathlib.Path('ready').touch()\n"
        "while not asked: time.sleep(0.01)\n"
        "time.sleep(1)\n"
        "pathlib.Path('saved').touch()\n"
        "sys.exit(130)\n"
    )
    parent = (
        f"import sys; sys.path.insert(0, {str(reproduction.ROOT)!r})\n"
        "from scripts import reproduction\n"
        f"sys.exit(reproduction.call([sys.executable, '-c', {child!r}]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], cwd=tmp_path
    ) as process:
        while not (tmp_path / "ready").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait() == 130
    assert (tmp_path / "saved").exists()


def test_a_killed_training_has_an_exit_code():
    kill = "import os; os.kill(os.getpid(), 9)"
    assert reproduction.call([sys.executable, "-c", kill]) == 137


def test_work_ends_at_the_first_failure():
    done = []

    def work(code):
        done.append(code)
        return code

    codes = (0, 3, 0)
    works = [lambda code=code: work(code) for code in codes]
    assert reproduction.run_all("x", works) == 3
    assert done == [0, 3]
    assert reproduction.run_all("x", []) == 0


def raising(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (results.ResultError("a: wrong."), 1, "a: wrong."),
        (PermissionError(13, "Permission denied", "f"), 1, "f: Permission "),
        (KeyboardInterrupt(), 130, "interrupted."),
    ],
)
def test_what_goes_wrong_is_one_line(capsys, error, code, message):
    assert reproduction.run_all("x.py", [raising(error)]) == code
    found = capsys.readouterr().err
    assert found.startswith(f"x.py: {message}") and found.count("\n") == 1


def test_sigterm_between_two_runs_is_an_interrupt(capsys):
    def work():
        signal.raise_signal(signal.SIGTERM)
        return 0

    assert reproduction.run_all("x.py", [work]) == 130
    assert capsys.readouterr().err == "x.py: interrupted.\n"
