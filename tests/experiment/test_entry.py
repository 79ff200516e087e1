"""How programs begin and end: signals, streams, warnings and exit codes."""

import ast
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dsl import datasets
from dsl.experiment import entry
from dsl.runs import checkpoints, results
from dsl.runs.folder import DivergedError, RunError
from dsl.system import interrupts, messages

pytestmark = pytest.mark.backend

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = [
    path
    for folder in (
        *("scripts", "language_modeling", "number_prediction", "copy_task"),
    )
    for path in sorted(ROOT.glob(f"{folder}/*.py"))
    if "__main__" in path.read_text() and path.name != "entry.py"
]
# How each begins, whatever it does.
BEGINNING = """
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)
"""


def name(path):
    return str(path.relative_to(ROOT))


def test_the_programs_are_found():
    assert len(PROGRAMS) == 15


@pytest.mark.parametrize("path", PROGRAMS, ids=name)
def test_a_program_goes_through_the_entry(path):
    """From its first import on, and in what it calls `main`."""
    tree = ast.parse(path.read_text())
    beginning = ast.parse(BEGINNING).body
    found = tree.body[1 : 1 + len(beginning)]
    assert list(map(ast.dump, found)) == list(map(ast.dump, beginning))
    defined = {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }
    # Or else both are made: of a task, or of what `entry.named` names.
    made = {
        name: ast.unparse(node.value.func)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        for name in ast.unparse(node.targets[0]).strip("()").split(", ")
    }
    if "main" in defined:
        [decorator] = defined["main"].decorator_list
        assert ast.unparse(decorator) == "entry.program"
    else:
        assert made["main"] in ("program.of", "entry.with_name")
    assert (
        "parse_args" in defined
        or "parse_args =" in path.read_text()
        or (made["parse_args"] == "program.of")
    )


# What is raised.


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (messages.Failure("a\nb"), 1, "a b"),
        (results.ResultError("r"), 1, "r"),
        (checkpoints.CheckpointError("c"), 1, "c"),
        (DivergedError("d"), 1, "d"),
        (RunError("u"), 2, "u"),
        (datasets.DataError("t"), 3, "t"),
        (OSError(28, "No space", "f\x1b"), 1, "f\\x1b: No space."),
        (OSError(28, "No space"), 1, "[Errno 28] No space."),
        (entry.OutputError(28, "No space", "out"), 1, "out: No space."),
        (MemoryError(), 1, "more memory is needed than there is."),
        (UserWarning("w"), 1, "a warning counts as an error here: w"),
        (KeyboardInterrupt(), 130, "interrupted."),
        (
            ModuleNotFoundError(name="numpy"),
            1,
            f"numpy is not installed for {sys.executable}; run scripts/setup "
            "and then .venv/bin/python.",
        ),
    ],
)
def test_what_is_raised_is_one_line_and_a_code(error, code, line, capsys):
    @entry.program
    def main(args):
        raise error

    assert main(None) == code
    assert capsys.readouterr() == ("", f"test_entry.py: {line}\n")


def test_nobody_who_reads_is_no_fault(capsys):
    @entry.program
    def main(args):
        raise entry.OutputError(32, "Broken pipe", "out")

    assert main(None) == 141
    assert capsys.readouterr() == ("", "")


def test_an_error_of_the_program_itself_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        entry.in_words("x.py", lambda: 1 / 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_are_an_interrupt(number, capsys):
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]

    @entry.program
    def main(args):
        signal.raise_signal(number)

    assert main(None) == 130
    assert capsys.readouterr().err == "test_entry.py: interrupted.\n"
    assert handlers == [
        signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)
    ]


def test_a_signal_after_the_work_does_not_undo_it(monkeypatch):
    raised = interrupts.raised

    @contextlib.contextmanager
    def late():
        with raised():
            yield
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(interrupts, "raised", late)

    @entry.program
    def main(args):
        return args

    assert [main(code) for code in (0, 3)] == [0, 3]


# As a process of its own, which takes no time to start.

