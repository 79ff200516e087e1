"""Trainings run beside each other, each in a process of its own."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dsl.experiment import entry, output
from dsl.system import interrupts
from dsl.system.regular_files import append_regular, open_regular

_PAUSE = 0.2  # Seconds between two looks at who is done.


@dataclasses.dataclass(frozen=True)
class Job:
    """One training, and what is done when it has ended well.

    Attributes:
        name: What it is called.
        start: Returns the command that trains, or None if nothing is left to
            train.
        finish: Called after that.
        needs: Names of jobs that come first.
    """

    name: str
    start: Callable[[], Sequence[str] | None]
    finish: Callable[[], None] = lambda: None
    needs: tuple[str, ...] = ()


def run_all(prog, jobs, processes=1, logs="."):
    """Runs jobs in order, some beside each other, until one fails.

    Those that run then are waited for; if what one leaves cannot be kept, the
    others are stopped, and go on when they are started again. Ctrl-C and
    SIGTERM are passed on to all that run, which save and end; a terminal that
    is closed is a SIGTERM to them, but not under nohup. Alone, a job writes to
    this terminal; beside others, to a file of its own, and has its share of
    the cores.

    Args:
        prog: Name of the program, for errors.
        jobs: List of `Job`.
        processes: How many may run at once.
        logs: Folder of the files NAME.log.

    Returns:
        The exit code of the first that failed, else 0.
    """
    return entry.in_words(
        prog, lambda: _run_table(_Table(jobs, processes, Path(logs)))
    )


def _run_table(table):
    before = {number: signal.signal(number, table.ask) for number in _heard()}
    try:
        code = table.run()
        # Alone, a training that was interrupted has said so.
        said = code == interrupts.EXIT_CODE and len(table.slots) == 1
        if table.asked and not said:
            raise KeyboardInterrupt
        return code
    finally:
        table.end()
        for number, handler in before.items():
            signal.signal(number, handler)


class _Table:
    """Jobs that wait, and those that run."""

    def __init__(self, jobs, processes, logs):
        self.waiting = list(jobs)
        self.running = {}  # By slot: job, process and when it was started.
        self.slots = range(processes)
        self.logs = logs
        self.asked = False
        self.code = 0

    def ask(self, number, frame):
        """Passes a signal on to all that run; nothing is started anymore."""
        self.asked = True
        # Of those that trainings hear.
        number = signal.SIGTERM if number == signal.SIGHUP else number
        for _, process, _ in list(self.running.values()):
            process.send_signal(number)

    def run(self):
        while self.running or (self.waiting and not self._stops()):
            if not self._stops():
                self._launch()
            self._collect()
        return self.code

    def end(self):
        """Stops what an error has left behind, and waits for it."""
        if not self.asked:
            self.ask(signal.SIGTERM, None)
        for _, process, _ in self.running.values():
            process.wait()

    def _stops(self):
        return self.asked or self.code != 0

    def _launch(self):
        for slot in self.slots:
            while slot not in self.running and not self.asked:
                job = self._next()
                if job is None:
                    return
                self.waiting.remove(job)
                command = job.start()
                if command is None:
                    job.finish()
                else:
                    self._start(slot, job, command)

    def _next(self):
        """The first job that waits for none of the others."""
        going_on = [job for job, _, _ in self.running.values()]
        undone = {job.name for job in [*self.waiting, *going_on]}
        for job in self.waiting:
            if not undone & {*job.needs}:
                return job
        return None

    def _start(self, slot, job, command):
        log = None
        if len(self.slots) > 1:
            self.logs.mkdir(parents=True, exist_ok=True)
            log = self._log(job)
            output.note(f"{job.name}: started, see {log}")
        process = launch(command, share_of_cores(slot, len(self.slots)), log)
        self.running[slot] = job, process, time.monotonic()
        if self.asked:
            process.send_signal(signal.SIGTERM)

    def _log(self, job):
        return self.logs / f"{job.name}.log"

    def _collect(self):
        """Ends the jobs whose process has ended."""
        done = [
            slot
            for slot, (_, process, _) in self.running.items()
            if process.poll() is not None
        ]
        for slot in done:
            job, process, started = self.running.pop(slot)
            # A signal that ended it counts as shells count it.
            code = process.poll()
            code = code if code >= 0 else 128 - code
            if len(self.slots) > 1:
                minutes = (time.monotonic() - started) / 60
                said = f": {_last_line(self._log(job))}" if code else ""
                output.note(
                    f"{job.name}: exit code {code} after {minutes:.0f} min"
                    f"{said}"
                )
            self.code = self.code or code
            if code == 0:
                job.finish()
        if self.running and not done:
            time.sleep(_PAUSE)


def _heard():
    """The signals that end all; nohup has a closed terminal ignored."""
    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    hangup = [] if nohup else [signal.SIGHUP]
    return (signal.SIGINT, signal.SIGTERM, *hangup)


def share_of_cores(slot, count):
    """The cores of one of several processes, or None for all.

    Args:
        slot: Which process, 0 and up.
        count: How many there are.
    """
    if count == 1 or not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    return cores[slot::count] or [cores[slot % len(cores)]]


def launch(command, cores=None, log=None):
    """Starts a command.

    Args:
        command: List of words.
        cores: Those that it may use; all by default.
        log: File that its output is added to, and no link; this terminal by
            default.

    Returns:
        The `subprocess.Popen`. It hears no Ctrl-C of the terminal, and a
        program of this project stops once this process is gone.
    """
    with contextlib.ExitStack() as until_started:
        options = {"env": interrupts.environment_of_child()}
        if log is not None:
            file = until_started.enter_context(append_regular(log))
            options |= {"stdout": file, "stderr": subprocess.STDOUT}
        if cores is not None:
            # Inherited: code between fork and exec is not safe beside threads.
            before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, cores)
            until_started.callback(os.sched_setaffinity, 0, before)
        return subprocess.Popen(command, start_new_session=True, **options)


def _last_line(path):
    with open_regular(path) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
        lines = file.read().decode(errors="replace").splitlines()
    return lines[-1] if lines else "nothing was said"
