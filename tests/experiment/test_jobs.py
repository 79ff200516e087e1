"""Trainings beside each other: order, signals, cores and errors."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dsl.experiment import jobs
from dsl.runs import results

pytestmark = pytest.mark.backend

ROOT = Path(__file__).resolve().parents[2]


def command(code="", exit_code=0):
    return [sys.executable, "-c", f"{code}\nraise SystemExit({exit_code})"]


def make(name, done, exit_code=0, needs=(), code=""):
    """A job that notes when it starts and when it is finished."""

    def start():
        done.append(f"{name} starts")
        return command(code, exit_code)

    return jobs.Job(name, start, lambda: done.append(f"{name} ends"), needs)


def test_one_after_the_other_until_one_fails(tmp_path):
    done = []
    works = [make("a", done), make("b", done, 3), make("c", done)]
    assert jobs.run_all("x", works, logs=tmp_path / "logs") == 3
    assert done == ["a starts", "a ends", "b starts"]
    assert jobs.run_all("x", []) == 0
    # Alone, a job has the terminal and no file.
    assert not (tmp_path / "logs").exists()


def test_what_is_done_already_is_only_finished(tmp_path):
    done = []
    works = [jobs.Job("a", lambda: None, lambda: done.append("a"))]
    assert jobs.run_all("x", [*works, make("b", done)]) == 0
    assert done == ["a", "b starts", "b ends"]


def test_two_at_once_write_to_files(tmp_path, capfd):
    """Each waits for a sign of the other, which in turn it would not get."""
    code = (
        "import pathlib, sys, time\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "(here / '{0}').touch()\n"
        "while not (here / '{1}').exists(): time.sleep(0.01)\n"
        "print('I am {0}'); print('so', file=sys.stderr)"
    )
    done = []
    works = [
        make("a", done, code=code.format("a", "b")),
        make("b", done, code=code.format("b", "a")),
        make("c", done, needs=("a", "b")),
    ]
    assert jobs.run_all("x", works, 2, tmp_path / "logs") == 0
    assert done[:2] == ["a starts", "b starts"] and done[-1] == "c ends"
    assert done.index("c starts") > max(map(done.index, ("a ends", "b ends")))
    assert (tmp_path / "logs/a.log").read_text() == "I am a\nso\n"
    out, told = capfd.readouterr()
    assert out == "" and "I am" not in told
    assert "b: exit code 0 after 0 min" in told


def test_what_fails_beside_others_is_said(tmp_path, capfd):
    """Its last line, which else is in a file alone."""
    code = "import sys; print('one'); sys.stderr.buffer.write(b'it \\xff\\n')"
    works = [make("a", [], 2, code=code), make("b", [], 3)]
    assert jobs.run_all("x", works, 2, tmp_path) in (2, 3)
    said = capfd.readouterr().err.splitlines()
    assert "a: exit code 2 after 0 min: it \ufffd" in said
    assert "b: exit code 3 after 0 min: nothing was said" in said


def test_what_runs_beside_a_failure_is_waited_for(tmp_path):
    done = []
    works = [
        make("a", done, 5),
        make("b", done, code="import time; time.sleep(1)"),
        make("c", done),
    ]
    assert jobs.run_all("x", works, 2, tmp_path) == 5
    assert done == ["a starts", "b starts", "b ends"]


def test_what_is_needed_but_not_among_the_jobs_is_not_waited_for():
    done = []
    assert jobs.run_all("x", [make("a", done, needs=("z",))]) == 0
    assert done == ["a starts", "a ends"]


def test_a_killed_training_has_an_exit_code():
    kill = "import os; os.kill(os.getpid(), 9)"
    assert jobs.run_all("x", [make("a", [], code=kill)]) == 137


def test_cores_are_shared(monkeypatch):
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda process: {4, 1, 7}, raising=False
    )
    monkeypatch.setattr(os, "sched_setaffinity", None, raising=False)
    assert jobs.share_of_cores(0, 1) is None
    assert [jobs.share_of_cores(n, 2) for n in range(2)] == [[1, 7], [4]]
    shares = [jobs.share_of_cores(n, 4) for n in range(4)]
    assert shares == [[1], [4], [7], [1]]
    monkeypatch.delattr(os, "sched_setaffinity")
    assert jobs.share_of_cores(0, 2) is None


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="cores cannot be chosen"
)
def test_a_job_runs_on_its_cores(tmp_path):
    core = max(os.sched_getaffinity(0))
    said = command("import os; print(os.sched_getaffinity(0))")
    before = os.sched_getaffinity(0)
    jobs.launch(said, [core], tmp_path / "log").wait()
    assert os.sched_getaffinity(0) == before
    assert (tmp_path / "log").read_text() == f"{{{core}}}\n"


def link_to_mine(path):
    path.symlink_to("mine")


@pytest.mark.parametrize(
    ("put", "what"),
    [(os.mkfifo, "not a regular file"), (link_to_mine, "and is a link")],
)
def test_a_log_that_is_none_is_one_line(tmp_path, capsys, put, what):
    """Of a pipe nobody may read, and a link leads to what is another's."""
    (tmp_path / "mine").write_text("mine")
    put(tmp_path / "a.log")
    works = [make("a", []), make("b", [])]
    assert jobs.run_all("x.py", works, 2, tmp_path) == 1
    note, error = capsys.readouterr().err.splitlines()
    assert note == f"a: started, see {tmp_path}/a.log"
    assert error.startswith(f"x.py: {tmp_path}/a.log: ")
    assert what in error
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_job_is_told_whose_it_is(tmp_path):
    said = command("import os; print(os.environ['DSL_PARENT'])")
    jobs.launch(said, log=tmp_path / "log").wait()
    assert (tmp_path / "log").read_text() == f"{os.getpid()}\n"
    assert "DSL_PARENT" not in os.environ


