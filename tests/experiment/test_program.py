"""What training programs share: how a run ends that cannot go on."""

import fcntl
import signal

import pytest

from dsl.experiment import entry, program
from dsl.runs.folder import DivergedError, RunFolder
from dsl.system import interrupts

pytestmark = pytest.mark.backend

PROGRAM = program.Program(__file__, "task")


@pytest.fixture
def run(tmp_path):
    made = RunFolder.create(tmp_path, "run", {"settings": {}})
    yield made
    made.close()


def assert_free(run):
    with open(run.path / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lost(line):
    raise entry.OutputError(32, "Broken pipe", "standard output")


@pytest.mark.parametrize("where", ["on_resume", "on_step", "on_epoch"])
def test_a_lost_output_stops_a_training_as_an_interrupt_does(
    where, run, monkeypatch, tmp_path
):
    """What has been trained is saved before the error is raised."""
    monkeypatch.setattr(program, "log_line", lost)
    saved = []

    def train(on_resume, on_step, on_epoch):
        if where == "on_resume":
            on_resume(Progress())
        with interrupts.held_back() as asked:
            if where == "on_step":
                on_step(Progress(), 4, 1.0)
                on_step(Progress(), 4, 1.0)
            else:
                on_epoch({})
            saved.append(bool(asked))

    with interrupts.raised(), pytest.raises(entry.OutputError):
        program.report_training(
            run, 1, lambda *_: "", lambda _: "", False, train
        )
    assert saved == ([] if where == "on_resume" else [True])


def test_a_lost_output_after_an_interrupt_is_no_second_one(run, monkeypatch):
    """Of two signals the second is not held back: nothing would be saved."""
    monkeypatch.setattr(program, "log_line", lost)
    saved = []

    def train(on_resume, on_step, on_epoch):
        with interrupts.held_back() as asked:
            signal.raise_signal(signal.SIGINT)
            on_epoch({})
            saved.append(bool(asked))

    with pytest.raises(entry.OutputError):
        program.report_training(run, 1, None, lambda _: "", False, train)
    assert saved == [True]


class Progress:
    epoch, step, steps, seconds, entries = 1, 1, 1, 1.0, ()


def test_an_interrupt_of_a_training_stays_one(run):
    def train(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        program.report_training(run, 1, None, None, False, train)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "interrupted; no checkpoint was written"),
        (OSError(28, "No space", "x"), 1, "x: No space; no checkpoint was "),
        (DivergedError("nan"), 1, "nan; --resume with a lower --le"),
    ],
)
def test_what_is_left_of_a_run_is_said(error, code, line, run, capsys):
    def work(run):
        raise error

    assert PROGRAM.run_in(run, work) == code
    assert capsys.readouterr().err.startswith(f"test_program.py: {line}")
    assert_free(run)


def test_a_lost_output_is_no_fault_of_the_run(run, capsys):
    with pytest.raises(entry.OutputError):
        PROGRAM.run_in(run, lost)
    assert capsys.readouterr().err == ""
    assert_free(run)
