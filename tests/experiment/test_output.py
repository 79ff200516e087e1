"""What programs say: results, notes and warnings."""

import subprocess
import sys
from pathlib import Path

import pytest

from dsl.experiment import output

pytestmark = pytest.mark.backend

ROOT = Path(__file__).resolve().parents[2]


def say_all():
    output.note("a note")
    output.warn("a warning")
    output.result("a result")


@pytest.mark.parametrize(
    ("verbosity", "said"),
    [
        ("debug", "a note\na warning\n"),
        ("info", "a note\na warning\n"),
        ("warning", "a warning\n"),
        ("error", ""),
    ],
)
def test_the_verbosity_thins_out_what_is_no_result(verbosity, said, capsys):
    output.set_verbosity(verbosity)
    say_all()
    assert capsys.readouterr() == ("a result\n", said)


def test_nothing_commands_a_terminal(capsys):
    output.set_verbosity("info")
    output.note("a \x1b[31m%s\u202e λ\n")
    output.warn("a\nb \x9b31m %d")
    assert capsys.readouterr() == (
        "",
        "a \\x1b[31m%s\\u202e λ\\n\na b \\x9b31m %d\n",
    )


def test_a_result_stands_as_it_is(capsys):
    output.result("| a |\n| - |")
    output.result()
    assert capsys.readouterr() == ("| a |\n| - |\n\n", "")


def test_each_line_is_said_once(capsys):
    for name in ("error", "info", "info"):
        output.set_verbosity(name)
    output.note("once")
    assert capsys.readouterr() == ("", "once\n")


PROGRAM = """
import sys
sys.path[:0] = {}
from dsl.experiment import entry, output

def main(args):
    output.note("a note")
    output.warn("a warning")
    output.result("a result")
    return 0

def parse_args():
    return None

if __name__ == "__main__":
    entry.run(__file__)
"""


@pytest.fixture
def program(tmp_path):
    """A program of its own, and how it ends in a line of bash."""
    (tmp_path / "programs").mkdir()
    path = tmp_path / "programs/speaking.py"
    path.write_text(PROGRAM.format([str(ROOT), str(tmp_path)]))

    def call(shell):
        return subprocess.run(
            ["bash", "-c", shell, "bash", sys.executable, str(path)],
            capture_output=True,
            text=True,
            timeout=60,
        )

    return call


def test_notes_are_said_where_nothing_was_set(program):
    done = program('"$@"')
    assert (done.returncode, done.stdout) == (0, "a result\n")
    assert done.stderr == "a note\na warning\n"


@pytest.mark.parametrize(
    "shell",
    ['"$@" 2> /dev/full', '"$@" 2>&-', 'set -o pipefail; "$@" 2> >(true)'],
)
def test_an_error_stream_that_takes_nothing_is_no_error(program, shell):
    done = program(shell)
    assert (done.returncode, done.stdout) == (0, "a result\n")
    assert done.stderr == ""