PROGRAM = f'''"""What it does."""
{BEGINNING}
import slow

from dsl.experiment import entry


def parse_args():
    if sys.argv[1:] == ["--help"]:
        print("help")
        raise SystemExit(0)
    return sys.argv[1:]


class Loud:
    def __del__(self):
        ready("deleted")


def ready(name):
    """Tells the test where it is, and waits for what it does."""
    import time

    open(name, "w").close()
    for _ in range(1000):
        time.sleep(0.01)


@entry.program
def main(args):
    if "work" in args:
        ready("work")
    if "delete" in args:
        Loud()
        return 0
    if "teardown" in args:
        import atexit
        atexit.register(ready, "teardown")
        print("all")
        return int(args[1])
    if "warn" in args:
        import warnings
        warnings.warn("careful")
    if "thread" in args:
        import subprocess
        command = [sys.executable, __file__, "work"]
        from dsl.system import interrupts
        child = subprocess.Popen(
            command, env=interrupts.environment_of_child()
        )
        open("child", "w").write(str(child.pid))
        os.kill(os.getpid(), 9)
    for word in args[1:]:
        print(word)
    if args[:1] == ["flush"]:
        sys.stdout.flush()
    open("done", "w").close()
    return 0
'''
SLOW = """
import os
if "import" in os.sys.argv:
    from time import sleep
    open("import", "w").close()
    for _ in range(1000):
        try:
            sleep(0.01)
        except BaseException:
            pass
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A program in a project of its own; the words that start it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "dsl").symlink_to(ROOT / "dsl")
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "scripts/prog.py").write_text(PROGRAM)
    return [sys.executable, "scripts/prog.py"]


def wait_for(path, process=None):
    limit = time.monotonic() + 60
    while not Path(path).exists():
        assert process is None or process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("import", signal.SIGINT),
        ("import", signal.SIGTERM),
        ("work", signal.SIGINT),
        ("work", signal.SIGTERM),
        ("deleted", signal.SIGINT),
    ],
)
def test_a_signal_at_any_moment(moment, number, program):
    """Where an exception would be lost, too."""
    words = {"deleted": "delete"}.get(moment, moment)
    with subprocess.Popen(
        [*program, words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_for(moment, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (
        130,
        b"",
        b"prog.py: interrupted.\n",
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("code", [0, 3])
def test_a_signal_ends_what_comes_after_the_work(code, number, program):
    """At once, with the code that it has, and what it printed is there."""
    with subprocess.Popen(
        [*program, "teardown", str(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        wait_for("teardown", process)
        process.send_signal(number)
        out, err = process.communicate(timeout=5)
    assert (process.returncode, out, err) == (code, b"all\n", b"")


def shell(program, words, **options):
    """The exit code of the program within a line of bash, and its stderr."""
    line = words.replace("{program}", " ".join(program))
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, **options
    )
    return done.returncode, done.stdout, done.stderr


PIPE = "set -o pipefail; { sleep 0.3; "
FULL = "prog.py: standard output: No space left on device.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
@pytest.mark.parametrize(
    ("words", "code", "err", "done"),
    [
        ("{program} flush a > /dev/full", 1, FULL, False),
        ("{program} end a > /dev/full", 1, FULL, True),
        ("{program} --help > /dev/full", 1, FULL, False),
        ("{program} end a 2> /dev/full", 0, "", True),
        # The reader is gone when the first line comes.
        (PIPE + "{program} flush a; } | true", 141, "", False),
        (PIPE + "{program} --help; } | true", 141, "", False),
        ("{program} flush a >&-", 0, "", True),
        ("{program} flush a 2>&-", 0, "", True),
        ("{program} flush a >&- 2>&- <&-", 0, "", True),
    ],
)
def test_an_output_that_cannot_be_written(words, code, err, done, program):
    found, out, said = shell(program, words)
    assert (found, said) == (code, err)
    assert Path("done").exists() == done


def test_what_a_closed_stream_would_hold_is_in_no_file(program):
    """The first file that is opened would get its number."""
    shell(program, "{program} flush secret >&-")
    assert Path("done").read_text() == ""


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("ascii", "1 +/- 2 lambda=1 \\u6f22 \\udcff\n"), ("utf-8", None)],
)
def test_what_a_terminal_lacks_is_spelled(encoding, shown, program):
    shown = shown or "1 ± 2 λ=1 漢 \\udcff\n"
    done = subprocess.run(
        [*program, "end", b"1 \xc2\xb1 2 \xce\xbb=1 \xe6\xbc\xa2 \xff"],
        capture_output=True,
        env={
            **os.environ,
            "PYTHONIOENCODING": encoding,
            "PYTHONUTF8": "1",
        },
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == shown


def test_warnings_that_are_errors(program):
    code, out, err = shell(program, "PYTHONWARNINGS=error {program} warn")
    line = "prog.py: a warning counts as an error here: careful\n"
    assert (code, out, err) == (1, "", line)


def test_without_a_package(program):
    Path("slow.py").write_text("import no_such_package\n")
    code, out, err = shell(program, "{program}")
    assert (code, out) == (1, "")
    assert err.startswith("prog.py: no_such_package is not installed for ")


def test_a_child_ends_with_its_parent(program):
    """Even of `kill -9`."""
    code, _, _ = shell(program, "exec {program} thread 2> err")
    assert code == -9
    limit = time.monotonic() + 60
    while not Path("err").read_text():
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert Path("err").read_text() == "prog.py: interrupted.\n"