CHILD = (
    "import pathlib, signal, sys, time\n"
    "asked = []\n"
    "for number in (signal.SIGINT, signal.SIGTERM):\n"
    "    signal.signal(number, lambda *_: asked.append(1))\n"
    "pathlib.Path(f'ready-{sys.argv[1]}').touch()\n"
    "for _ in range(6000):\n"
    "    if asked: break\n"
    "    time.sleep(0.01)\n"
    "else: sys.exit(1)\n"
    "time.sleep(0.5)\n"
    "pathlib.Path(f'saved-{sys.argv[1]}').touch()\n"
    "sys.exit(130)\n"
)


@pytest.mark.parametrize(
    ("number", "processes"),
    [(signal.SIGINT, 1), (signal.SIGTERM, 2), (signal.SIGHUP, 2)],
)
def test_signals_are_passed_on_and_waited_for(tmp_path, number, processes):
    """Trainings take their time to save; no other one is started."""
    parent = (
        "import signal, sys\n"
        # Whatever these tests were started under.
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from dsl.experiment import jobs\n"
        "def job(name):\n"
        f"    words = [sys.executable, '-c', {CHILD!r}, name]\n"
        "    return jobs.Job(name, lambda: words)\n"
        f"sys.exit(jobs.run_all('x', [*map(job, 'abc')], {processes}))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], cwd=tmp_path
    ) as process:
        while len(list(tmp_path.glob("ready-*"))) < processes:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(60) == 130
    for state in ("ready", "saved"):
        assert len(list(tmp_path.glob(f"{state}-*"))) == processes


def raising(error):
    def start():
        raise error

    return jobs.Job("a", start)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (results.ResultError("a: wrong."), "a: wrong."),
        (PermissionError(13, "Permission denied", "f"), "f: Permission "),
    ],
)
def test_what_goes_wrong_is_one_line(capsys, error, message):
    assert jobs.run_all("x.py", [raising(error)]) == 1
    found = capsys.readouterr().err
    assert found.startswith(f"x.py: {message}") and found.count("\n") == 1


def test_an_error_leaves_no_process_behind(tmp_path):
    """The job beside it is asked to save, and waited for."""
    code = (
        "import pathlib, signal, sys, time\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "def save(*_):\n"
        "    (here / 'saved').touch()\n"
        "    sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "(here / 'ready').touch()\n"
        "time.sleep(60)"
    )

    def fail_later():
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        raise results.ResultError("wrong.")

    works = [make("a", [], code=code), jobs.Job("b", fail_later)]
    assert jobs.run_all("x", works, 2, tmp_path) == 1
    assert (tmp_path / "saved").exists()


def test_a_signal_between_two_jobs_is_an_interrupt(capsys):
    def start():
        signal.raise_signal(signal.SIGTERM)
        return None

    done = []
    works = [jobs.Job("a", start), make("b", done)]
    assert jobs.run_all("x.py", works) == 130
    assert capsys.readouterr().err == "x.py: interrupted.\n"
    assert done == []


def test_a_training_that_a_signal_ends_was_interrupted(capsys):
    """Before it could hear of it."""
    works = [make("a", [], code="import time; time.sleep(60)")]
    handler = signal.signal(
        signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM)
    )
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        assert jobs.run_all("x.py", works) == 130
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert capsys.readouterr().err == "x.py: interrupted.\n"


def test_nohup_is_heeded():
    def start():
        signal.raise_signal(signal.SIGHUP)
        return None

    done = []
    works = [jobs.Job("a", start), make("b", done)]
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert jobs.run_all("x.py", works) == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert done == ["b starts", "b ends"]
