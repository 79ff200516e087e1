"""Ctrl-C and SIGTERM, heard between two steps."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dsl.system import interrupts

ROOT = Path(__file__).resolve().parents[2]
SIGNALS = [signal.SIGINT, signal.SIGTERM]


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.fixture(autouse=True)
def restored():
    """Whatever a test does, the handlers of before are there afterwards."""
    before = handlers()
    yield
    assert handlers() == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_held_back_until_the_end_of_the_block(number):
    before, done = handlers(), []
    with pytest.raises(KeyboardInterrupt), interrupts.held_back() as asked:
        done.append(bool(asked))
        os.kill(os.getpid(), number)
        done.append(bool(asked))
    assert done == [False, True]
    assert handlers() == before


def test_without_a_signal_nothing_is_raised():
    with interrupts.held_back() as asked:
        assert not asked
    assert not asked


@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal_is_not_held_back(second):
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts.held_back():
        signal.raise_signal(signal.SIGTERM)
        done.append("went on")
        signal.raise_signal(second)
        done.append("went on again")
    assert done == ["went on"]


def test_an_error_of_the_block_comes_before_the_interrupt():
    before = handlers()
    with pytest.raises(ZeroDivisionError), interrupts.held_back():
        signal.raise_signal(signal.SIGINT)
        raise ZeroDivisionError
    assert handlers() == before


def test_sigterm_is_ctrl_c():
    before = handlers()
    with interrupts.raised():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert handlers() == before


def test_held_back_within_raised():
    with interrupts.raised():
        within = handlers()
        with pytest.raises(KeyboardInterrupt), interrupts.held_back() as asked:
            signal.raise_signal(signal.SIGTERM)
            assert asked
        assert handlers() == within


def test_in_a_thread_nothing_changes():
    before, seen = handlers(), []

    def work():
        with interrupts.held_back() as asked, interrupts.raised():
            seen.append((handlers(), bool(asked)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, False)]


STOPPED = """
import os, sys, time
from dsl.system import interrupts
interrupts.stop_with_parent({parent})
assert "DSL_PARENT" not in os.environ
time.sleep({seconds})
"""


@pytest.mark.parametrize(
    ("parent", "told", "code"),
    [
        (None, None, 0),
        (None, "this", 0),
        ("this", None, 0),
        (None, "other", -signal.SIGTERM),
        ("other", None, -signal.SIGTERM),
        ("other", "this", -signal.SIGTERM),
    ],
)
def test_a_process_whose_parent_is_gone_stops(parent, told, code):
    """Orphans have another one, be it the first process or who else."""
    numbers = {None: None, "this": os.getpid(), "other": 1}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if told is not None:
        environment["DSL_PARENT"] = str(numbers[told])
    seconds = 30 if code else 0.1
    text = STOPPED.format(parent=numbers[parent], seconds=seconds)
    done = subprocess.run([sys.executable, "-c", text], env=environment)
    assert done.returncode == code


def test_a_child_is_told_of_this_process():
    assert interrupts.environment_of_child() == {
        **os.environ,
        "DSL_PARENT": str(os.getpid()),
    }
